package routing

import "tidegate/jobs"

// What a worker tells its router of the other workers, and what it tells them.

// Adopt follows what the fleet says of circuits. It returns those whose state
// changed here by it.
func (r *Router) Adopt(said []jobs.Circuit) []jobs.Circuit {
	var changed []jobs.Circuit
	for _, circuit := range said {
		if t := r.byName[circuit.Target]; t != nil && t.circuit.adopt(circuit) {
			changed = append(changed, t.circuit.Snapshot())
		}
	}
	return changed
}

// Grant gives this router the fleet's probe of a target: its next request there,
// or Probe, is the trial call. It returns false if the circuit is not open in
// that generation any more.
func (r *Router) Grant(target string, generation uint64) bool {
	t := r.byName[target]
	return t != nil && t.circuit.grant(generation)
}

// Share opens a circuit for the fleet that is open here for what only this host
// saw.
func (r *Router) Share(target string) {
	if t := r.byName[target]; t != nil {
		t.circuit.share()
	}
}
