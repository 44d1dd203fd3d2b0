package routing

import (
	"math"
	"time"

	"tidegate/jobs"
)

// share is what to tell the others of it; nil: nothing is known.
func (s *statistics) share(by *choosing, at time.Time) []float32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(by, at, nil)
	if s.own == (sums{}) {
		return nil
	}
	told := make([]float32, len(s.own))
	for i, x := range s.own {
		told[i] = float32(x)
	}
	return told
}

// follow takes what all others know together, as of a time.
func (s *statistics) follow(by *choosing, at time.Time, others sums) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(by, at, nil)
	s.others = others
}

// knows tells whether this worker or another one has samples of it.
func (s *statistics) knows(by *choosing, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(by, at, nil)
	return s.own != sums{} || s.others != sums{}
}

// Learn takes what the other workers of the fleet know of how targets do, also those
// that died of late. What a worker that left knew goes with it. Safe for concurrent
// use.
func (r *Router) Learn(fleet *jobs.Fleet, worker string) {
	by, now := r.choosing.Load(), r.now()
	for _, t := range r.plan.Load().targets {
		var others sums
		for i := range fleet.Peers {
			if peer := &fleet.Peers[i]; peer.Worker != worker && peer.Statistics.Estimator == by.estimator {
				told := sumsOf(peer.Statistics.Of[t.Name])
				by.law.age(&told, by.law.fade(max(now.Sub(peer.At), 0)))
				others.add(&told)
			}
		}
		t.statistics.follow(by, now, others)
	}
}

// sumsOf reads what another worker told; what cannot be is nothing.
func sumsOf(told []float32) (s sums) {
	if len(told) != len(s) {
		return s
	}
	for i, x := range told {
		if x < 0 || math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return sums{}
		}
		s[i] = float64(x)
	}
	return s
}

// Remember takes attempts of the past, the oldest first, as if they had been made
// here: where the whole fleet was away, nobody else knows how targets do. Of a target
// that is known already it learns nothing. Safe for concurrent use.
func (r *Router) Remember(past []jobs.PastAttempt) {
	by, now, plan := r.choosing.Load(), r.now(), r.plan.Load()
	known := map[string]bool{}
	for name, t := range plan.byName {
		known[name] = t.statistics.knows(by, now)
	}
	for i := range past {
		a := &past[i]
		if t := plan.byName[a.Target]; t != nil && !known[a.Target] && !a.Probe {
			t.statistics.note(by, earlier(a.At.Add(a.Latency), now), &a.Attempt)
		}
		if route := plan.routes[a.Route]; route != nil && a.Class == jobs.OK && a.Usage.Output > 0 { // of what, it does not say; vectors have none
			route.lengths.learn(0, a.Usage)
		}
	}
}
