package worker

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tidegate/jobs"
)

// An egress looks whether this host alone cannot reach its targets, while the
// fleet can: then the jobs that wait here would be answered elsewhere at once.
type egress struct {
	circuits Circuits
	routes   []string
	budget   time.Duration
	log      zerolog.Logger
	now      func() time.Time

	mu    sync.Mutex
	since time.Time // when every route began to hold here, and nowhere else; zero: it is not so
	lost  context.Context
	lose  context.CancelFunc
	back  chan struct{} // closed while it is not lost
}

func newEgress(config *Config) *egress {
	e := &egress{circuits: config.Circuits, routes: config.Queues, budget: config.HoldBudget, log: config.Log, now: config.Now, back: make(chan struct{})}
	e.lost, e.lose = context.WithCancel(context.Background())
	close(e.back)
	return e
}

// Lost is a context that ends when this host has been cut off for its budget.
func (e *egress) Lost() context.Context {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lost
}

// AwaitBack waits until the host reaches a target again, or ctx ends.
func (e *egress) AwaitBack(ctx context.Context) {
	e.mu.Lock()
	back := e.back
	e.mu.Unlock()
	select {
	case <-back:
	case <-ctx.Done():
	}
}

// Look compares what the gates do here with what the fleet's circuits say.
func (e *egress) Look(fleet *jobs.Fleet) {
	cut := e.cut(fleet)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch gone := e.lost.Err() != nil; {
	case !cut && gone:
		e.log.Warn().Msg("this host reaches a target again: it takes jobs")
		e.lost, e.lose = context.WithCancel(context.Background())
		close(e.back)
		e.since = time.Time{}
	case !cut:
		e.since = time.Time{}
	case e.since.IsZero():
		e.since = e.now()
	case !gone && e.now().Sub(e.since) >= e.budget:
		e.log.Error().Time("since", e.since).Msg("this host alone cannot reach any target: it gives its jobs back to others, until its own probe succeeds")
		e.back = make(chan struct{})
		e.lose()
	}
}

// cut tells whether every route holds here, also where a probe is due, and some
// target is reached by others.
func (e *egress) cut(fleet *jobs.Fleet) bool {
	here, others := e.circuits.Circuits(), false
	for _, route := range e.routes {
		chain := fleet.Chains[route]
		if !jobs.Hold(chain, here, e.now()).Holds {
			return false
		}
		others = others || !jobs.Hold(chain, fleet.Circuits, e.now()).Holds
	}
	return others
}
