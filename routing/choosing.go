package routing

import (
	"cmp"
	"maps"
	"slices"
)

// Choosing is what a configuration says of how targets are chosen. The zero value
// is the default.
type Choosing struct {
	// Strategies are those of one's own, by name, beside those that are always
	// there.
	Strategies map[string]Strategy
	// Estimator names what guesses how a target does; empty: decayed.
	Estimator string
	// Alpha is how much the latest sample counts for the estimator ewma, in (0, 1];
	// zero: DefaultAlpha.
	Alpha float64
	// Explore is the part of the requests without a deadline that go to any target,
	// so that something is known of it, 0 to 1.
	Explore float64
}

// DefaultExplore is what a configuration explores that says nothing of it.
const DefaultExplore = 0.01

// A choosing is what a router makes of it. It is not changed.
type choosing struct {
	strategies map[string]Strategy
	goals      []string
	estimator  string
	law        estimator
	explore    float64
}

func newChoosing(config Choosing) *choosing {
	c := &choosing{strategies: maps.Clone(strategies), estimator: cmp.Or(config.Estimator, Decayed), explore: config.Explore}
	maps.Copy(c.strategies, config.Strategies)
	c.goals = slices.Sorted(maps.Keys(c.strategies))
	make, known := estimators[c.estimator]
	if !known {
		c.estimator, make = Decayed, estimators[Decayed]
	}
	c.law = make(config)
	return c
}

// Choose takes what a new configuration says of how targets are chosen, for whatever
// begins from now on. What one estimator has learned is nothing to another. Safe for
// concurrent use.
func (r *Router) Choose(config Choosing) { r.choosing.Store(newChoosing(config)) }
