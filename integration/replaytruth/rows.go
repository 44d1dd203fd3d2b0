package main

import (
	"fmt"
	"math"
	"strings"

	"tidegate/integration/bench"
	"tidegate/routing/replay"
)

// The bars: what is to be reached.
const (
	mostLatency    = 0.05
	mostCost       = 0.03
	leastFailures  = 0.6
	mostFailures   = 1.4
	leastCovered   = 0.9
	mostDeviations = 2
)

// A row is one policy, as it was replayed and as it truly is.
type row struct {
	replay.Result
	truth truth
}

// parts are the estimates as parts of the truth.
func (r *row) latency() replay.Range { return over(r.Metrics[replay.Mean], r.truth.Latency) }

func (r *row) failures() replay.Range {
	return over(r.Metrics[replay.Failure], 1-r.truth.Success)
}
func (r *row) cost() replay.Range { return over(r.Metrics[replay.Cost], r.truth.Cost) }

func over(r replay.Range, by float64) replay.Range {
	return replay.Range{At: r.At / by, Low: r.Low / by, High: r.High / by}
}

// holds tells for each of them whether the truth is inside.
func (r *row) holds() (inside [3]bool) {
	for i, is := range []replay.Range{r.latency(), r.failures(), r.cost()} {
		inside[i] = is.Holds(1)
	}
	return inside
}

func (r *row) verdict() bool { return r.Confidence != replay.NoVerdict }

// deviations are how many of the truth's own deviations the estimate is off, at most.
func (r *row) deviations() float64 {
	most := 0.0
	for _, of := range []struct {
		is, was float64
		apart   *float64
	}{
		{r.Metrics[replay.Mean].At, r.truth.Latency, r.truth.LatencyOf},
		{r.Metrics[replay.Success].At, r.truth.Success, r.truth.SuccessOf},
		{r.Metrics[replay.Cost].At, r.truth.Cost, r.truth.CostOf},
	} {
		if of.apart != nil {
			most = max(most, math.Abs(of.is-of.was) / *of.apart)
		}
	}
	return most
}

func (r *row) text() string {
	cell := func(r replay.Range) string {
		out := " "
		if !r.Holds(1) {
			out = "!"
		}
		return fmt.Sprintf("%.3f (%.3f to %.3f)%s", r.At, r.Low, r.High, out)
	}
	said := string(r.Confidence)
	if len(r.Reasons) > 0 {
		said += ": " + strings.Join(r.Reasons, "; ")
	}
	return fmt.Sprintf("%-34s %-24s %-24s %-24s %s\n", r.Policy, cell(r.latency()), cell(r.failures()), cell(r.cost()), said)
}

// summary is the last line.
type summary struct {
	Latency    float64 `json:"worst_latency_error"` // of the rows of decay
	Cost       float64 `json:"worst_cost_error"`
	Failures   float64 `json:"worst_failure_ratio"`
	Covered    float64 `json:"covered_share"` // of the truths of policies that have a verdict
	Policies   int     `json:"policies"`
	Plain      int     `json:"eps00_verdicts"` // confident, on the log without exploration
	Verdicts   int     `json:"verdicts"`
	Deviations float64 `json:"worst_seed_deviations"`
	Outside    int     `json:"always_outside"` // of the rows of always: a verdict, and the truth is not inside
}

func summarise(explored, plain []row) summary {
	f := summary{Failures: 1, Policies: len(explored)}
	inside, truths := 0, 0
	for i := range explored {
		r := &explored[i]
		missed := 0
		for _, is := range r.holds() {
			if !is {
				missed++
			}
		}
		if r.verdict() {
			f.Verdicts++
			truths += 3
			inside += 3 - missed
		}
		switch kind, _, _ := strings.Cut(r.Policy, " "); kind {
		case "decay":
			f.Latency = max(f.Latency, math.Abs(r.latency().At-1))
			f.Cost = max(f.Cost, math.Abs(r.cost().At-1))
			if ratio := r.failures().At; math.Abs(math.Log(ratio)) > math.Abs(math.Log(f.Failures)) {
				f.Failures = ratio
			}
		case "seed":
			f.Deviations = max(f.Deviations, r.deviations())
		case "always":
			if r.verdict() && missed > 0 {
				f.Outside++
			}
		}
	}
	if truths > 0 {
		f.Covered = float64(inside) / float64(truths)
	}
	for i := range plain {
		if plain[i].Confidence == replay.Confident {
			f.Plain++
		}
	}
	for _, x := range []*float64{&f.Latency, &f.Cost, &f.Failures, &f.Covered, &f.Deviations} {
		*x = math.Round(*x*1e4) / 1e4
	}
	return f
}

func (f summary) bars() *bench.Bars {
	bars := &bench.Bars{}
	bars.AtMost("worst_latency_error", &f.Latency, mostLatency)
	bars.AtMost("worst_cost_error", &f.Cost, mostCost)
	bars.AtMost("worst_failure_ratio", &f.Failures, mostFailures)
	bars.AtMost("1 / worst_failure_ratio", bench.Round(1/f.Failures, 1000), 1/leastFailures)
	bars.AtMost("share that is not covered", bench.Round(1-f.Covered, 1000), 1-leastCovered)
	bars.AtMost("worst_seed_deviations", &f.Deviations, mostDeviations)
	bars.AtMost("always_outside", bench.Number(f.Outside), 0)
	bars.AtMost("eps00_verdicts", bench.Number(f.Plain), 0)
	return bars
}
