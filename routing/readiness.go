package routing

import (
	"fmt"
	"time"

	"tidegate/jobs"
)

// A Readiness is whether a target may be called at one moment.
type Readiness int

// The kinds of readiness.
const (
	Shut       Readiness = iota // nobody may call
	ProbeReady                  // one caller may, as the probe
	Flowing                     // all may
)

// Ready tells whether the target may be called now, without taking a permit.
// When it is Shut, until is when that may change; it is zero while a probe is
// out, here or elsewhere in the fleet, whose answer will tell.
func (c *Circuit) Ready() (ready Readiness, until time.Time, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ready, until = c.ready()
	if ready == Shut {
		reason = c.why(until)
	}
	return ready, until, reason
}

// readiness is Ready without the reason, for those who do not tell anybody. It
// allocates nothing.
func (c *Circuit) readiness() (ready Readiness, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ready()
}

// ready requires mu.
func (c *Circuit) ready() (ready Readiness, until time.Time) {
	if c.cools(c.now()) {
		return Shut, c.cooledAt()
	}
	switch {
	case c.breaker.IsClosed():
		return Flowing, time.Time{}
	case c.probeOut, !c.mayProbe():
		return Shut, time.Time{}
	default:
		return ProbeReady, time.Time{}
	}
}

// why requires mu.
func (c *Circuit) why(until time.Time) string {
	switch {
	case until.IsZero() && c.probeOut:
		return "circuit half-open, a probe is out: " + c.reason
	case until.IsZero():
		return "circuit open, a probe is due: " + c.reason
	case c.state() == jobs.CircuitClosed:
		return "cooling down: " + c.reason
	default:
		return fmt.Sprintf("circuit %s: %s", c.state(), c.reason)
	}
}
