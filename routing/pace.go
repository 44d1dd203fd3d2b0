package routing

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"tidegate/jobs"
)

// A pace says when one worker may call one target: so many requests and tokens a
// second, so many calls at once. It is a state machine on a clock of ours: what a
// second changes is made up for when somebody asks. Safe for concurrent use.
//
// It wants to be asked in the order in which calls wait: of many that ask at the
// same time for the next request there is one that gets it.
type pace struct {
	now func() time.Time

	mu       sync.Mutex
	random   *rand.Rand
	clock    paceClock
	law      paceLaw
	requests bucket
	tokens   bucket
	places   places
	limits   paceLimits
	share    shareOf
	lastGood float64 // of the fleet, in calls a second; zero: not known
	inARow   int     // 429s with nothing else in between
	storm    time.Duration
}

// newPace returns a pace that has all of the limits, until it is told its share.
func newPace(limits jobs.Limits, now func() time.Time, random *rand.Rand) *pace {
	p := &pace{
		now: now, random: random,
		clock:    paceClock{seen: now()},
		law:      newPaceLaw(),
		requests: bucket{rate: math.Inf(1), level: 1},
		tokens:   bucket{rate: math.Inf(1), level: 1},
		places:   places{most: limits.Concurrency, few: fewPlaces},
		limits:   paceLimits{configured: limits},
	}
	p.relimit()
	p.rerate()
	return p
}

// take reserves what a call needs: one request, its tokens, one place. It reserves
// all of them or nothing; then again is when to ask next, unless something is told
// to the pace before, and zero when only that, or the end of a call, will help.
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
		return false, p.clock.seen.Add(wait), "it may not be called faster"
	}
	if wait := p.tokens.wait(someTokens); wait > 0 {
		return false, p.clock.seen.Add(wait), "its tokens of the minute are used up"
	}
	p.requests.take(1)
	p.tokens.take(float64(tokens))
	p.places.out++
	p.law.sent++
	return true, time.Time{}, ""
}

// countsTokens tells whether there is a limit of tokens, configured or learned.
func (p *pace) countsTokens() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !math.IsInf(p.tokens.rate, 1)
}

// someTokens is what is left when a call may go that needs any number of them.
const someTokens = 1e-3

// refund gives back all that was taken for a call that was not made.
func (p *pace) refund(tokens int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	p.requests.take(-1)
	p.tokens.take(-float64(tokens))
	p.places.leave()
	p.law.sent--
}

// A paceEnd is how a call ended.
type paceEnd struct {
	class      jobs.Class
	tokens     int           // that were taken for it
	usage      jobs.Usage    // zero: not known
	latency    time.Duration // from when it was taken
	retryAfter time.Duration // that the provider asked for; zero: it did not
	allowance  jobs.Allowance
}

// done hears how a call ended that was taken.
func (p *pace) done(end paceEnd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	p.places.leave()
	p.settle(end)
	p.limit(end.allowance)
	switch {
	case end.class == jobs.Rate:
		p.refused(end.latency, end.retryAfter)
	case end.class.Answered():
		p.answered()
	case end.class.Trips():
		p.places.fail()
	}
}

// heard hears how a probe ended: it took nothing.
func (p *pace) heard(end paceEnd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	p.limit(end.allowance)
	switch {
	case end.class == jobs.Rate:
		p.law.refuseProbe(p.clock.at)
		p.rerate()
		p.places.refuse()
	case end.class.Answered():
		p.answered()
	}
}

// settle corrects what was taken for tokens. What was refused with a 429 used
// none; of what failed without a word on usage the estimate stands. It requires
// mu.
func (p *pace) settle(end paceEnd) {
	switch used := min(end.usage.Input+end.usage.Output, mostUse); {
	case end.class == jobs.Rate:
		p.tokens.take(-float64(end.tokens))
	case used > 0:
		p.tokens.take(float64(used - end.tokens))
	}
}

// answered requires mu.
func (p *pace) answered() {
	p.inARow, p.storm = 0, 0
	p.places.succeed(p.law.paced())
}

const (
	pauseBelow  = 5 * time.Second // a 429 that asks for more is a cooldown of the circuit
	pauseJitter = 0.1             // of a pause, that is added at most
	stormFrom   = 10              // 429s in a row that do not say how long to wait
	stormLeast  = time.Second     // the pause after them, which doubles …
	stormMost   = 4 * time.Second // … up to this
)

// refused cuts the rate, and pauses for as long as the provider asked. One that
// refuses everything and asks for nothing gets a pause, too. It requires mu.
func (p *pace) refused(latency, retryAfter time.Duration) {
	if p.law.refuse(p.clock.at, latency) {
		p.requests.empty()
		p.rerate()
	}
	if p.law.paced() {
		p.places.refuse()
	}
	if p.inARow++; retryAfter <= 0 && p.inARow >= stormFrom && !p.clock.paused() {
		p.storm = min(max(2*p.storm, stormLeast), stormMost)
		retryAfter = p.storm
	}
	if retryAfter > 0 && retryAfter < pauseBelow {
		p.clock.pause(retryAfter + time.Duration(pauseJitter*p.random.Float64()*float64(retryAfter)))
	}
}

// tripped hears that the circuit opened.
func (p *pace) tripped() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	p.law.trip(p.clock.at)
}

// recovered hears that the circuit closed: the ramp begins.
func (p *pace) recovered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	p.law.ramp(p.clock.at)
	p.rerate()
	p.requests.empty()
	p.places.begin(p.law.paced())
}

// advance brings everything up to now. It requires mu.
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
func (p *pace) rerate() { p.requests.rate = p.law.rate }

// limit requires mu.
func (p *pace) limit(said jobs.Allowance) {
	if p.limits.learn(said, p.clock.seen) {
		p.relimit()
		p.rerate()
	}
}

// relimitTo takes limits that are configured anew. A lower one holds at once.
func (p *pace) relimitTo(limits jobs.Limits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if limits == p.limits.configured {
		return
	}
	p.advance()
	p.limits.configured, p.places.most = limits, limits.Concurrency
	p.relimit()
	p.rerate()
}

// relimit requires mu.
func (p *pace) relimit() {
	p.law.setLimit(p.limits.requestRate(p.clock.seen) * p.share.get())
	p.tokens.rate = p.limits.tokenRate() * p.share.get()
}
