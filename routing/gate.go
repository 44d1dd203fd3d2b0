package routing

import (
	"math"
	"time"
)

// All is what Admits says when the gate flows.
const All = math.MaxInt

// Admits says how many of the requests that wait for a route may be let go now:
// All if a target of its chain is free to be called, else one for each target
// that waits for a probe, else none: the gate holds. again is when to ask once
// more if no circuit changes before; zero: only a change will tell.
func (r *Router) Admits(route string) (n int, again time.Time) {
	known := r.plan.Load().routes[route]
	if known == nil || len(known.chain) == 0 {
		return All, time.Time{} // nothing to wait for: Route refuses them
	}
	return known.admits()
}

func (r *route) admits() (n int, again time.Time) {
	for _, target := range r.chain {
		ready, until := target.circuit.readiness()
		switch ready {
		case Flowing:
			return All, time.Time{}
		case ProbeReady:
			n++
		case Shut:
			again = earlier(again, until)
		}
	}
	return n, again
}

// earlier is the first of two times; zero is no time.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
