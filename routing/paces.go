package routing

import (
	"math"

	"tidegate/jobs"
)

// Paces says how fast every target may be called by this worker, in the order of the
// chains.
func (r *Router) Paces() []jobs.Pace {
	targets := r.plan.Load().targets
	all := make([]jobs.Pace, len(targets))
	for i, t := range targets {
		s := t.pace.snapshot()
		all[i] = jobs.Pace{
			Target: t.Name, Rate: bounded(s.Rate), Limit: bounded(s.Limit), Accepted: s.Accepted, Share: s.Share,
			InFlight: s.InFlight, Places: s.Places, PausedUntil: s.PausedUntil,
		}
	}
	return all
}

// bounded is a rate, zero where it has no bound.
func bounded(rate float64) float64 {
	if math.IsInf(rate, 1) {
		return 0
	}
	return rate
}
