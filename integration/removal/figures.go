package main

import (
	"fmt"
	"strings"
	"time"

	"tidegate/integration/bench"
)

// A row is one part of the run.
type row struct {
	commits []time.Duration // sorted
	took    time.Duration
	cpu     time.Duration // of Postgres and the worker
	wal     int64         // bytes
}

type figures struct {
	sizes                 [3]float64 // bytes of an old request: requests, results, attempts
	before, beside, after row
}

// at is a quantile of the commits.
func (r *row) at(q float64) time.Duration {
	if len(r.commits) == 0 {
		return 0
	}
	return r.commits[min(int(q*float64(len(r.commits))), len(r.commits)-1)]
}

func (r *row) cells() string {
	ms := func(d time.Duration) float64 { return *bench.Round(1000*d.Seconds(), 10) }
	return fmt.Sprintf("%8d %10g %10g %10g %12.2f %12.1f", len(r.commits), ms(r.at(.5)), ms(r.at(.99)), ms(r.at(1)),
		r.cpu.Seconds()/r.took.Seconds(), float64(r.wal)/(1<<20)/r.took.Seconds())
}

func (p plan) table(machine string, f figures) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d old requests, prompts of %d and answers of %d bytes, half in batches of %d; commits of %d results every %s\n%s\n\n",
		p.requests, p.prompt, p.answer, p.batch, p.group, p.every, machine)
	fmt.Fprintf(&text, "%-14s %8s %10s %10s %10s %12s %12s\n", "", "commits", "p50 ms", "p99 ms", "max ms", "cpu cores", "WAL MB/s")
	for _, line := range []struct {
		what string
		row  *row
	}{{"before", &f.before}, {"removing", &f.beside}, {"after", &f.after}} {
		fmt.Fprintf(&text, "%-14s %s\n", line.what, line.row.cells())
	}
	fmt.Fprintf(&text, "\nAll were gone in %s, %.0f a second. Each had %.0f bytes in requests, %.0f in results and %.0f in attempts, with indexes.\n",
		f.beside.took.Round(time.Second), float64(p.requests)/f.beside.took.Seconds(), f.sizes[0], f.sizes[1], f.sizes[2])
	return text.String()
}

// object is the JSON object.
func (f figures) object() map[string]*float64 {
	object := map[string]*float64{
		"removed_in_s": bench.Seconds(f.beside.took), "requests_bytes": bench.Round(f.sizes[0], 1), "results_bytes": bench.Round(f.sizes[1], 1), "attempts_bytes": bench.Round(f.sizes[2], 1),
	}
	for name, r := range map[string]*row{"before": &f.before, "removing": &f.beside, "after": &f.after} {
		object[name+"_p50_ms"] = bench.Round(1000*r.at(.5).Seconds(), 10)
		object[name+"_p99_ms"] = bench.Round(1000*r.at(.99).Seconds(), 10)
		object[name+"_max_ms"] = bench.Round(1000*r.at(1).Seconds(), 10)
	}
	return object
}

// bars hold the removal to what commits may notice of it.
func (f figures) bars() *bench.Bars {
	bars := &bench.Bars{}
	bars.AtMost("p99 of a commit beside the removal, ms", bench.Round(1000*f.beside.at(.99).Seconds(), 10), 100)
	return bars
}
