package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tidegate/integration/bench"
	"tidegate/routing/simulator"
)

// A plan is what is measured.
type plan struct {
	bench.Options
	scenarios   []scenario
	atOnce      int // scenarios
	processes   int
	concurrency int // calls at once of one process
	backlog     int
	arrivals    float64 // a second
	capacity    float64 // requests a second, nominally
	latency     time.Duration
	warmUp      time.Duration
	outage      time.Duration
	coldFor     time.Duration
	relapse     relapse
}

// A relapse is when the provider goes down again, and for how long.
type relapse struct{ after, lasts time.Duration }

func main() { bench.Main("drain", run) }

func run(ctx context.Context, args []string) error {
	p, err := parse(args)
	if err != nil {
		return err
	}
	ground, err := bench.Open(ctx, p.Program, p.providers())
	if err != nil {
		return err
	}
	defer ground.Close()
	return p.measure(ctx, ground)
}

func parse(args []string) (plan, error) {
	p := plan{processes: 2}
	flags := flag.NewFlagSet("drain", flag.ContinueOnError)
	p.Register(flags)
	names := flags.String("scenarios", strings.Join(scenarioNames(), ","), "which of them, with commas")
	flags.IntVar(&p.atOnce, "at-once", 2, "scenarios that run side by side")
	flags.IntVar(&p.concurrency, "concurrency", 200, "calls at once of each of two worker processes")
	flags.IntVar(&p.backlog, "backlog", 30_000, "requests that wait at the recovery")
	flags.Float64Var(&p.arrivals, "arrivals", 100, "requests a second that arrive during the drain")
	flags.Float64Var(&p.capacity, "capacity", 500, "requests a second that the provider takes")
	flags.DurationVar(&p.latency, "latency", 200*time.Millisecond, "of an answer")
	flags.DurationVar(&p.warmUp, "warm-up", 20*time.Second, "at full rate, before the outage")
	flags.DurationVar(&p.outage, "outage", time.Minute, "how long the provider is down")
	flags.DurationVar(&p.coldFor, "cold-for", 5*time.Minute, "until a cold provider takes the whole")
	flags.DurationVar(&p.relapse.after, "relapse-after", time.Minute, "until a provider relapses")
	flags.DurationVar(&p.relapse.lasts, "relapse-for", 2*time.Minute, "how long a relapse lasts")
	err := flags.Parse(args)
	if err == nil {
		p.scenarios, err = choose(*names)
	}
	if err == nil && (p.atOnce < 1 || p.arrivals <= 0 || p.capacity <= p.arrivals || p.warmUp < rateOver || p.outage < time.Second) {
		err = fmt.Errorf("--at-once and --arrivals must be above zero, --capacity above --arrivals, --warm-up at least %s, --outage 1s", rateOver)
	}
	return p, err
}

// providers has one for each scenario. They are given their capacity later.
func (p plan) providers() simulator.Config {
	config := simulator.Config{Plain: true}
	for _, s := range p.scenarios {
		config.Providers = append(config.Providers, simulator.Provider{Name: s.name, Latency: simulator.Latency{Median: p.latency}})
	}
	return config
}

// measure takes the scenarios, some at a time, and reports.
func (p plan) measure(ctx context.Context, ground *bench.Ground) error {
	var mu sync.Mutex // guards taken
	taken := map[string]figures{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(p.atOnce)
	for _, s := range p.scenarios {
		group.Go(func() error {
			f, err := p.take(ctx, ground, s)
			mu.Lock()
			defer mu.Unlock()
			taken[s.name] = f
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if len(taken) == 0 {
		return errors.New("no scenario was taken")
	}
	return p.Finish(os.Stdout, p.table(ground.Machine(), taken), object(taken), p.bars(taken))
}
