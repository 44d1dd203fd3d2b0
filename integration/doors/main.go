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
	seconds, rounds, senders int
	many, bytes              int
}

const (
	// name is the benchmark's, and its provider's.
	name = "doors"
	// latency is how long the provider takes to answer.
	latency = 20 * time.Millisecond
	// mostSenders is how many the benchmark has connections for.
	mostSenders = 64
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
	var rounds []round
	for n := range p.rounds {
		r, err := p.take(ctx, ground, n)
		if err != nil {
			return err
		}
		rounds = append(rounds, r)
	}
	f := p.median(rounds)
	return p.Finish(os.Stdout, f.table(ground.Machine()), f.object(), f.bars())
}

func parse(args []string) (plan, error) {
	p := plan{}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	p.Register(flags)
	flags.IntVar(&p.seconds, "seconds", 4, "how long each door is measured in a round")
	flags.IntVar(&p.rounds, "rounds", 3, "the median counts")
	flags.IntVar(&p.senders, "senders", 16, "how many send at once, each its next one when the last is acknowledged")
	flags.IntVar(&p.many, "many", 100, "requests in a call of POST /v1/jobs:batch")
	flags.IntVar(&p.bytes, "bytes", 2000, "bytes of a request's body")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	if p.seconds < 1 || p.rounds < 1 || p.senders < 1 || p.many < 1 {
		return p, errors.New("--seconds, --rounds, --senders and --many must be at least 1")
	}
	if p.senders > mostSenders || p.many > 10_000 {
		return p, errors.New("--senders must be at most 64, and --many 10000")
	}
	if p.bytes < leastBytes || p.bytes > 100_000 {
		return p, errors.New("--bytes must be from 200 to 100000")
	}
	return p, nil
}
