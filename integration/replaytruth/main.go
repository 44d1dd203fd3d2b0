package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"

	"tidegate/integration/bench"
	"tidegate/routing/replay"
)

// An order is what is measured.
type order struct {
	bench.Options
	data string // its folder; empty: there is none
	seed uint64
}

func main() { bench.Main("replaytruth", measure) }

func measure(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	s, err := o.set()
	if err != nil {
		return err
	}
	all, logging := s.policies()
	var rows [2][]row
	var reports [2]*replay.Report
	for i, log := range []*replay.Log{s.explored, s.plain} {
		bench.Say("replaying %d policies against a log of %d requests", len(all), log.Requests())
		if reports[i], err = replay.Replay(ctx, log, all, replay.Options{Against: &logging, Seed: o.seed, Whole: i == 0}); err != nil {
			return err
		}
		for _, result := range reports[i].Results[1:] {
			rows[i] = append(rows[i], row{result, s.truth[result.Policy]})
		}
	}
	f := summarise(rows[0], rows[1])
	if o.data == "" { // bars are for the week of which the truth was published
		o.NoBars = true
	}
	return o.Finish(os.Stdout, o.text(reports, rows), f, f.bars())
}

func parse(args []string) (order, error) {
	o := order{data: os.Getenv("DATA")}
	flags := flag.NewFlagSet("replaytruth", flag.ContinueOnError)
	o.Register(flags)
	flags.Uint64Var(&o.seed, "seed", 1, "of the luck of calls, and of a made-up set")
	return o, flags.Parse(args)
}

func (o *order) set() (*set, error) {
	if o.data == "" {
		return synthetic(o.seed)
	}
	return load(o.data)
}

// text is what people read.
func (o *order) text(reports [2]*replay.Report, rows [2][]row) string {
	var text strings.Builder
	data := "the week of " + o.data + "/synthetic"
	if o.data == "" {
		data = "a made-up set, since DATA names no folder, for which no bars are set"
	}
	fmt.Fprintf(&text, "%s; estimates as a part of the truth, from between what they may well be\n", data)
	for i, name := range []string{"the log with exploration", "the log without exploration"} {
		self := reports[i].Self
		fmt.Fprintf(&text, "\n%s: %d requests, replayed against itself %.3f of the latency, %.2f of the failures, %.3f of the cost\n\n",
			name, reports[i].Requests, self.Latency, self.Failures, self.Cost)
		fmt.Fprintf(&text, "%-34s %-24s %-24s %-24s %s\n", "policy", "latency", "failures", "cost", "verdict")
		for _, r := range rows[i] {
			text.WriteString(r.text())
		}
	}
	return text.String()
}
