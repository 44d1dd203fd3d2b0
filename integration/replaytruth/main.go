package main

import (
	"context"
	"fmt"
	"os"

	"tidegate/routing/replay"
)

func main() {
	s, err := load(os.Getenv("DATA"))
	if err != nil {
		panic(err)
	}
	all, logging := policies(s.providers, s.explore)
	for _, l := range []*replay.Log{s.explored, s.plain} {
		rep, err := replay.Replay(context.Background(), l, all, replay.Options{Against: &logging, Seed: 1})
		if err != nil {
			panic(err)
		}
		fmt.Printf("logged %+v\nself %+v explored %.3f\n", rep.Logged, *rep.Self, rep.Explored)
		for _, r := range rep.Results {
			t := s.truth[r.Policy]
			for k, v := range s.truth {
				if k == r.Policy || len(k) > 7 && "always "+lower(k[7:]) == r.Policy {
					t = v
				}
			}
			m := r.Metrics
			fmt.Printf("%-40s lat %.3f [%.3f %.3f] %v fail %.3f [%.3f %.3f] %v cost %.4f [%.4f %.4f] %v far %.2f moved %.2f %s %q\n", r.Policy,
				m[replay.Mean].At/t.Latency, m[replay.Mean].Low/t.Latency, m[replay.Mean].High/t.Latency, m[replay.Mean].Holds(t.Latency),
				m[replay.Failure].At/(1-t.Success), m[replay.Failure].Low/(1-t.Success), m[replay.Failure].High/(1-t.Success), m[replay.Success].Holds(t.Success),
				m[replay.Cost].At/t.Cost, m[replay.Cost].Low/t.Cost, m[replay.Cost].High/t.Cost, m[replay.Cost].Holds(t.Cost),
				r.Coverage.Far, r.Coverage.Moved, r.Confidence, r.Reasons)
		}
	}
}

func lower(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] >= 'A' && b[i] <= 'Z' {
			b[i] += 32
		}
	}
	return string(b)
}
