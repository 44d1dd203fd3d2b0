package routing

import "tidegate/jobs"

// A circuit that a fleet shares follows what the others wrote down. Generations
// are the fleet's: the higher one is right. What only this host saw, before a
// connection stood, opens the circuit here and for nobody else, until somebody
// else sees it, too.

// mayProbe requires mu. In a fleet, one worker at a time has the right to probe;
// what only this host saw, it probes by itself.
func (c *Circuit) mayProbe() bool { return !c.fleet || c.local || c.granted }

// adopt follows what the fleet says of the circuit, and tells whether that
// changed its state here. It is not reported: who tells us has it from there.
func (c *Circuit) adopt(said jobs.Circuit) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.news(said) {
		c.extend(said.CooldownUntil)
		return false
	}
	c.generation, c.person = said.Generation, said.Person
	c.adoptMark(said)
	if said.Person {
		c.cooldown.Store(noCooldown)
	}
	c.extend(said.CooldownUntil)
	if said.State == jobs.CircuitClosed {
		return c.adoptClosed(said)
	}
	c.local = false
	c.breaker.Open()
	c.downSince, c.tripWait = said.DownSince, said.TripWait
	if c.downSince.IsZero() {
		c.downSince = c.now()
	}
	c.turned()
	c.since, c.reason, c.inARow = said.Since, said.Reason, 0
	return true
}

// adoptMark requires mu.
func (c *Circuit) adoptMark(said jobs.Circuit) {
	closed := said.State == jobs.CircuitClosed
	if said.Person && closed && c.degraded != "" && c.onAccept != nil {
		c.onAccept()
	}
	switch {
	case c.degraded != "" && said.Degraded == "":
		c.forgave = c.now()
	case c.degraded == "" && said.Degraded != "":
		c.shown = c.now()
	}
	c.degraded = said.Degraded
	c.watched = closed && c.degraded != "" && (c.watched || !c.breaker.IsClosed())
	if !closed && c.degraded != "" {
		c.relapse = max(said.TripWait, c.relapse)
	}
	if said.Person {
		c.relapse = 0
	}
}

// news tells whether the fleet knows better. Two workers may move on to the same
// generation, each in its own way: what was written down first stands, and is
// right. It requires mu.
func (c *Circuit) news(said jobs.Circuit) bool {
	if said.Generation == c.generation && !c.local {
		return c.breaker.IsClosed() != (said.State == jobs.CircuitClosed)
	}
	return said.Generation > c.generation
}

// adoptClosed requires mu. The others' good news does not mend what this host
// cannot reach; a person may know better.
func (c *Circuit) adoptClosed(said jobs.Circuit) bool {
	if c.breaker.IsClosed() || c.local && !said.Person {
		return false
	}
	c.breaker.Close()
	c.recover()
	c.local = false
	c.turned()
	c.since, c.reason = said.Since, said.Reason
	return true
}

// grant gives this process the fleet's probe of a generation. It returns false
// if the circuit has moved on since, or nothing is left to probe.
func (c *Circuit) grant(generation uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation != generation || c.local || c.breaker.IsClosed() {
		return false
	}
	c.granted = true
	return true
}

// ungrant gives the fleet's probe back: this process does not call the target any
// more, and once it does again, the probe may be another's.
func (c *Circuit) ungrant() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.granted = false
}

// share makes what only this host saw the fleet's: others saw it, too.
func (c *Circuit) share() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.local {
		return
	}
	c.local = false
	c.breaker.Open() // a probe of ours that is out says nothing any more, and must not keep the fleet's from going
	c.changed(c.reason)
}
