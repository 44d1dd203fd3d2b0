package worker

import (
	"time"

	"tidegate/jobs"
)

// A guard looks whether a call ends: one that ignores its own timeout, for a bug
// in the provider's client, would keep its job for ever.
type guard struct {
	after time.Duration // beyond the call's own timeout
	stuck func(jobs.Begun)
	timer *time.Timer
}

// Watch watches a call until Stop. A call without a timeout is not watched.
func (g *guard) Watch(call jobs.Begun) {
	if call.Within > 0 {
		g.timer = time.AfterFunc(call.Within+g.after, func() { g.stuck(call) })
	}
}

// Stop ends the watch, if there is one.
func (g *guard) Stop() {
	if g.timer != nil {
		g.timer.Stop()
	}
}
