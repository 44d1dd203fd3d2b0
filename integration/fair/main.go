package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"time"

	"tidegate/integration/bench"
	"tidegate/jobs"
	"tidegate/routing/simulator"
)

// A plan is what is measured.
type plan struct {
	bench.Options
	jobs, small int
	processes   int
	concurrency int // calls at once of one process
	rpm         int // what the target is configured with; zero: no limit
	rounds      int
	latency     time.Duration
	singles     int
}

// name is the benchmark's, and its provider's.
const name = "fair"

func main() { bench.Main(name, run) }

func run(ctx context.Context, args []string) error {
	p, err := parse(args)
	if err != nil {
		return err
	}
	ground, err := bench.Open(ctx, p.Program, simulator.Config{Plain: true, Providers: []simulator.Provider{
		{Name: name, Latency: simulator.Latency{Median: p.latency}},
	}})
	if err != nil {
		return err
	}
	defer ground.Close()
	rows := map[string][]row{}
	for round := range p.rounds {
		for _, admission := range []string{jobs.AdmissionDirect, jobs.AdmissionFair} {
			r, err := p.take(ctx, ground, admission, round)
			if err != nil {
				return err
			}
			rows[admission] = append(rows[admission], r)
		}
	}
	f := figures{direct: median(rows[jobs.AdmissionDirect]), fair: median(rows[jobs.AdmissionFair])}
	return p.Finish(os.Stdout, p.table(ground.Machine(), f), f.object(), &bench.Bars{})
}

func parse(args []string) (plan, error) {
	p := plan{}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	p.Register(flags)
	flags.IntVar(&p.jobs, "jobs", 100_000, "requests of the big tenant")
	flags.IntVar(&p.small, "small", 10, "requests of the small tenant")
	flags.IntVar(&p.processes, "processes", 2, "workers")
	flags.IntVar(&p.concurrency, "concurrency", 25, "calls at once of each worker")
	flags.IntVar(&p.rpm, "rpm", 0, "calls a minute that the target is configured with; 0: no limit")
	flags.IntVar(&p.rounds, "rounds", 1, "of each admission, in turns; the median counts")
	flags.DurationVar(&p.latency, "latency", 5*time.Millisecond, "of the provider")
	flags.IntVar(&p.singles, "singles", 30, "single requests to the idle route, one after the other")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	if p.jobs < 1 || p.small < 1 || p.processes < 1 || p.concurrency < 1 || p.rounds < 1 || p.singles < 1 || p.rpm < 0 || p.latency < 0 {
		return p, errors.New("--jobs, --small, --processes, --concurrency, --rounds and --singles must be at least 1, --rpm and --latency not below 0")
	}
	return p, nil
}
