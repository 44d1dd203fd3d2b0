package routing

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"tidegate/jobs"
)

// A pace says when this worker may call a target: so many requests and tokens a
// second, so many calls at once. Safe for concurrent use.
type pace struct {
	limits jobs.Limits
	now    func() time.Time

	mu       sync.Mutex
	random   *rand.Rand
	clock    paceClock
	law      paceLaw
	requests bucket
	tokens   bucket
	places   places
	share    shareOf
	known    announcement
	lastGood float64 // calls a second of the fleet; zero: not known
}

// An announcement is what the provider says of the account's limits.
type announcement struct {
	requests float64 // calls a second, as this worker heard it; zero: it did not
	at       time.Time
	tokens   float64 // tokens a second, likewise
	told     float64 // calls a second, as another worker heard it; zero: none did
}

// freshFor is how long what was heard is better than what others tell.
const freshFor = time.Minute

func newPace(limits jobs.Limits, now func() time.Time, random *rand.Rand) *pace {
	p := &pace{limits: limits, now: now, random: random}
	p.clock.seen = now()
	p.places = places{most: limits.Concurrency, few: fewPlaces}
	p.law = newPaceLaw(math.Inf(1))
	p.requests, p.tokens = bucket{rate: math.Inf(1), level: 1}, bucket{rate: math.Inf(1), level: 1}
	p.relimit()
	p.law.begin(0)
	p.requests.setRate(p.law.rate)
	return p
}

// A paceEnd is how a call ended.
type paceEnd struct {
	class      jobs.Class
	tokens     int // that were taken for it
	usage      jobs.Usage
	retryAfter time.Duration // that a 429 asked for
	allowance  jobs.Allowance
}

// take reserves what a call needs, or nothing. When it may not go, again is when
// to ask next; zero: when another call ends.
func (p *pace) take(tokens int) (ok bool, again time.Time, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	if p.clock.paused() {
		return false, p.clock.until, "it asked to be left alone for a moment"
	}
	if !p.places.free() {
		return false, time.Time{}, "all of its calls at once are out"
	}
	if wait := p.requests.wait(1); wait > 0 {
		p.law.pressed = true
		return false, p.clock.seen.Add(wait), "its requests a second are used up"
	}
	if wait := p.tokens.wait(2 * bucketSlop); wait > 0 {
		return false, p.clock.seen.Add(wait), "its tokens a minute are used up"
	}
	p.requests.take(1)
	p.tokens.take(float64(tokens))
	p.places.out++
	p.law.sent++
	return true, time.Time{}, ""
}

// refund gives back what was taken for a call that was not made.
func (p *pace) refund(tokens int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	p.requests.take(-1)
	p.tokens.take(-float64(tokens))
	p.places.leave()
	p.law.sent--
}

// done hears how a call ended that was taken.
func (p *pace) done(end paceEnd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	p.places.leave()
	p.settle(end)
	p.hear(end)
}

// heard hears how a call ended that needed no pace, as a probe.
func (p *pace) heard(end paceEnd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	p.hear(end)
}

// settle corrects the tokens. It requires mu.
func (p *pace) settle(end paceEnd) {
	used := end.usage.Input + end.usage.Output
	switch {
	case end.class == jobs.Rate:
		p.tokens.take(-float64(end.tokens))
	case used > 0:
		p.tokens.take(float64(used - end.tokens))
	}
}

// hear requires mu.
func (p *pace) hear(end paceEnd) {
	p.learn(end.allowance)
	switch {
	case end.class == jobs.Rate:
		p.refused(end.retryAfter)
	case end.class.Answered():
		p.places.succeed(!math.IsInf(p.law.rate, 1))
	case end.class.Trips():
		p.places.fail()
	}
}

const (
	pauseBelow  = 5 * time.Second // what is longer is the circuit's cooldown
	pauseJitter = 0.1
)

// refused requires mu.
func (p *pace) refused(retryAfter time.Duration) {
	if p.law.refuse(p.clock.at) {
		p.requests.empty()
		p.rerate()
	}
	p.places.few = 0
	if retryAfter > 0 && retryAfter < pauseBelow {
		p.clock.pause(time.Duration(float64(retryAfter) * (1 + pauseJitter*p.random.Float64())))
	}
}

// tripped hears that the circuit opened.
func (p *pace) tripped() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	p.law.trip(p.clock.at)
}

// recovered hears that the circuit closed.
func (p *pace) recovered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	p.law.ramp(p.clock.at)
	p.requests.empty()
	p.rerate()
	p.places.few = 0
	if math.IsInf(p.law.rate, 1) {
		p.places.few = fewPlaces
	}
}

// A paceShare is what the fleet says.
type paceShare struct {
	Share     float64 // of this worker, in (0, 1]
	Workers   int
	LastGood  float64 // calls a second of the fleet; zero: not known
	Announced float64 // calls a second that the provider announced to any worker; zero: none
}

// follow hears what the fleet says, each second.
func (p *pace) follow(said paceShare) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	if said.Announced > 0 {
		p.known.told = said.Announced
	}
	if said.LastGood > 0 {
		p.lastGood = said.LastGood
	}
	share := said.Share
	if share <= 0 {
		share = 1 / float64(max(1, said.Workers))
	}
	p.law.scale(p.share.follow(min(1, share)))
	p.law.lastGood = p.lastGood * p.share.now
	p.relimit()
	if !p.places.proven && p.places.few > 0 {
		p.law.begin(p.clock.at)
	}
	p.rerate()
}

// report says what to tell the fleet.
func (p *pace) report() (accepted, announced float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	if p.known.requests > 0 && p.clock.seen.Sub(p.known.at) < freshFor {
		announced = p.known.requests
	}
	return p.law.lately, announced
}

// advance requires mu.
func (p *pace) advance() {
	at := p.clock.read(p.now())
	p.requests.fill(at)
	p.tokens.fill(at)
	if at-p.law.second >= time.Second {
		p.law.catchUp(at)
		p.rerate()
	}
}

// rerate requires mu.
func (p *pace) rerate() { p.requests.setRate(p.law.rate) }

// learn requires mu.
func (p *pace) learn(said jobs.Allowance) {
	if said.RequestsPerMinute > 0 {
		p.known.requests, p.known.at = perSecond(said.RequestsPerMinute), p.clock.seen
	}
	if said.TokensPerMinute > 0 {
		p.known.tokens = perSecond(said.TokensPerMinute)
	}
	if said != (jobs.Allowance{}) {
		p.relimit()
		p.rerate()
	}
}

// relimit requires mu.
func (p *pace) relimit() {
	share := p.share.now
	if share == 0 {
		share = 1
	}
	announced := p.known.told
	if p.known.requests > 0 && (announced == 0 || p.clock.seen.Sub(p.known.at) < freshFor) {
		announced = p.known.requests
	}
	p.law.setLimit(lower(perSecond(p.limits.RequestsPerMinute), announced) * share)
	p.tokens.setRate(lower(perSecond(p.limits.TokensPerMinute), p.known.tokens) * share)
}

func perSecond(perMinute int) float64 { return float64(perMinute) / 60 }

// lower is the lower of two limits; zero is none.
func lower(a, b float64) float64 {
	switch {
	case a > 0 && b > 0:
		return min(a, b)
	case a > 0 || b > 0:
		return max(a, b)
	default:
		return math.Inf(1)
	}
}
