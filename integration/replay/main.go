package main

import (
	"context"
	"errors"
	"flag"
	"os"

	"tidegate/integration/bench"
)

const (
	name     = "replay"
	theRoute = "summaries"
)

// An order is what is measured.
type order struct {
	bench.Options
	data     string // its folder; empty: there is none
	requests int
	rounds   int
	seed     uint64
}

func main() { bench.Main(name, measure) }

func measure(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	t := madeUp(o.seed)
	if o.data != "" {
		if t, err = readTraces(o.data); err != nil {
			return err
		}
	}
	f, err := o.take(ctx, t)
	if err != nil {
		return err
	}
	return o.Finish(os.Stdout, o.text(f), f, f.bars())
}

func parse(args []string) (order, error) {
	o := order{data: os.Getenv("DATA")}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	o.Register(flags)
	flags.IntVar(&o.requests, "requests", 6_048_000, "requests of the week")
	flags.IntVar(&o.rounds, "rounds", 3, "times that the week is replayed from what was kept; the median counts")
	flags.Uint64Var(&o.seed, "seed", 1, "of what is generated")
	err := flags.Parse(args)
	if err == nil && (o.requests < 1 || o.rounds < 1) {
		err = errors.New("--requests and --rounds must be above zero")
	}
	return o, err
}
