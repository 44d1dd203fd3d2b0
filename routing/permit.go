package routing

import (
	"cmp"
	"fmt"
	"time"

	"tidegate/jobs"
)

// An Outcome is what a finished call says of its target.
type Outcome int

// The outcomes.
const (
	Neutral Outcome = iota // nothing: it was cancelled, or the request's own fault
	Success                // the target did its part
	Failure                // it did not
)

// A Permit allows one call. Report it exactly once; later reports do nothing,
// so `defer permit.Done(Neutral, "")` frees a probe whatever happens. It belongs
// to one goroutine, and a copy of it must not be reported, too.
type Permit struct {
	circuit *Circuit
	by      *jobs.Target // what the call is made by; nil: what is configured when it ends
	epoch   uint64
	number  int // of the calls of its epoch, in the order of their permits
	began   time.Time
	probe   bool
	done    bool
}

// Probe tells whether the call is the trial call of a half-open circuit.
func (p *Permit) Probe() bool { return p.probe }

// Acquire takes a permit. It takes none while a cooldown runs, while the
// circuit is open, and while another probe is out; then Ready says until when.
// A refusal costs well under a microsecond and no allocation.
func (c *Circuit) Acquire() (Permit, bool) {
	now := c.now()
	if c.cools(now) {
		return Permit{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cools(now) { // it may have begun while we waited
		return Permit{}, false
	}
	if c.breaker.IsOpen() {
		if !c.mayProbe() {
			return Permit{}, false
		}
		c.breaker.HalfOpen()
		c.epoch++
		c.report()
	}
	if !c.breaker.TryAcquirePermit() {
		return Permit{}, false
	}
	c.probeOut = c.breaker.IsHalfOpen()
	return Permit{circuit: c, epoch: c.epoch, number: c.fresh.next(), began: now, probe: c.probeOut}, true
}

// renew tells, just before the call, whether the permit still stands: a circuit
// that has changed since, or a cooldown that has begun, takes it back.
func (p *Permit) renew() bool {
	c := p.circuit
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if p.done || p.epoch != c.epoch || c.cools(now) {
		return false
	}
	p.began = now
	return true
}

// Done reports how the call ended, with a reason that a person can read. A call
// that began before the circuit last changed says nothing of it any more, and
// is ignored. A failure is one that the provider told of.
func (p *Permit) Done(outcome Outcome, reason string) {
	p.end(outcome, ending{said: true, reason: reason})
}

// An ending is what there is to know of a call's end besides its outcome.
type ending struct {
	said   bool // a failure: the provider told of it, so it is one for the whole fleet
	reason string
}

func (p *Permit) end(outcome Outcome, with ending) {
	c := p.circuit
	if p.done || c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p.done = true
	if outcome != Neutral {
		c.unreached = outcome == Failure && !with.said
	}
	if p.epoch != c.epoch {
		return
	}
	switch outcome {
	case Success:
		c.succeed(p, with)
	case Failure:
		c.fail(p, with)
	case Neutral:
		if p.probe { // the trial told nothing: the next caller may try
			c.breaker.Open()
			c.breaker.HalfOpen()
			c.probeOut = false
			c.report()
		}
	}
}

// succeed requires mu.
func (c *Circuit) succeed(p *Permit, with ending) {
	c.inARow, c.tripWait, c.drought = 0, 0, drought{}
	c.fresh.succeed(p.number)
	c.breaker.RecordSuccess()
	if p.probe {
		c.close(cmp.Or(with.reason, "a probe was answered"))
	}
	if p.began.After(c.served) {
		c.served = p.began
	}
}

// fail requires mu.
func (c *Circuit) fail(p *Permit, with ending) {
	c.inARow++
	c.fresh.fail(p.number)
	if p.probe {
		c.open(c.probeWait(), with.said, with.reason)
		return
	}
	c.breaker.RecordFailure()
	switch {
	case c.breaker.IsOpen():
		seen := c.breaker.Metrics()
		c.open(c.limits.Cooldown, with.said, fmt.Sprintf("%d of the last %d calls failed: %s", seen.Failures(), seen.Executions(), with.reason))
	case c.inARow >= c.limits.FailuresInARow:
		c.open(c.limits.Cooldown, with.said, fmt.Sprintf("%d failures in a row: %s", c.inARow, with.reason))
	case c.fresh.dead(c.limits.FailuresInARow):
		c.open(c.limits.Cooldown, with.said, fmt.Sprintf("%d failures of calls that began one after the other: %s", c.fresh.failed, with.reason))
	}
}

const (
	probeShare   = 0.05 // of the outage so far, until the next probe
	probeWaitMin = time.Second
	probeWaitMax = time.Minute
	probeJitter  = 0.1
	tripWaitMin  = time.Minute     // after a refusal of the account or the key …
	tripWaitMax  = time.Hour       // … doubling up to this
	resetGrace   = 5 * time.Second // after a reset that the rules of a provider tell of
)

// probeWait is how long a failed probe puts off the next one: a twentieth of
// the outage so far. It requires mu.
func (c *Circuit) probeWait() time.Duration {
	share := probeShare * float64(c.now().Sub(c.downSince))
	wait := min(max(time.Duration(share), probeWaitMin), probeWaitMax)
	return time.Duration(float64(wait) * (1 + probeJitter*(2*c.random.Float64()-1)))
}

// trip reports that the provider refused the account or the key, and opens the
// circuit at once, whatever its window says, for as long as the provider said,
// else for a minute, doubling up to an hour, and no longer than until a reset that
// is known. A probe that is refused doubles, too: what the provider said last time
// was not so. It returns how long that is, and false if the call began before the
// circuit last changed, since many calls in flight meet one refusal, or by a key or
// an address that is not configured any more.
func (p *Permit) trip(err *jobs.Error) (tripped, bool) {
	c := p.circuit
	if p.done || c == nil {
		return tripped{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.by != nil && !sameAddress(p.by, c.target) { // a probe has told nothing: it is still to be freed
		return tripped{}, false
	}
	p.done = true
	if p.epoch != c.epoch {
		return tripped{}, false
	}
	wait := err.RetryAfter
	if p.probe || wait <= 0 {
		c.tripWait = min(max(2*c.tripWait, tripWaitMin), tripWaitMax)
		wait = max(wait, c.tripWait)
	}
	if err.ResetsIn > 0 {
		wait = min(wait, err.ResetsIn+resetGrace)
	}
	c.open(wait, true, err.Gist())
	return tripped{until: c.cooledAt(), wait: c.tripWait}, true
}

// tripped is how long the refusal of an account or a key shuts its targets.
type tripped struct {
	until time.Time
	wait  time.Duration // the doubling wait so far; zero: none was needed, the provider said until when
}
