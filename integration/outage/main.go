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
	jobs      int
	processes int
	workers   int // in all processes together
	allowed   int // requests a second, once the provider is well
	latency   time.Duration
	outage    time.Duration
	patience  time.Duration // from the recovery until what is not done is lost
}

func main() { bench.Main("outage", run) }

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == bench.RiverRole {
		return bench.RunRiver(ctx, args[1:])
	}
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
	flags := flag.NewFlagSet("outage", flag.ContinueOnError)
	p.Register(flags)
	flags.IntVar(&p.jobs, "jobs", 2000, "jobs in each row")
	flags.IntVar(&p.workers, "workers", 50, "calls at once, in two processes together")
	flags.IntVar(&p.allowed, "allowed", 500, "requests a second that the provider takes when it is well")
	flags.DurationVar(&p.latency, "latency", 50*time.Millisecond, "of an answer")
	flags.DurationVar(&p.outage, "outage", time.Minute, "how long the provider is down")
	flags.DurationVar(&p.patience, "patience", 3*time.Minute, "after the recovery, until what is not done counts as lost")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	if p.jobs < 4 || p.workers < p.processes || p.allowed < 1 || p.outage < time.Second {
		return p, errors.New("--jobs must be at least 4, --workers 2, --allowed 1, --outage 1s")
	}
	return p, nil
}

// providers has one for each row, all alike.
func (p plan) providers() simulator.Config {
	config := simulator.Config{Plain: true, Remember: true}
	for _, row := range rows {
		config.Providers = append(config.Providers, simulator.Provider{
			Name: row.name, Latency: simulator.Latency{Median: p.latency},
			Limits: simulator.Limits{RequestsPerMinute: 60 * p.allowed, Burst: time.Second},
		})
	}
	return config
}

// measure takes the rows and reports.
func (p plan) measure(ctx context.Context, ground *bench.Ground) error {
	taken := map[string]figures{}
	for _, row := range rows {
		bench.Say("%s …", row.name)
		f, err := p.take(ctx, ground, row)
		if err != nil {
			return errors.Join(errors.New(row.name), err)
		}
		taken[row.name] = f
	}
	return p.Finish(os.Stdout, p.table(ground.Machine(), taken), object(taken), p.bars(taken))
}
