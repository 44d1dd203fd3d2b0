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

// name is the benchmark's, and its provider's.
const name = "page"

// crowds are how many look.
var crowds = []int{1, 20}

// A plan is what is measured.
type plan struct {
	bench.Options
	jobs   int
	lasts  time.Duration // of each measurement
	rounds int
}

func main() { bench.Main(name, run) }

func run(ctx context.Context, args []string) error {
	p, err := parse(args)
	if err != nil {
		return err
	}
	ground, err := bench.Open(ctx, p.Program, simulator.Config{Plain: true, Providers: []simulator.Provider{{Name: name}}})
	if err != nil {
		return err
	}
	defer ground.Close()
	f, err := p.take(ctx, ground)
	if err != nil {
		return err
	}
	return p.Finish(os.Stdout, p.table(ground.Machine(), f), f, f.bars())
}

func parse(args []string) (plan, error) {
	p := plan{}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	p.Register(flags)
	flags.IntVar(&p.jobs, "jobs", 1_000_000, "requests that wait")
	flags.DurationVar(&p.lasts, "lasts", 40*time.Second, "how long each measurement takes")
	flags.IntVar(&p.rounds, "rounds", 2, "how often nobody, one and twenty look")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	if p.jobs < 1 || p.lasts < time.Second || p.rounds < 1 {
		return p, errors.New("--jobs and --rounds must be at least 1, --lasts 1s")
	}
	return p, nil
}
