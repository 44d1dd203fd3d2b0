package main

import (
	"fmt"
	"math"
	"time"

	"tidegate/jobs"
	"tidegate/routing"
	"tidegate/routing/replay"
)

// What the policies have by which the truth was made. Each request is called once. They
// know how long its answer will be. What is fitted to the log of the first of them is
// exact: it chooses as in all of its rows.
const (
	perDollar   = 10_000 // seconds that a dollar is worth, times the weight of the cost
	perFailure  = 30     // seconds that a failure is worth
	longestCall = 120 * time.Second
	theRoute    = "llama70b"
	never       = 1 << 20

	loggingPolicy = " (logging policy, eps=0)"
)

// unbroken are thresholds that open no circuit.
var unbroken = jobs.Thresholds{FailuresInARow: never, FailureRate: 1, Window: 5000, Cooldown: time.Second}

// broken are those of a circuit that opens for half a minute.
var broken = jobs.Thresholds{FailuresInARow: 5, FailureRate: 1, Window: 5000, Cooldown: 30 * time.Second}

// A provider is a target, as the data has it.
type provider struct {
	Name   string  `json:"name"`
	Input  float64 `json:"price_in"` // US dollars a token
	Output float64 `json:"price_out"`
}

func policy(name string, of []provider, circuit jobs.Thresholds, choosing routing.Choosing) replay.Policy {
	route := jobs.Route{Name: theRoute, Goal: routing.Ordered}
	if len(choosing.Strategies) > 0 {
		route.Goal = "truth"
	}
	for _, p := range of {
		route.Chain = append(route.Chain, &jobs.Target{
			Name: p.Name, Provider: p.Name, Circuit: circuit, Timeouts: jobs.Timeouts{Total: longestCall},
			Price: jobs.Price{Input: jobs.USD(p.Input * 1e6), Output: jobs.USD(p.Output * 1e6)},
		})
	}
	return replay.Policy{Name: name, Routes: []jobs.Route{route}, Choosing: choosing, Once: true, Foresees: true}
}

// seed is the naive policy: the least of the latency's moving average, its failures
// weighed as half a minute each, and the cost. It is our estimator ewma, with the
// circuit that it had.
func seed(name string, of []provider, cost, explore float64) replay.Policy {
	return policy(name, of, broken, routing.Choosing{
		Estimator: routing.EWMA, Explore: explore,
		Strategies: map[string]routing.Strategy{"truth": least(func(c *routing.Candidate) float64 {
			return c.Latency.Seconds() + perFailure*(1-c.Success) + perDollar*cost*c.Cost.Dollars()
		}, true)},
	})
}

// decay is our estimator decayed, any of those within a tenth of the best, and the cost
// beside the completion that is expected.
func decay(name string, of []provider, cost float64) replay.Policy {
	return policy(name, of, unbroken, routing.Choosing{
		Estimator: routing.Decayed,
		Strategies: map[string]routing.Strategy{"truth": least(func(c *routing.Candidate) float64 {
			return c.Latency.Seconds() + perDollar*cost*c.Cost.Dollars()
		}, false)},
	})
}

// always is a chain of one.
func always(of provider) replay.Policy {
	return policy("always "+of.Name, []provider{of}, unbroken, routing.Choosing{})
}

// least is the strategy that goes to who has the least; to whom nobody was sent yet,
// before. Where it is strict, none that is as good as nearly is taken instead.
func least(of func(*routing.Candidate) float64, strict bool) routing.Strategy {
	return func(order []int, scores []jobs.Score, candidates []routing.Candidate) {
		best := math.Inf(1)
		for i := range candidates {
			x := 0.0
			if candidates[i].Known {
				x = of(&candidates[i])
			}
			if scores[i].Total = 1 - x/scale; !candidates[i].Shut {
				best = min(best, x)
			}
		}
		for i := 1; i < len(order); i++ {
			for j := i; j > 0 && scores[order[j]].Total > scores[order[j-1]].Total; j-- {
				order[j], order[j-1] = order[j-1], order[j]
			}
		}
		if strict { // by what is missing to the best one, others are near
			for i := range scores {
				scores[i].Total = min(1, scores[i].Total+best/scale)
			}
		}
	}
}

// scale is more than any score: what it leaves of 1 is what is missing to a perfect one.
const scale = 1e6

// policies are all that the truth is of, and by whom the log was made.
func (s *set) policies() (all []replay.Policy, logging replay.Policy) {
	of := s.providers
	for _, cost := range []float64{0, 1, 3} {
		name := fmt.Sprintf("seed wc=%g", cost)
		if cost == 1 {
			name += loggingPolicy
		}
		all = append(all, seed(name, of, cost, 0))
	}
	for _, cost := range []float64{0, 1, 3} {
		all = append(all, decay(fmt.Sprintf("decay wc=%g", cost), of, cost))
	}
	for _, p := range of {
		all = append(all, always(p))
	}
	return all, seed("seed wc=1, exploring", of, 1, s.explore)
}
