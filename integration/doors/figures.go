package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tidegate/integration/bench"
)

// A figure is what one door does.
type figure struct {
	rate     float64 // requests/s
	p50, p99 float64 // milliseconds, of a call
}

// figures are the medians of all rounds.
type figures struct {
	plan
	of    map[string]figure
	amiss int // in all rounds
}

// lines are the doors as the table has them, each behind what it is compared with.
var lines = []struct{ door, what string }{
	{row, "INSERT of the rows of a request"},
	{job, "POST /v1/jobs"},
	{inNATS, "enqueue over NATS"},
	{manyRows, "INSERT of the rows of many"},
	{manyJobs, "POST /v1/jobs:batch"},
	{direct, "the provider itself"},
	{chat, "POST /v1/chat/completions"},
}

func (p plan) median(rounds []round) figures {
	f := figures{plan: p, of: map[string]figure{}}
	for _, r := range rounds {
		f.amiss += r.amiss
	}
	for _, line := range lines {
		number := func(of func(speed) float64) float64 {
			var values []float64
			for _, r := range rounds {
				values = append(values, of(r.speeds[line.door]))
			}
			slices.Sort(values)
			return values[len(values)/2]
		}
		each := 1
		if line.door == manyJobs || line.door == manyRows {
			each = p.many
		}
		f.of[line.door] = figure{
			rate: number(func(s speed) float64 { return s.rate(each) }),
			p50:  number(func(s speed) float64 { return milliseconds(s.p50) }),
			p99:  number(func(s speed) float64 { return milliseconds(s.p99) }),
		}
	}
	return f
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// bars hold what was acknowledged to what is there.
func (f figures) bars() *bench.Bars {
	bars := &bench.Bars{}
	bars.AtMost("amiss", bench.Number(f.amiss), 0)
	return bars
}

func (f figures) table(machine string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d senders, bodies of %d bytes, %d requests in a call where there are many; medians of %d rounds of %d s a door\n%s\n\n",
		f.senders, f.bytes, f.many, f.rounds, f.seconds, machine)
	fmt.Fprintf(&text, "%-34s %12s %10s %10s\n", "", "requests/s", "p50 ms", "p99 ms")
	for _, line := range lines {
		one := f.of[line.door]
		fmt.Fprintf(&text, "%-34s %12.0f %10.2f %10.2f\n", line.what, one.rate, one.p50, one.p99)
	}
	fmt.Fprintf(&text, "\nacknowledged and not in the queue, or the other way about: %d\n", f.amiss)
	return text.String()
}

// object is the JSON object: three keys for each door.
func (f figures) object() map[string]any {
	all := map[string]any{"amiss": f.amiss, "senders": f.senders, "bytes": f.bytes, "many": f.many}
	for door, one := range f.of {
		all[door+"_per_s"], all[door+"_p50_ms"], all[door+"_p99_ms"] = bench.Round(one.rate, 1), bench.Round(one.p50, 100), bench.Round(one.p99, 100)
	}
	return all
}
