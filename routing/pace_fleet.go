package routing

import "time"

// A paceShare is what the fleet says to a worker of one target.
type paceShare struct {
	Share     float64 // of the account's limits, in (0, 1]; zero: an even one
	Workers   int
	LastGood  float64 // the highest known rate of the fleet, in calls a second; zero: not known
	Announced float64 // what the provider announced to any worker, in calls a second; zero: nothing
}

// follow hears what the fleet says, each second. A larger share is taken when it
// was said twice in a row.
func (p *pace) follow(said paceShare) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	if said.Announced > 0 {
		p.limits.told = said.Announced
	}
	if said.LastGood > 0 {
		p.lastGood = said.LastGood
	}
	if said.Share <= 0 {
		said.Share = 1 / float64(max(1, said.Workers))
	}
	p.law.scale(p.share.follow(min(1, said.Share)))
	p.law.lastGood = p.lastGood * p.share.now
	p.relimit()
	if !p.places.proven {
		p.law.best = 0          // what was done so far, with a few places, proves nothing
		p.law.begin(p.clock.at) // with what is known now
	}
	p.rerate()
}

// report says what to tell the fleet, in calls a second: those that the target
// accepted of late, while it was asked for all that it takes or that it may be
// asked for (a rate of demand says nothing of a target), and what the provider
// announced of late; zero: nothing.
func (p *pace) report() (accepted, announced float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	return p.law.proven, p.limits.heard(p.clock.seen)
}

// A paceSnapshot is what people are shown of a pace.
type paceSnapshot struct {
	Rate        float64   // calls a second that this worker may make now; +Inf: no bound
	Limit       float64   // its share of the account's limit, in calls a second; +Inf: none is known
	Ceiling     float64   // the rate at which it was refused last, since the circuit closed; zero: it was not
	Accepted    float64   // calls a second, lately
	Share       float64   // of the account's limits, in (0, 1]
	InFlight    int       // calls that are out
	Places      int       // for calls at once; zero: no bound
	PausedUntil time.Time // by a 429; zero: it is not
}

func (p *pace) snapshot() paceSnapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	s := paceSnapshot{
		Rate: p.law.rate, Limit: p.law.limit, Ceiling: p.law.ceiling, Accepted: p.law.lately,
		Share: p.share.get(), InFlight: p.places.out, Places: p.places.bound(),
	}
	if p.clock.paused() {
		s.PausedUntil = p.clock.until
	}
	return s
}
