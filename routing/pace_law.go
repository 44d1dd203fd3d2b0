package routing

import (
	"math"
	"time"
)

const (
	rampFrom   = 0.5 // of the last good rate, after a probe was answered
	rampTo     = 1.5 // each second, up to the last good rate
	rampOn     = 1.1 // each second, beyond it
	quickTrip  = 10 * time.Second
	leastStart = 0.05 // of the last good rate, after several of those

	cutRate   = 0.95 // of the rate, by a 429 …
	cutGood   = 0.98 // … or of the rate that was accepted
	overGood  = 1.05 // of the accepted rate: the ceiling
	underCeil = 0.98 // of the ceiling: what is recovered to quickly
	recover4  = 0.25 // of the gap, each second
	probeBy   = 0.002
	probeMost = 10.0
	probeStep = 5 * time.Second

	floorRate = 0.05 // of the last good rate
	floorGood = 0.10 // of the last good rate, for what was accepted
	leastRate = 0.1  // calls a second, where nothing is known

	pressedFrom = 0.75 // of the rate: a second that used so much was held back by it
	goodBlend   = 0.5  // the weight of the latest second in good
	latelyBlend = 0.2
)

// A paceLaw says how fast. Requires external locking.
type paceLaw struct {
	rate     float64 // calls a second; +Inf: nothing holds back
	limit    float64 // what it never passes; +Inf: none is known
	lastGood float64 // what this worker's share of the best known rate is; zero: none is known

	ceiling float64       // near which it was refused; zero: it was not
	cutAt   time.Duration // the latest cut
	good    float64       // accepted calls a second, smoothed, of seconds that tell; zero: not measured
	lately  float64       // accepted calls a second, smoothed
	best    float64       // the highest of lately

	second  time.Duration // when the second under way began
	sent    int
	refused int
	pressed bool // a call was held back by the rate

	start   float64 // of the last good rate, at the next ramp
	rampAt  time.Duration
	ramping bool
}

func newPaceLaw(limit float64) paceLaw {
	l := paceLaw{limit: limit, start: rampFrom, cutAt: -time.Hour}
	l.begin(0)
	return l
}

// begin starts carefully.
func (l *paceLaw) begin(at time.Duration) {
	l.ceiling, l.good = 0, 0
	l.second, l.sent, l.refused, l.pressed = at, 0, 0, false
	switch {
	case l.known() > 0:
		l.rate = max(l.floor(), l.start*min(l.known(), l.limit))
	case !math.IsInf(l.limit, 1):
		l.rate = max(l.floor(), l.start*l.limit)
	default:
		l.rate = math.Inf(1)
	}
}

// known is the best rate that is known; zero: none is.
func (l *paceLaw) known() float64 {
	if l.lastGood > 0 {
		return l.lastGood
	}
	return l.best
}

func (l *paceLaw) floor() float64 { return min(l.limit, max(leastRate, floorRate*l.known())) }

// catchUp closes the seconds that are over.
func (l *paceLaw) catchUp(at time.Duration) {
	seconds := (at - l.second) / time.Second
	if seconds <= 0 {
		return
	}
	l.close()
	l.second += seconds * time.Second
	for range min(seconds-1, 60) { // in which nothing was
		l.lately *= 1 - latelyBlend
	}
}

// close ends a second and steps the law.
func (l *paceLaw) close() {
	accepted := float64(max(0, l.sent-l.refused))
	l.lately += latelyBlend * (accepted - l.lately)
	l.best = max(l.best, l.lately)
	held := l.pressed || float64(l.sent) >= pressedFrom*l.rate
	switch {
	case l.good == 0:
		l.good = accepted
	case held || l.refused > 0 || accepted > l.good:
		l.good += goodBlend * (accepted - l.good)
	}
	if held && l.refused == 0 && !math.IsInf(l.rate, 1) {
		l.grow()
	}
	l.sent, l.refused, l.pressed = 0, 0, false
}

func (l *paceLaw) grow() {
	switch {
	case l.ceiling == 0 && l.rate < l.known():
		l.rate = min(l.rate*rampTo, max(l.known(), l.rate*rampOn))
	case l.ceiling == 0:
		l.rate *= rampOn
	case l.rate < underCeil*l.ceiling:
		l.rate += recover4 * (l.ceiling - l.rate)
	default:
		age := float64(l.second-l.cutAt) / float64(probeStep)
		l.rate += l.ceiling * probeBy * min(probeMost, age)
	}
	l.rate = min(l.rate, l.limit)
}

// refuse hears of a 429. It returns whether the rate was cut.
func (l *paceLaw) refuse(at time.Duration) bool {
	l.refused++
	if at-l.cutAt < time.Second {
		return false
	}
	l.cutAt = at
	if l.good == 0 {
		so := float64(max(0, l.sent-l.refused))
		l.rate = max(l.floor(), min(l.rate/2, max(so, l.known()/2)))
		return true
	}
	good := max(l.good, floorGood*l.known())
	l.ceiling = min(l.rate, overGood*good)
	l.rate = max(l.floor(), min(cutRate*l.rate, cutGood*good))
	return true
}

// trip hears that the circuit opened.
func (l *paceLaw) trip(at time.Duration) {
	l.ceiling = 0
	if !l.ramping {
		return
	}
	l.ramping = false
	if at-l.rampAt < quickTrip {
		l.start = max(leastStart, l.start/2)
	} else {
		l.start = rampFrom
	}
}

// ramp begins anew after a probe was answered.
func (l *paceLaw) ramp(at time.Duration) {
	l.rampAt, l.ramping = at, true
	l.begin(at)
}

// setLimit changes what the rate never passes.
func (l *paceLaw) setLimit(limit float64) {
	l.limit = limit
	if math.IsInf(l.rate, 1) && !math.IsInf(limit, 1) {
		l.rate = l.start * limit // nothing is known but this
	}
	l.rate = min(l.rate, limit)
}

// scale follows a change of this worker's share.
func (l *paceLaw) scale(factor float64) {
	if !math.IsInf(l.rate, 1) {
		l.rate *= factor
	}
	l.ceiling *= factor
	l.good *= factor
}
