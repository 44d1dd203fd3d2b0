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
const name = "removal"

// A plan is what is measured.
type plan struct {
	bench.Options
	requests int // that are old
	prompt   int // bytes
	answer   int // bytes
	batch    int // requests of one batch
	group    int // results of one commit
	every    time.Duration
	alone    time.Duration // of commits before and after
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
	return p.Finish(os.Stdout, p.table(ground.Machine(), f), f.object(), f.bars())
}

func parse(args []string) (plan, error) {
	p := plan{}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	p.Register(flags)
	flags.IntVar(&p.requests, "requests", 1_000_000, "old requests")
	flags.IntVar(&p.prompt, "prompt", 2000, "bytes of a prompt, half of which compress away")
	flags.IntVar(&p.answer, "answer", 800, "bytes of an answer, half of which compress away")
	flags.IntVar(&p.batch, "batch", 50_000, "requests of one batch; half of all are in batches")
	flags.IntVar(&p.group, "group", 50, "results of one commit")
	flags.DurationVar(&p.every, "every", 100*time.Millisecond, "between two commits")
	flags.DurationVar(&p.alone, "alone", time.Minute, "of commits before the removal, and after")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	if p.requests < 2 || p.prompt < 1 || p.answer < 1 || p.batch < 1 || p.group < 1 || p.every <= 0 || p.alone <= 0 {
		return p, errors.New("--requests must be at least 2, and all others above zero")
	}
	return p, nil
}
