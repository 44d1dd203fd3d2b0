package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"
)

// usualKinds are what is measured where nothing is said.
const usualKinds = "tidegate,river"

// kinds are what a round may measure, and what each says of itself.
var kinds = []struct{ name, is string }{
	{"tidegate", "the chain as it is written"},
	{"scored", "a goal that ranks the chain for each request"},
	{"budget", "the chain as it is written, under budgets that are never spent"},
	{"river", "plain River"},
}

// A plan is what is measured.
type plan struct {
	kinds                 []string
	jobs, workers, rounds int
	goal                  string // of scored
	targets               int    // of the chain
	budgets               int    // of budget
	latency               time.Duration
	inflight              int
	inflightLatency       time.Duration
	profile               string // a folder; empty: none
}

func readPlan(args []string) (plan, error) {
	p := plan{}
	flags := flag.NewFlagSet("throughput", flag.ContinueOnError)
	var said strings.Builder
	for _, kind := range kinds {
		fmt.Fprintf(&said, "\n%s: %s", kind.name, kind.is)
	}
	named := flags.String("kinds", usualKinds, "of rounds, in turns:"+said.String())
	flags.IntVar(&p.jobs, "jobs", 10_000, "jobs in each round")
	flags.IntVar(&p.workers, "workers", 50, "calls at once")
	flags.DurationVar(&p.latency, "latency", 5*time.Millisecond, "of the provider")
	flags.IntVar(&p.rounds, "rounds", 3, "of each kind, in turns; the median counts")
	flags.StringVar(&p.goal, "goal", "balanced", "of the kind scored: balanced, speed or cost")
	flags.IntVar(&p.targets, "targets", 1, "in the chain, all of them at the one provider")
	flags.IntVar(&p.budgets, "budgets", 1, "of the kind budget: 1, of the route; 2, of the tenant, too")
	flags.IntVar(&p.inflight, "inflight", 10_000, "calls at once in the second part; 0 leaves it out")
	flags.DurationVar(&p.inflightLatency, "inflight-latency", 10*time.Second, "of the provider in the second part")
	flags.StringVar(&p.profile, "profile", "", "folder for profiles of the worker, KIND.cpu and KIND.allocs, of the last round of each kind; none of river")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	p.kinds = strings.Split(*named, ",")
	return p, p.check(flags.Args())
}

func (p *plan) check(rest []string) error {
	for _, name := range p.kinds {
		if !slices.ContainsFunc(kinds, func(k struct{ name, is string }) bool { return k.name == name }) {
			return fmt.Errorf("-kinds: there is no kind %q; name some of tidegate, scored, budget and river, with commas between them", name)
		}
	}
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q is no flag; see -h", rest[0])
	case p.jobs < 1 || p.workers < 1 || p.rounds < 1 || p.targets < 1 || p.inflight < 0:
		return errors.New("-jobs, -workers, -rounds and -targets must be above zero, -inflight not below")
	case p.budgets < 1 || p.budgets > 2:
		return fmt.Errorf("-budgets: %d is neither 1 nor 2", p.budgets)
	case !slices.Contains([]string{"balanced", "speed", "cost"}, p.goal):
		return fmt.Errorf("-goal: %q is none of balanced, speed and cost", p.goal)
	}
	return nil
}

// goalOf is the goal of a kind's route.
func (p *plan) goalOf(kind string) string {
	if kind == "scored" {
		return p.goal
	}
	return "ordered"
}
