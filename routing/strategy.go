package routing

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"tidegate/jobs"
)

// A Strategy puts the candidates of a chain into the order in which they are to
// be tried: it permutes order, which holds the index of each candidate. Where it
// scores, it also says the score of each candidate, by its index: of those that are
// nearly as good as the best one the router then picks any, and now and then it
// explores. Where it leaves the scores alone, its order is taken as it is. It is a
// pure function, leaves the candidates as they are, and allocates nothing.
type Strategy func(order []int, scores []jobs.Score, candidates []Candidate)

// A Candidate is a target as a strategy sees it, for one request.
type Candidate struct {
	Target *jobs.Target
	// Success is the chance that a call is answered, 0 to 1.
	Success float64
	// Latency is how long the request is expected to take there, failures and all,
	// from when it is called.
	Latency time.Duration
	// Wait is how long it is until the request may be called there; zero: at once.
	Wait time.Duration
	// Cost is what the request is expected to cost; of a target that is Unpriced it
	// is zero, and nobody knows.
	Cost     jobs.MicroUSD
	Unpriced bool
	// Known tells whether there is any sample of the target. What is said of one
	// that is not known is that it does as well as the best.
	Known bool
	// Shut tells that nobody may call the target now, or that somebody may call it
	// only as its probe: it is ranked for those who would wait for it.
	Shut bool

	doubtful bool // it was in trouble when it was heard of last, and nobody asks it
}

// strategies is the registry of those that everybody may name. It is filled while
// the package is initialised, by the files of the strategies themselves, and only
// read afterwards. The contract tests range over it, so a new file is tested before
// its author writes a test.
var strategies = map[string]Strategy{}

// register puts a strategy into the registry. Its file calls it once, as in `var _ =
// register("cheapest", cheapest)`. A name that is taken, or that nobody can write
// into a configuration, panics.
func register(name string, s Strategy) Strategy {
	if _, taken := strategies[name]; taken || jobs.CheckName(name) != nil {
		panic(fmt.Sprintf("strategy %q: its name is taken already, or cannot be one", name))
	}
	strategies[name] = s
	return s
}

// Goals lists the names of all strategies that need no configuration, sorted.
func Goals() []string { return slices.Sorted(maps.Keys(strategies)) }
