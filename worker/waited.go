package worker

import (
	"time"

	"tidegate/jobs"
)

// What held calls back is written down with them: a replay, and who reads the ledger,
// must be able to tell a wait from a busy fleet.

// holds are when nobody of a queue was let go, and why: the last time of each.
type holds map[jobs.WaitedFor]time.Time

// hold remembers why the first of a queue, and so all who wait behind it, may not go.
// It requires mu.
func (r *room) hold(q *queue, why jobs.WaitedFor) {
	if r.held[q] == nil {
		r.held[q] = holds{}
	}
	r.held[q][why] = r.now()
}

// waitedFor is what a waiter was held back for since it came. It requires mu.
func (r *room) waitedFor(q *queue, w *waiter) (why jobs.WaitedFor) {
	for reason, last := range r.held[q] {
		if !last.Before(w.since) {
			why = reason.Weightier(why)
		}
	}
	return why
}

// holdOf is what an outcome that holds for all of a route has them wait for.
func holdOf(outcome jobs.Outcome) jobs.WaitedFor {
	if outcome.Paced {
		return jobs.WaitedForPace
	}
	return jobs.WaitedForGate
}

// waitsFor remembers what the next call of a run waits for.
func (r *run) waitsFor(why jobs.WaitedFor) { r.why = why.Weightier(r.why) }

// restsFor is what a request that is blocked waits for.
func (r *run) restsFor(outcome jobs.Outcome) jobs.WaitedFor {
	switch {
	case r.patient:
		return jobs.WaitedForPrice
	case outcome.Held, outcome.Paced:
		return holdOf(outcome)
	default:
		return jobs.WaitedForTarget
	}
}

// wasParkedFor is what the job of a run was parked for before it came here.
func (r *run) wasParkedFor() (why jobs.WaitedFor) {
	switch {
	case r.marked:
		return jobs.WaitedForBudget
	case r.parked:
		return jobs.WaitedForPrice
	case r.skipped:
		return jobs.WaitedForTarget
	default:
		return ""
	}
}
