package routing

import (
	"slices"
	"sync/atomic"

	"tidegate/jobs"
)

// A plan is what one configuration says: its targets, and the chains that they
// stand in. It is not changed: Reload puts another one in its place, and a request
// that has begun with one ends with it.
type plan struct {
	routes  map[string]*route
	targets []*target // in the order of the chains
	byName  map[string]*target
}

type route struct {
	jobs.Route
	chain    []*target
	stronger []*target // that are asked after a bad answer; none of them is of the chain
	*habits
}

// habits are what there is to know of a route in this process, whatever its
// configuration.
type habits struct {
	lengths lengths                       // of chat completions
	others  [jobs.EndpointUnknown]lengths // of the other endpoints
	waiting atomic.Int64                  // requests in this worker that wait for their turn, as of the last beat
}

// lengthsOf are those of requests of an endpoint.
func (h *habits) lengthsOf(e jobs.Endpoint) *lengths {
	if e == jobs.EndpointChat || !e.Known() {
		return &h.lengths
	}
	return &h.others[e]
}

// newPlan asks take for each target once, in the order of the chains.
func newPlan(routes []jobs.Route, take func(*jobs.Target) *target) *plan {
	p := &plan{routes: map[string]*route{}, byName: map[string]*target{}}
	for _, given := range routes {
		made := &route{Route: given}
		for _, t := range given.Chain {
			made.chain = p.add(made.chain, t, take)
		}
		for _, t := range given.EscalateTo {
			made.stronger = p.add(made.stronger, t, take)
		}
		made.stronger = slices.DeleteFunc(made.stronger, func(t *target) bool { return slices.Contains(made.chain, t) })
		p.routes[given.Name] = made
	}
	return p
}

// add adds a target to a list, where nobody is twice: nobody is asked twice in one
// try.
func (p *plan) add(list []*target, t *jobs.Target, take func(*jobs.Target) *target) []*target {
	if p.byName[t.Name] == nil {
		p.byName[t.Name] = take(t)
		p.targets = append(p.targets, p.byName[t.Name])
	}
	if slices.Contains(list, p.byName[t.Name]) {
		return list
	}
	return append(list, p.byName[t.Name])
}
