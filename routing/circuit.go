package routing

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"tidegate/jobs"
)

// A Circuit is the breaker of one target. It stands on failsafe-go's, which
// keeps the window of calls and the three states, and adds what calls that take
// minutes need: permits that know which epoch they are from, a third
// outcome, a cooldown apart from the state, and a clock that can be set.
//
// Safe for concurrent use.
type Circuit struct {
	fleet    bool // others share it: see circuit_fleet.go
	now      func() time.Time
	onChange func(jobs.Circuit) // called under mu: must not call back
	onTurn   func(closed bool)  // the same, when it opened or closed, whoever made it; nil: nobody wants to know
	onAccept func()             // the same, when a person takes a degraded target as it is; nil: nobody wants to know

	began    time.Time    // this circuit
	cooldown atomic.Int64 // nanoseconds since then before which no call goes out; grows, but for a person's word

	mu         sync.Mutex
	target     *jobs.Target // as it is configured now
	limits     jobs.Thresholds
	random     *rand.Rand
	breaker    circuitbreaker.CircuitBreaker[any]
	epoch      uint64 // grows with every change of state in this process: permits of another one are stale
	generation uint64 // grows with every change of state in the fleet
	local      bool   // open for what only this host saw
	granted    bool   // this process has the fleet's probe of this generation
	person     bool   // a person made this generation
	unreached  bool   // the last call from here did not get through
	inARow     int
	fresh      freshRow
	drought    drought
	probeOut   bool          // the half-open permit is taken
	downSince  time.Time     // when the circuit left closed; zero: it is closed
	tripWait   time.Duration // the last wait after a trip
	served     time.Time     // when the latest of those calls of its own epoch began that were a success
	since      time.Time     // when the epoch began
	degraded   string        // how its answers have changed; empty: they have not: see circuit_degraded.go
	watched    bool          // it was open for that, and closed again
	shown      time.Time     // when it was last seen to be so
	relapse    time.Duration // the last wait for that
	forgave    time.Time     // when it was last as before
	reason     string
	outages    outages // that are over
}

const (
	never        = math.MaxInt64
	noCooldown   = math.MinInt64 // of the circuit so far
	roundingSlop = 1e-9          // 0.07 × 100 is a little more than 7
)

// newCircuit returns a closed circuit. Thresholds that are zero are the
// defaults.
func newCircuit(target *jobs.Target, config Config) *Circuit {
	c := &Circuit{
		target: target, limits: withDefaults(target.Circuit), fleet: config.Fleet, now: config.Now, onChange: config.OnChange,
		random: rand.New(rand.NewPCG(config.Seed, hash(target.Name))),
		began:  config.Now(), since: config.Now(),
	}
	c.cooldown.Store(noCooldown)
	c.breaker = newBreaker(c.limits)
	return c
}

func newBreaker(limits jobs.Thresholds) circuitbreaker.CircuitBreaker[any] {
	failures := uint(max(1, math.Ceil(limits.FailureRate*float64(limits.Window)-roundingSlop)))
	return circuitbreaker.NewBuilder[any]().
		WithFailureThresholdRatio(failures, uint(limits.Window)).
		WithSuccessThreshold(1).
		WithDelay(never). // half-open is ours to decide
		Build()
}

func withDefaults(t jobs.Thresholds) jobs.Thresholds {
	d := jobs.DefaultThresholds
	if t.FailuresInARow <= 0 {
		t.FailuresInARow = d.FailuresInARow
	}
	if t.FailureRate <= 0 {
		t.FailureRate = d.FailureRate
	}
	if t.Window <= 0 {
		t.Window = d.Window
	}
	if t.Cooldown <= 0 {
		t.Cooldown = d.Cooldown
	}
	return t
}

// open requires mu. said tells that the provider said so itself, and that it is
// so for the whole fleet.
func (c *Circuit) open(wait time.Duration, said bool, reason string) {
	c.local = c.fleet && !said && (c.local || c.downSince.IsZero())
	c.breaker.Open()
	c.inARow = 0
	now := c.now()
	if c.downSince.IsZero() {
		c.downSince = now
	}
	c.extend(now.Add(wait))
	c.changed(reason)
}

// close requires mu.
func (c *Circuit) close(reason string) {
	c.breaker.Close()
	c.recover()
	c.watched = c.degraded != ""
	c.changed(reason)
	c.local = false
}

// recover requires mu.
func (c *Circuit) recover() {
	if !c.downSince.IsZero() && !c.local {
		c.outages.add(c.now().Sub(c.downSince))
	}
	c.downSince, c.tripWait, c.inARow = time.Time{}, 0, 0
}

// follow opens the circuit of a target that shares what was refused at another,
// and doubles from where that one is: else many targets of one account would
// each begin with a minute.
func (c *Circuit) follow(t tripped, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tripWait = max(c.tripWait, t.wait)
	c.open(t.until.Sub(c.now()), true, reason)
}

// Cool holds back every call until the given time and leaves the state as it
// is. A cooldown never gets shorter.
func (c *Circuit) Cool(until time.Time, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.extend(until) {
		return
	}
	if c.breaker.IsClosed() { // otherwise why it opened matters more
		c.reason = reason
	}
	c.report()
}

// extend requires mu.
func (c *Circuit) extend(until time.Time) bool {
	from := int64(until.Sub(c.began))
	if from <= c.cooldown.Load() {
		return false
	}
	c.cooldown.Store(from)
	return true
}

// cools tells whether a cooldown is on at a time. It needs no lock. It counts in
// time that passes, whatever is done to the machine's clock.
func (c *Circuit) cools(at time.Time) bool { return c.cooldown.Load() > int64(at.Sub(c.began)) }

// cooledAt is the end of the cooldown; zero: there was none. It needs no lock.
func (c *Circuit) cooledAt() time.Time {
	if from := c.cooldown.Load(); from != noCooldown {
		return c.began.Add(time.Duration(from))
	}
	return time.Time{}
}

// changed requires mu.
func (c *Circuit) changed(reason string) {
	if !c.local {
		c.generation++
	}
	c.person = false
	c.turned()
	c.since, c.reason = c.now(), reason
	c.report()
}

// turned requires mu. What began before says nothing any more.
func (c *Circuit) turned() {
	c.epoch++
	c.probeOut, c.granted, c.fresh = false, false, freshRow{}
	if c.onTurn != nil {
		c.onTurn(c.breaker.IsClosed())
	}
}

// report requires mu.
func (c *Circuit) report() {
	if c.onChange != nil {
		c.onChange(c.snapshot())
	}
}

// servedSince tells whether the target was in order ever since t: its circuit
// stayed closed, and it did its part for somebody.
func (c *Circuit) servedSince(t time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.breaker.IsClosed() && !c.since.After(t) && c.served.After(t)
}

// outage is what there is to know of the one that goes on.
func (c *Circuit) outage() outage {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	o := outage{ends: c.breaker.IsClosed(), typical: c.outages}
	if c.cools(now) {
		o.known = c.cooledAt().Sub(now)
	}
	if !c.downSince.IsZero() {
		o.age = max(0, now.Sub(c.downSince))
	}
	return o
}
