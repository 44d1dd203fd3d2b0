package worker

import (
	"sync"
	"time"

	"tidegate/jobs"
)

// quarantineRest is how long a job of the quarantine that must not run here
// waits in its queue before somebody takes it again.
const quarantineRest = 3 * time.Second

// A quarantine says which of its jobs may run in this worker. Every worker takes
// that one queue, whatever routes it serves, and a pause of a route is one of the
// route's own queue. Safe for concurrent use.
type quarantine struct {
	mu     sync.Mutex
	serves map[string]bool // by route: that this worker works it
	paused map[string]bool // by route: that a person paused it, when the fleet was last read
}

func newQuarantine(routes []string) *quarantine {
	q := &quarantine{serves: make(map[string]bool, len(routes)), paused: map[string]bool{}}
	for _, route := range routes {
		q.serves[route] = true
	}
	return q
}

// Look takes in who pauses what. What circuits pause may run: it waits at the
// gate, as those do that were in hand when the pause began.
func (q *quarantine) Look(fleet *jobs.Fleet) {
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.paused)
	for _, pause := range fleet.Pauses {
		if pause.Owner == jobs.OwnerPerson {
			q.paused[pause.Route] = true
		}
	}
}

// Lets tells whether a job of a route may run here now.
func (q *quarantine) Lets(route string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.serves[route] && !q.paused[route]
}
