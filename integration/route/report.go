package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"tidegate/integration/bench"
)

// The bars: what is to be reached.
const (
	mostOverEWMA   = 0.85
	mostOverOracle = 1.15
	mostRecovery   = 60
	mostFailed     = 0.001
	mostOverEqual  = 1.03
)

// summary is the last line.
type summary struct {
	OverEWMA   float64 `json:"decayed_over_ewma"`
	OverOracle float64 `json:"decayed_over_oracle"`
	Recovery   float64 `json:"recovery_p90_s"`
	Failed     float64 `json:"tight_failed_share"`
	OverEqual  float64 `json:"equal_over_round_robin"`

	recoveries int
}

// summarise takes the means of the ratios by world and seed, so that each counts alike.
func summarise(scenes []*scene) summary {
	f := summary{
		OverEWMA:   ratio(scenes, "ample", "decayed", "ewma", false),
		OverOracle: ratio(scenes, "ample", "decayed", "oracle", false),
		OverEqual:  ratio(scenes, "ample", "decayed", "round robin", true),
	}
	var recovered []float64
	for _, s := range scenes {
		if s.way == "decayed" && s.room == "ample" {
			recovered = append(recovered, s.recovered...)
		}
		if s.way == "decayed" && s.room == "tight" {
			f.Failed = max(f.Failed, s.figures.failedShare())
		}
	}
	f.Recovery, f.recoveries = quantile(recovered, 0.9), len(recovered)
	for _, x := range []*float64{&f.OverEWMA, &f.OverOracle, &f.Recovery, &f.OverEqual} {
		*x = math.Round(*x*1e4) / 1e4
	}
	return f
}

// ratio is the mean of one way over another one, by their logarithms.
func ratio(scenes []*scene, room, one, other string, equal bool) float64 {
	sum, n := 0.0, 0
	for _, a := range scenes {
		for _, b := range scenes {
			if a.way == one && b.way == other && a.world == b.world && a.seed == b.seed && a.room == room && b.room == room && (a.world == "equal") == equal {
				sum, n = sum+math.Log(a.figures.mean()/b.figures.mean()), n+1
			}
		}
	}
	return math.Exp(sum / float64(max(1, n)))
}

func (f summary) bars() *bench.Bars {
	bars := &bench.Bars{}
	bars.AtMost("decayed_over_ewma", &f.OverEWMA, mostOverEWMA)
	bars.AtMost("decayed_over_oracle", &f.OverOracle, mostOverOracle)
	bars.AtMost("recovery_p90_s", &f.Recovery, mostRecovery)
	bars.AtMost("tight_failed_share", &f.Failed, mostFailed)
	bars.AtMost("equal_over_round_robin", &f.OverEqual, mostOverEqual)
	return bars
}

// table shows the means over the seeds.
func (p *plan) table(scenes []*scene, f summary) string {
	var text strings.Builder
	data := "uptime and prices of " + p.data
	if p.data == "" {
		data = "a synthetic set, since DATA names no folder"
	}
	fmt.Fprintf(&text, "%s; %d seeds, %s of %.3g requests a second; latencies, slow times and limits are made up\n\n", data, p.seeds, p.lasts, p.rate)
	fmt.Fprintf(&text, "%-34s %-6s %-12s %8s %8s %8s %9s %7s %7s %9s\n", "world", "room", "way", "mean s", "p50 s", "p99 s", "calls/job", "429s %", "lost %", "$/1k jobs")
	type key struct{ world, room, way string }
	var order []key
	by := map[key][]*scene{}
	for _, s := range scenes {
		k := key{s.world, s.room, s.way}
		if by[k] == nil {
			order = append(order, k)
		}
		by[k] = append(by[k], s)
	}
	slices.SortStableFunc(order, func(a, b key) int {
		return strings.Compare(a.world+a.room, b.world+b.room)
	})
	for _, k := range order {
		mean := func(of func(*figures) float64) float64 {
			sum := 0.0
			for _, s := range by[k] {
				sum += of(s.figures)
			}
			return sum / float64(len(by[k]))
		}
		fmt.Fprintf(&text, "%-34s %-6s %-12s %8.2f %8.2f %8.1f %9.3f %7.2f %7.3f %9.3f\n", k.world, k.room, k.way,
			mean((*figures).mean), mean(func(f *figures) float64 { return f.quantile(0.5) }), mean(func(f *figures) float64 { return f.quantile(0.99) }),
			mean(func(f *figures) float64 { return float64(f.calls) / float64(max(1, f.came)) }),
			mean(func(f *figures) float64 { return 100 * float64(f.refused) / float64(max(1, f.calls)) }),
			mean(func(f *figures) float64 { return 100 * f.failedShare() }),
			mean(func(f *figures) float64 { return f.cost / float64(max(1, f.came)) / 1000 }))
	}
	fmt.Fprintf(&text, "\nof %d slow times of a target that had been used, and was the best again, it was used again within %.0f s in nine of ten\n", f.recoveries, f.Recovery)
	return text.String()
}
