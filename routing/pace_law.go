package routing

import (
	"math"
	"time"
)

// The law of a pace, in shares of a rate and per second.
const (
	rampFrom  = 0.5  // of the last good rate: where a ramp begins
	rampBy    = 1.5  // up to the last good rate, or to the limit
	rampOnBy  = 1.25 // beyond, where nobody has been and nobody says that one may
	cutRate   = 0.95 // of the rate, by a 429 …
	cutGood   = 0.98 // … and of what is accepted
	regain    = 0.25 // of the gap to the ceiling
	probeBy   = 8e-5 // of the rate, times the square of the seconds since the cut …
	probeMost = 0.1  // … and no more than this

	floorRate = 0.05 // of the last good rate
	floorGood = 0.10 // of the last good rate, for what is accepted
	leastRate = 0.1  // calls a second, where nothing is known
	firstRate = 1.0  // calls a second, after the first 429 where nothing is known
	rampLeast = 4.0  // calls a second, where a ramp begins at least: what a target gets at once of which nothing is known

	quickTrip  = 10 * time.Second // after a ramp began: it began too high
	usedFrom   = 0.75             // of the rate: a second that used less proves nothing
	goodBlend  = 0.5              // the weight of the latest second
	latelyKept = 0.7              // of what was accepted lately, from second to second
)

// A paceLaw says how many calls a second may go out. Requires external locking.
//
//	               a limit is learned
//	endless ───────────────────────────> ramp <──────────────── a probe was answered
//	  no limit and no history:             │  half of the last good rate,
//	  only places hold back                │  ×1.5 each second up to it,
//	  │                                    │  or to the limit, ×1.25 beyond
//	  │ a 429                              │ a 429
//	  └──────────────────> cut <───────────┘
//	                        │ ^   to 0.98 of what is accepted; that is the ceiling
//	                        v │
//	                     regain   a quarter of the gap each second, then
//	                     probe    beyond: the faster, the longer nobody objects
//
// Only a 429 cuts, and at most once a second: what is accepted while some is
// refused is the capacity itself, so there is no need to halve. Only a second in
// which the rate was used lets it grow, and only that and a refused one say what
// is accepted: little demand proves nothing.
//
// In simulation (TestDrain) this drains a backlog within 1.09 of the optimum.
// What differs from the law that was simulated first, and why:
//
//   - Above the last good rate, where no limit is known, the ramp goes on at ×1.25
//     and not at ×1.02: if the last day was quiet, that rate is what was asked and not what there is (1.08 of the
//     optimum instead of 1.71). At ×1.5 it passes a capacity by so much that what
//     it learns there is less true (1.13 instead of 1.07 without a burst).
//   - Probing grows with the square of the time: a capacity that begins with a
//     twentieth and grows evenly is followed (1.01 instead of 1.57).
//   - A second in which more was refused says more of the capacity: a rate that is
//     far above it comes down in fewer steps.
//   - A call that went out before the latest cut does not cut again: where refusals
//     take seconds, they would cut for what is over (1.04 instead of 1.63).
//   - The ceiling is what was accepted, not a twentieth more: as fast, fewer 429s.
//   - A 429 before a whole second was measured only halves; a ramp that ends in a
//     trip within ten seconds lets the next begin at half of it, so that a provider
//     that melts is not melted again and again.
type paceLaw struct {
	rate     float64 // calls a second; +Inf: nothing holds back
	limit    float64 // what it never passes; +Inf: none is known
	lastGood float64 // this worker's share of the best rate of the fleet; zero: not known

	goal    float64       // how far somebody has been; +Inf: nobody was anywhere
	ceiling float64       // where it was refused; zero: it was not, it ramps
	cutAt   time.Duration // of the latest cut
	good    float64       // calls a second that are accepted, of seconds that prove it; zero: not measured
	lately  float64       // calls a second that were accepted lately, whatever that proves
	proven  float64       // the same, of seconds in which the rate or the provider was the bound, and not what there was to do
	best    float64       // the highest of lately

	second  time.Duration // when the one under way began
	sent    int
	refused int  // with a 429
	pressed bool // a call was held back by the rate

	start   float64 // of the last good rate, where the next ramp begins
	rampAt  time.Duration
	ramped  bool // the circuit closed, and has not opened since
	atFloor bool // the probe met a 429: the next ramp begins at the floor
}

func newPaceLaw() paceLaw {
	return paceLaw{rate: math.Inf(1), limit: math.Inf(1), cutAt: -time.Hour, start: rampFrom, goal: math.Inf(1)}
}

// begin starts carefully, from what is known.
func (l *paceLaw) begin(at time.Duration) {
	l.ceiling, l.good = 0, 0
	l.second, l.sent, l.refused, l.pressed = at, 0, 0, false
	if l.goal = l.known(); l.goal == 0 {
		l.goal = math.Inf(1)
	}
	if l.rate = min(l.limit, max(rampLeast, l.start*min(l.goal, l.limit))); l.atFloor {
		l.rate = 0
	}
	l.rate = max(l.rate, l.floor())
	l.atFloor = false
}

