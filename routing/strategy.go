package routing

import (
	"maps"
	"slices"

	"tidegate/jobs"
)

// A Strategy puts the candidates of a chain into the order in which they are to
// be tried: it permutes order, which holds the index of each candidate. It is a
// pure function and allocates nothing.
type Strategy func(order []int, candidates []Candidate)

// A Candidate is a target as a strategy sees it.
type Candidate struct {
	Target *jobs.Target
}

// strategies holds every strategy by name; a new one is a file of its own and a
// line here.
var strategies = map[string]Strategy{
	Ordered: ordered,
}

// Goals lists the names of all strategies.
func Goals() []string { return slices.Sorted(maps.Keys(strategies)) }
