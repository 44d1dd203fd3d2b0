package worker

import "tidegate/jobs"

// A Watch is told what a worker does, for metrics and traces. Nobody is told by a nil
// function. They are called by many at once, and must not block.
type Watch struct {
	// Kept hears of calls that were written down, and of the result if there is one.
	// stored tells whether it is the one that stands: another may have been there.
	Kept func(entry *jobs.Entry, stored bool)
	// Expired hears how many requests ended in their queues for their deadline, and
	// Rescued what was done with the jobs of a worker that died. Both are of a worker
	// that supervises.
	Expired func(requests int)
	Rescued func(jobs.Rescue)
}

func (w Watch) kept(entry *jobs.Entry, stored bool) {
	if w.Kept != nil {
		w.Kept(entry, stored)
	}
}

func (w Watch) expired(requests int) {
	if w.Expired != nil && requests > 0 {
		w.Expired(requests)
	}
}

func (w Watch) rescued(done jobs.Rescue) {
	if w.Rescued != nil {
		w.Rescued(done)
	}
}

// InHand counts the jobs of each route that this worker has in hand: called, or waiting
// at the gate.
func (w *Worker) InHand() map[string]int { return w.room.InHand() }

// Leads tells whether this worker supervises the fleet.
func (w *Worker) Leads() bool {
	_, leads := w.supervisor.Leads()
	return leads
}
