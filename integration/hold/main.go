package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"time"

	"tidegate/integration/bench"
	"tidegate/routing/simulator"
)

// A plan is what is measured.
type plan struct {
	bench.Options
	jobs        int
	processes   int
	concurrency int // calls at once of one process
	hold        time.Duration
}

const (
	// name is the one row's, and its provider's.
	name = "hold"
	// latency is how long an answer takes.
	latency = 50 * time.Millisecond
)

func main() { bench.Main(name, run) }

func run(ctx context.Context, args []string) error {
	p, err := parse(args)
	if err != nil {
		return err
	}
	ground, err := bench.Open(ctx, p.Program, simulator.Config{Plain: true, Providers: []simulator.Provider{
		{Name: name, Latency: simulator.Latency{Median: latency}},
	}})
	if err != nil {
		return err
	}
	defer ground.Close()
	f, err := p.take(ctx, ground)
	if err != nil {
		return err
	}
	return p.Finish(os.Stdout, p.table(ground.Machine(), f), f, p.bars(f))
}

func parse(args []string) (plan, error) {
	p := plan{processes: 2}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	p.Register(flags)
	flags.IntVar(&p.jobs, "jobs", 1_000_000, "requests that wait")
	flags.DurationVar(&p.hold, "hold", 2*time.Minute, "how long the hold is measured")
	flags.IntVar(&p.concurrency, "concurrency", 25, "calls at once of each of two worker processes")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	if p.jobs < 1 || p.concurrency < 1 || p.hold < time.Second {
		return p, errors.New("--jobs and --concurrency must be at least 1, --hold 1s")
	}
	return p, nil
}
