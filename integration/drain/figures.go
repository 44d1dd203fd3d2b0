package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"tidegate/integration/bench"
)

// mostRateLimited is the bar for the share of 429s.
const mostRateLimited = 0.04

// figures are what came of a scenario.
type figures struct {
	warmRate     float64 // answers a second, at the end of the warm-up
	lastGood     float64 // that the fleet kept of it, at the end; zero: nothing
	backlog      int     // at the recovery
	recovery     time.Time
	first        time.Time // answer
	drained      time.Time
	late         bool        // it had not drained when patience ended
	calls        bench.Calls // from the recovery on
	reopened     int
	optimum      time.Duration // from the first answer on
	plainOptimum time.Duration // without the bursts
}

// over is how many optima the drain took; nil: it did not end.
func (f figures) over(optimum time.Duration) *float64 {
	if f.late || optimum == 0 {
		return nil
	}
	return bench.Round(f.drained.Sub(f.first).Seconds()/optimum.Seconds(), 1000)
}

func (f figures) rateLimited() float64 { return bench.Share(f.calls.RateLimited, f.calls.Total) }

// object is the JSON of all scenarios.
func object(taken map[string]figures) any {
	over, reopened := map[string]*float64{}, map[string]int{}
	limited, noticed := map[string]float64{}, map[string]*float64{}
	for name, f := range taken {
		over[name], reopened[name] = f.over(f.optimum), f.reopened
		limited[name], noticed[name] = f.rateLimited(), bench.Seconds(f.first.Sub(f.recovery))
	}
	return struct {
		Over     map[string]*float64 `json:"drain_over_optimal"`
		Reopened map[string]int      `json:"reopened"`
		Limited  map[string]float64  `json:"rate_limited_share"`
		Noticed  map[string]*float64 `json:"noticed_s"`
	}{over, reopened, limited, noticed}
}

func (p plan) bars(taken map[string]figures) *bench.Bars {
	bars := &bench.Bars{}
	for _, s := range p.scenarios {
		f := taken[s.name]
		bars.AtMost(s.name+": drain_over_optimal", f.over(f.optimum), s.most)
		bars.AtMost(s.name+": reopened", bench.Number(f.reopened), s.reopened)
		bars.AtMost(s.name+": rate_limited_share", bench.Number(f.rateLimited()), mostRateLimited)
	}
	return bars
}

func (p plan) table(machine string, taken map[string]figures) string {
	var text strings.Builder
	fmt.Fprintf(&text, "backlog %d, %g arrive and %g are taken a second, answers in %s, outage %s, %d scenarios at a time\n%s\n\n",
		p.backlog, p.arrivals, p.capacity, p.latency, p.outage, p.atOnce, machine)
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\twarm-up/s\tlast good/s\tnoticed s\tdrained s\toptimum s\tover optimum\tbursts left out\treopened\t429s %\t503s\t")
	for _, s := range p.scenarios {
		f := taken[s.name]
		drained := "never"
		if !f.late {
			drained = fmt.Sprintf("%.1f", f.drained.Sub(f.first).Seconds())
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.2f\t%s\t%.1f\t%s\t%s\t%d\t%.1f\t%d\t\n", s.name, f.warmRate, f.lastGood, f.first.Sub(f.recovery).Seconds(),
			drained, f.optimum.Seconds(), bench.Cell(f.over(f.optimum)), bench.Cell(f.over(f.plainOptimum)), f.reopened, 100*f.rateLimited(), f.calls.Unavailable)
	}
	_ = w.Flush() // into memory
	return text.String()
}
