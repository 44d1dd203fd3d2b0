package routing

import (
	"slices"
	"time"

	"tidegate/jobs"
)

// What a worker tells its router of the other workers, and what it tells them.

// Follow takes what the fleet says: where circuits stand, what of a target's rate
// is this worker's, and whether others see, too, what only this host saw. It
// returns the circuits whose state changed here by it.
func (r *Router) Follow(fleet *jobs.Fleet, worker string) []jobs.Circuit {
	plan := r.plan.Load()
	r.ahead.Store(int64(fleet.Ahead))
	changed := plan.adopt(fleet.Circuits)
	r.Learn(fleet, worker)
	shares := r.sharesDue()
	for _, t := range plan.targets {
		if shares {
			t.pace.follow(paceShareOf(fleet, worker, t.Name))
		}
		if t.circuit.Snapshot().Local && seenByOthers(fleet, worker, t.Name) {
			t.circuit.share()
		}
	}
	return changed
}

// sharesEvery bounds how often shares follow the fleet: one grows when it was told
// to twice, and in between the others are to have shrunk.
const sharesEvery = 900 * time.Millisecond

func (r *Router) sharesDue() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if !r.sharedAt.IsZero() && now.Sub(r.sharedAt) < sharesEvery {
		return false
	}
	r.sharedAt = now
	return true
}

func (p *plan) adopt(said []jobs.Circuit) []jobs.Circuit {
	var changed []jobs.Circuit
	for _, circuit := range said {
		if t := p.byName[circuit.Target]; t != nil && t.circuit.adopt(circuit) {
			changed = append(changed, t.circuit.Snapshot())
		}
	}
	return changed
}

// seenByOthers tells whether another worker cannot reach a target either, or
// there is no other who could tell.
func seenByOthers(fleet *jobs.Fleet, worker, target string) bool {
	alone := true
	for i := range fleet.Peers {
		peer := &fleet.Peers[i]
		if peer.Dead || peer.Worker == worker {
			continue
		}
		if slices.Contains(peer.Unreached, target) {
			return true
		}
		alone = false
	}
	return alone
}

// Beat is what the worker tells the fleet of itself, but for its name. inHand
// counts, for each route, the requests that it has in hand.
func (r *Router) Beat(inHand map[string]int) jobs.Beat {
	plan := r.plan.Load()
	beat := jobs.Beat{Demand: map[string]int{}, Accepted: map[string]float64{}, Announced: map[string]float64{}}
	for name, n := range inHand {
		if route := plan.routes[name]; route != nil {
			out := 0
			for _, t := range route.chain {
				beat.Demand[t.Name] += n
				out += t.pace.load().out
			}
			route.waiting.Store(int64(max(0, n-out)))
		}
	}
	choosing, now := r.choosing.Load(), r.now()
	beat.Statistics = jobs.Statistics{Estimator: choosing.estimator, Of: map[string][]float32{}}
	for _, t := range plan.targets {
		if known := t.statistics.share(choosing, now); known != nil {
			beat.Statistics.Of[t.Name] = known
		}
		accepted, announced := t.pace.report()
		if accepted > 0 {
			beat.Accepted[t.Name] = accepted
		}
		if announced > 0 {
			beat.Announced[t.Name] = announced
		}
		if t.circuit.Snapshot().Local {
			beat.Unreached = append(beat.Unreached, t.Name)
		}
	}
	return beat
}

// Grant gives this router the fleet's probe of a target: its next request there,
// or Probe, is the trial call. It returns false if the circuit is not open in
// that generation any more.
func (r *Router) Grant(target string, generation uint64) bool {
	r.reloading.Lock() // a target that leaves gives its probe back after that
	defer r.reloading.Unlock()
	t := r.plan.Load().byName[target]
	return t != nil && t.circuit.grant(generation)
}
