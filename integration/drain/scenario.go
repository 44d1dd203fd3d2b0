package main

import (
	"fmt"
	"strings"

	"tidegate/routing/simulator"
)

// A scenario is how the provider comes back.
type scenario struct {
	name   string
	silent bool // it does not announce its limit
	// change makes the capacity after the outage out of that before it.
	change   func(plan, *simulator.Capacity)
	most     float64 // the bar: drained within so many optima
	reopened float64 // the bar: how often the circuit may open again
}

// The shares of the nominal capacity that a provider comes back with.
const (
	coldShare    = 0.4
	reducedShare = 0.6
	grownShare   = 1.5
)

var scenarios = []scenario{
	{name: "clean", most: 1.10, change: func(plan, *simulator.Capacity) {}},
	{name: "cold", most: 1.05, change: cold},
	{name: "reduced", most: 1.15, silent: true, change: func(_ plan, c *simulator.Capacity) { c.Factor = reducedShare }},
	{name: "grown", most: 1.40, silent: true, change: func(_ plan, c *simulator.Capacity) { c.Factor = grownShare }},
	{name: "relapse", most: 1.25, reopened: 1, change: func(p plan, c *simulator.Capacity) {
		c.RelapseAfter, c.RelapseFor = p.relapse.after, p.relapse.lasts
	}},
	{name: "melting", most: 1.05, change: func(p plan, c *simulator.Capacity) {
		cold(p, c)
		c.Melts = true
	}},
}

func cold(p plan, c *simulator.Capacity) { c.ColdFrom, c.ColdFor = coldShare, p.coldFor }

// before is what the provider takes until the outage.
func (s scenario) before(p plan) simulator.Capacity {
	return simulator.Capacity{PerSecond: p.capacity, Announces: !s.silent}
}

// after is what it takes from the recovery on.
func (s scenario) after(p plan) simulator.Capacity {
	capacity := s.before(p)
	s.change(p, &capacity)
	return capacity
}

func scenarioNames() (names []string) {
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return names
}

// choose finds scenarios by their names, in the order in which they were named.
func choose(names string) (chosen []scenario, err error) {
	taken := map[string]bool{}
	for name := range strings.SplitSeq(names, ",") {
		found := len(chosen)
		for _, s := range scenarios {
			if s.name == name && !taken[name] {
				chosen = append(chosen, s)
			}
		}
		if len(chosen) == found {
			return nil, fmt.Errorf("--scenarios: %q is not one of %s, or is there twice", name, strings.Join(scenarioNames(), ", "))
		}
		taken[name] = true
	}
	return chosen, nil
}
