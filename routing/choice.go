package routing

import (
	"slices"
	"time"

	"tidegate/jobs"
)

// band is how much worse than the best one, of what is missing to a perfect score,
// a target may be that is as good: so that many workers do not all go to one.
const band = 0.1

// A choice is how a request's chain was ranked, and by what. Where the chain is
// taken as it is written, there is none.
type choice struct {
	goal       string
	estimator  string
	order      []int // of candidates: the best first
	scores     []jobs.Score
	candidates []Candidate
	propensity float64 // the chance with which the first that may be called came to stand there
	explored   bool
}

// choose ranks the chain for the request by a strategy.
func (t *try) choose(goal string, strategy Strategy, by *choosing) {
	n := len(t.ranked)
	c := &choice{
		goal: goal, estimator: by.estimator, propensity: 1,
		order: make([]int, n), scores: make([]jobs.Score, n), candidates: make([]Candidate, n),
	}
	for i, target := range t.ranked {
		c.order[i] = i
		c.candidates[i] = t.candidate(target)
	}
	strategy(c.order, c.scores, c.candidates)
	t.choice = c
	t.pick(by)
	chain := t.ranked
	t.ranked = make([]*target, n)
	for i, index := range c.order {
		t.ranked[i] = chain[index]
	}
}

// candidate is what a strategy is to know of a target.
func (t *try) candidate(target *target) Candidate {
	c := Candidate{Target: target.Target, Success: target.circuit.trust(), Unpriced: !target.Price.Known()}
	now := t.router.now()
	if ready, until := target.circuit.readiness(); ready != Flowing {
		c.Shut = true
		c.Wait = max(until.Sub(now), 0)
		if until.IsZero() {
			c.Wait = 0
		}
	}
	return c
}

// scored tells whether the strategy gave scores.
func (c *choice) scored() bool {
	for i := range c.scores {
		if c.scores[i] != (jobs.Score{}) {
			return true
		}
	}
	return false
}

// open lists, in their order, the places in the order of those that may be called.
func (c *choice) open(into []int) []int {
	for at, index := range c.order {
		if !c.candidates[index].Shut {
			into = append(into, at)
		}
	}
	return into
}

// pick puts one of those that are nearly the best before the others, whichever.
func (t *try) pick(by *choosing) {
	c := t.choice
	if !c.scored() {
		return
	}
	open := c.open(make([]int, 0, 8))
	if len(open) < 2 {
		return
	}
	loss := func(at int) float64 { return 1 - c.scores[c.order[at]].Total }
	near := 1
	for near < len(open) && loss(open[near]) <= (1+band)*loss(open[0]) {
		near++
	}
	chosen := open[t.router.draw(near)]
	c.propensity = 1 / float64(near)
	c.first(chosen, open[0])
}

// first moves what stands at one place of the order before another one.
func (c *choice) first(from, to int) {
	index := c.order[from]
	copy(c.order[to+1:from+1], c.order[to:from])
	c.order[to] = index
}

// decision is what is written down with the first attempt.
func (c *choice) decision() *jobs.Decision {
	d := &jobs.Decision{Goal: c.goal, Estimator: c.estimator, Explored: c.explored, Candidates: make([]jobs.Considered, len(c.order))}
	for i, index := range c.order {
		is := &c.candidates[index]
		d.Candidates[i] = jobs.Considered{
			Target: is.Target.Name, Success: is.Success, Latency: is.Latency.Round(time.Millisecond), Wait: is.Wait, Cost: is.Cost,
			Unpriced: is.Unpriced, Unknown: !is.Known, Shut: is.Shut, Score: c.scores[index],
		}
	}
	return d
}

// A choosing is by what a router chooses: what a configuration says of it. It is
// not changed.
type choosing struct {
	strategies map[string]Strategy
	goals      []string
	estimator  string
}

func newChoosing(config Choosing) *choosing {
	c := &choosing{strategies: map[string]Strategy{}, estimator: config.Estimator}
	for name, strategy := range strategies {
		c.strategies[name] = strategy
	}
	for name, strategy := range config.Strategies {
		c.strategies[name] = strategy
	}
	for name := range c.strategies {
		c.goals = append(c.goals, name)
	}
	slices.Sort(c.goals)
	return c
}

// Choosing is what a configuration says of how targets are chosen. The zero value
// is the default.
type Choosing struct {
	// Strategies are those of one's own, by name, beside those that are always
	// there.
	Strategies map[string]Strategy
	// Estimator names what guesses how a target does; empty: decayed.
	Estimator string
}
