package routing

import (
	"math"
	"time"
)

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

// A load is how much is asked of a target, beside what may be.
type load struct {
	out    int           // calls that are out
	places int           // for calls at once; zero: no bound
	rate   float64       // calls a second; +Inf: no bound
	next   time.Duration // until the pace would let a call go; zero: now
	full   bool          // all places are taken: a call that ends will tell
}

// load tells how much is asked of the target.
func (p *pace) load() load {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	l := load{out: p.places.out, places: p.places.bound(), rate: p.law.rate, full: !p.places.free()}
	if p.clock.paused() {
		l.next = p.clock.until.Sub(p.clock.seen)
	}
	l.next = max(l.next, p.requests.wait(1), p.tokens.wait(someTokens))
	return l
}

// limit is how many calls at once there may be, of which each takes so long; zero:
// no limit is known.
func (l load) limit(seconds float64) float64 {
	limit := math.Inf(1)
	if l.places > 0 {
		limit = float64(l.places)
	}
	if limit = min(limit, l.rate*seconds); math.IsInf(limit, 1) {
		return 0
	}
	return max(limit, 1)
}

// until is how long one of those who wait is to wait for its turn, if all of them wait
// for this target, and a call takes so long; zero: it may go now.
func (l load) until(waiting, seconds float64) time.Duration {
	if l.next == 0 && !l.full {
		return 0
	}
	rate := l.rate
	if l.places > 0 && seconds > 0 {
		rate = min(rate, float64(l.places)/seconds)
	}
	if math.IsInf(rate, 1) {
		return l.next
	}
	return max(l.next, inSeconds(max(waiting, 1)/rate))
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
