package config

import (
	"maps"
	"slices"
	"strings"

	"tidegate/jobs"
	"tidegate/routing"
)

// Weights is a strategy of one's own: how much each part counts.
type Weights struct {
	SuccessRate float64 `yaml:"success_rate"`
	Latency     float64 `yaml:"latency"`
	Cost        float64 `yaml:"cost"`
}

func (w Weights) weights() routing.Weights {
	return routing.Weights{Success: w.SuccessRate, Latency: w.Latency, Cost: w.Cost}
}

// Estimator is what guesses how targets do.
type Estimator struct {
	Name string `yaml:"name"`
	// Alpha is how much the latest answer counts for ewma; zero: the default.
	Alpha float64 `yaml:"alpha,omitempty"`
	// Explore is the part of the requests without a deadline that go to any target.
	Explore float64 `yaml:"explore"`
}

func (e *Estimator) setDefaults() {
	*e = Estimator{Name: routing.Decayed, Explore: routing.DefaultExplore}
}

// AllGoals are the strategies of one's own that requests and routes may name.
func (c *Config) AllGoals() []string { return slices.Sorted(maps.Keys(c.Strategies)) }

// checkStrategies notes what is wrong with the strategies.
func (r *reader) checkStrategies(c *Config, known Known) {
	for _, name := range c.AllGoals() {
		at := "strategies." + name
		r.name(at, name)
		if slices.Contains(known.Goals, name) {
			r.problem(at, "%q is there already, as one of %s; choose another name", name, strings.Join(known.Goals, ", "))
		}
		if err := c.Strategies[name].weights().Check(); err != nil {
			r.problem(at, "%v", err)
		}
	}
}

// mostExplore bounds what is spent to learn.
const mostExplore = 0.5

// checkEstimator notes what is wrong with the estimator.
func (r *reader) checkEstimator(c *Config) {
	e := &c.Estimator
	if !slices.Contains(routing.Estimators(), e.Name) {
		r.problem("estimator.name", "unknown estimator %s; %s", r.shown("estimator.name", e.Name), jobs.DidYouMean(e.Name, routing.Estimators()))
	}
	switch given := r.given("estimator.alpha"); {
	case given && !(e.Alpha > 0 && e.Alpha <= 1):
		r.problem("estimator.alpha", "must be above 0 and at most 1, as in %v", routing.DefaultAlpha)
	case given && e.Name == routing.Decayed:
		r.problem("estimator.alpha", "is for ewma, and the estimator is %s: write name: ewma beside it, or leave it out", routing.Decayed)
	}
	if !(e.Explore >= 0 && e.Explore <= mostExplore) {
		r.problem("estimator.explore", "must be from 0 (never) to %v, as in %v for one request in a hundred", mostExplore, routing.DefaultExplore)
	}
}

// Choosing is how targets are chosen by this configuration.
func (c *Config) Choosing() routing.Choosing {
	made := routing.Choosing{
		Estimator: c.Estimator.Name, Alpha: c.Estimator.Alpha, Explore: c.Estimator.Explore, Strategies: map[string]routing.Strategy{},
	}
	for name, weights := range c.Strategies {
		made.Strategies[name] = weights.weights().Strategy()
	}
	return made
}