// known is the best rate that is known; zero: none is.
func (l *paceLaw) known() float64 {
	if l.lastGood > 0 {
		return l.lastGood
	}
	return l.best
}

func (l *paceLaw) paced() bool    { return !math.IsInf(l.rate, 1) }
func (l *paceLaw) limited() bool  { return !math.IsInf(l.limit, 1) }
func (l *paceLaw) floor() float64 { return min(l.limit, max(leastRate, floorRate*l.known())) }

// catchUp steps through the seconds that are over.
func (l *paceLaw) catchUp(at time.Duration) {
	over := (at - l.second) / time.Second
	if over <= 0 {
		return
	}
	l.step()
	l.second += over * time.Second
	idle := math.Pow(latelyKept, float64(over-1)) // in the others there was nothing
	l.lately *= idle
	l.proven *= idle
}

// step ends the second under way.
func (l *paceLaw) step() {
	accepted := float64(max(0, l.sent-l.refused))
	l.lately += (1 - latelyKept) * (accepted - l.lately)
	asked := float64(l.sent)
	if l.pressed {
		asked++
	}
	used := asked >= usedFrom*l.rate
	if l.proven *= latelyKept; used || l.refused > 0 {
		l.proven = l.lately
	}
	l.best = max(l.best, l.lately)
	switch {
	case l.good == 0:
		l.good = accepted
	case used || l.refused > 0 || accepted > l.good:
		weight := min(1, max(goodBlend, float64(2*l.refused)/max(1, float64(l.sent)))) // the more is refused, the more is known
		l.good += weight * (accepted - l.good)
	}
	if used && l.refused == 0 {
		l.grow()
	}
	l.sent, l.refused, l.pressed = 0, 0, false
}

func (l *paceLaw) grow() {
	goal := l.goal
	if l.limited() {
		goal = l.limit
	}
	switch {
	case l.ceiling == 0 && l.rate < goal:
		l.rate = min(l.rate*rampBy, max(goal, l.rate*rampOnBy))
	case l.ceiling == 0:
		l.rate *= rampOnBy
	case l.rate < cutGood*l.ceiling:
		l.rate += regain * (l.ceiling - l.rate)
	default:
		since := (l.second - l.cutAt).Seconds()
		l.rate *= 1 + min(probeMost, probeBy*since*since)
	}
	l.rate = min(l.rate, l.limit)
}

// refuse hears of a 429, and tells whether the rate was cut. A call that went out
// before the latest cut, or before the outage, says nothing of the rate since.
func (l *paceLaw) refuse(at, latency time.Duration) bool {
	if l.ramped && at-latency < l.rampAt {
		return false
	}
	l.refused++
	if at-max(latency, time.Second) < l.cutAt {
		return false
	}
	l.cutAt = at
	switch {
	case l.good > 0:
		good := max(l.good, floorGood*l.known())
		l.ceiling = min(l.rate, good)
		l.rate = min(cutRate*l.rate, cutGood*good)
	case l.paced():
		l.rate /= 2
	default:
		l.rate = max(firstRate, float64(l.sent-l.refused))
	}
	l.rate = max(l.rate, l.floor())
	return true
}

// refuseProbe hears that the probe met a 429: the target lives, and has nothing
// to give yet.
func (l *paceLaw) refuseProbe(at time.Duration) {
	l.begin(at)
	l.rate, l.cutAt, l.atFloor = l.floor(), at, true
	if l.known() == 0 {
		l.rate = min(firstRate, l.limit)
	}
}

// ramp begins anew: the circuit closed.
func (l *paceLaw) ramp(at time.Duration) {
	l.rampAt, l.ramped = at, true
	l.begin(at)
}

// trip hears that the circuit opened. What was learned near the ceiling was of
// another time.
func (l *paceLaw) trip(at time.Duration) {
	l.ceiling, l.atFloor = 0, false
	if !l.ramped {
		return
	}
	l.ramped = false
	if at-l.rampAt < quickTrip {
		l.start = max(floorRate, l.start/2)
	} else {
		l.start = rampFrom
	}
}

// setLimit changes what the rate never passes. Where nothing else is known, half
// of it is where to begin.
func (l *paceLaw) setLimit(limit float64) {
	l.limit = limit
	if !l.paced() && l.limited() {
		l.rate = l.start * limit
	}
	l.rate = min(l.rate, limit)
}

// scale follows a change of this worker's share: what the fleet found out stays
// as it was, whoever does how much of it.
func (l *paceLaw) scale(factor float64) {
	l.rate *= factor
	l.goal *= factor
	l.ceiling *= factor
	l.good *= factor
}
