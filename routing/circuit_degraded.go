package routing

import (
	"time"
)

const (
	// degradedFirst is how many of a circuit's own cooldowns the first wait of one is
	// that opened for bad answers; it doubles up to an hour, since each trial may cost a
	// request a bad answer.
	degradedFirst = 5
	degradedMax   = time.Hour
	// forgiven is how many of these waits a target must be as before, until the next
	// one is the first again.
	forgiven = 4
)

// A degraded target answers, but not as it did. That is marked, and everybody knows;
// when it goes on, the circuit opens, and is probed as any other. A probe that is
// answered well closes it, and the mark stays until enough answers were good:
//
//	       a change is seen           it goes on
//	well ───────────────────> marked ───────────> open, marked
//	 ^                          ^  │                  │ ^
//	 │    enough good answers   │  │  it is over      │ │ a few bad answers,
//	 └──────────────────────────┼──┘    a good probe  v │ and twice the wait
//	                            └──────────────── closed, watched

// standing is where a degraded target stands.
type standing struct {
	mark    string // why it is; empty: it is not
	closed  bool
	watched bool // it was open for it, and closed again
	current bool // the call began since the circuit last changed
}

// standing looks at the circuit for a call that has ended.
func (p *Permit) standing() standing {
	c := p.circuit
	c.mu.Lock()
	defer c.mu.Unlock()
	return standing{mark: c.degraded, closed: c.breaker.IsClosed(), watched: c.watched, current: p.epoch == c.epoch}
}

// mark notes that the target is degraded, and leaves the circuit closed.
func (c *Circuit) mark(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.degraded != "" || !c.breaker.IsClosed() {
		return
	}
	if c.now().Sub(c.forgave) > forgiven*c.relapse {
		c.relapse = 0
	}
	c.degraded, c.watched, c.shown = reason, false, c.now()
	c.remarked()
}

// unmark notes that the target is as before.
func (c *Circuit) unmark() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.degraded == "" || !c.breaker.IsClosed() {
		return
	}
	c.degraded, c.watched, c.forgave = "", false, c.now()
	c.remarked()
}

// remarked tells of a mark. No call in flight means anything else by it. It requires
// mu.
func (c *Circuit) remarked() {
	if !c.local {
		c.generation++
	}
	c.person = false
	c.report()
}

// degrade opens the circuit for bad answers.
func (c *Circuit) degrade(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.breaker.IsClosed() {
		c.openDegraded(reason)
	}
}

// degrade opens the circuit for what this call was answered, as the probe or soon
// after it.
func (p *Permit) degrade(reason string) {
	c := p.circuit
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.done || p.epoch != c.epoch {
		return
	}
	p.done = true
	c.openDegraded(reason)
}

// openDegraded requires mu.
func (c *Circuit) openDegraded(reason string) {
	wait := min(max(2*c.relapse, degradedFirst*c.limits.Cooldown), degradedMax)
	c.relapse, c.tripWait, c.degraded, c.shown = wait, wait, reason, c.now()
	c.open(wait, true, "degraded: "+reason)
}

// acquit closes a circuit that was opened for what is not the target's fault.
func (c *Circuit) acquit(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.degraded == "" {
		return
	}
	c.degraded, c.watched, c.relapse = "", false, 0
	if c.breaker.IsClosed() {
		c.remarked()
		return
	}
	c.cooldown.Store(noCooldown)
	c.close(reason)
}

// shows hears that the target was seen to be degraded again.
func (c *Circuit) shows() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown = c.now()
}

// trust is what of its success rate a target is believed: less while it is marked.
// Where nothing is seen of that any more, because nobody asks it, it is believed more
// and more, and so it is asked again.
func (c *Circuit) trust() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.degraded == "" {
		return 1
	}
	return 1 - (1-degradedTrust)*halved(max(0, c.now().Sub(c.shown)), trustHalf)
}

const (
	degradedTrust = 0.5              // what a degraded target is believed, …
	trustHalf     = 10 * time.Minute // … and by when half of what is missing to 1 is given back
)
