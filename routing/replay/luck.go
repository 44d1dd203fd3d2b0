package replay

import (
	"time"

	"tidegate/jobs"
)

// A side is among which neighbours in time a call's luck is drawn: so many, the next
// ones or the last ones.
type side struct {
	near int
	back bool
}

// sides are those that are tried: the first one is the estimate, and how far the others
// are from it says how much hangs on the choice. The past over-states failure, for a
// policy leaves a target because of its last bad calls there.
var sides = []side{{near: 16}, {near: 8}, {near: 32}, {near: 16, back: true}, {near: 8, back: true}, {near: 32, back: true}}

// salt makes other random choices of routers for each side, such as when a probe goes out.
func (s side) salt() uint64 {
	for i := range sides {
		if sides[i] == s {
			return uint64(i + 1)
		}
	}
	return 0
}

// farAway is how far in time a neighbour may be that is as good as one of now.
const farAway = 5 * time.Minute

// A luck draws what calls would have met. It is for one goroutine, and for times that
// do not go back.
type luck struct {
	pools []pool
	next  []int // by target: the first of its pool that is not past
	side  side
	seed  uint64
}

func newLuck(pools []pool, side side, seed uint64, from uint32) luck {
	l := luck{pools: pools, next: make([]int, len(pools)), side: side, seed: seed}
	for t := range pools {
		l.next[t] = pools[t].from(from)
	}
	return l
}

// draw is what the n-th call of a record to a target meets at a time; nil: nothing is
// known of it. The same record meets the same there, whoever sends it.
func (l *luck) draw(tick uint32, record uint64, n, target int) *met {
	p := &l.pools[target]
	if len(p.mets) == 0 {
		return nil
	}
	at := l.next[target]
	for at < len(p.mets) && p.mets[at].at < tick {
		at++
	}
	l.next[target] = at
	near := min(l.side.near, len(p.mets))
	pick := int(mix(l.seed, record, uint64(target)<<32|uint64(n)) % uint64(near))
	first := at // of those among whom it is drawn
	if l.side.back {
		first = at - near
	}
	return &p.mets[min(max(first, 0), len(p.mets)-near)+pick]
}

// mix is a number that looks like any other, and is always the same.
func mix(a, b, c uint64) uint64 {
	x := a*0x9e3779b97f4a7c15 ^ b
	for _, with := range [...]uint64{c, 0x2545f4914f6cdd1d} {
		x ^= x >> 30
		x *= 0xbf58476d1ce4e5b9
		x ^= x >> 27
		x *= 0x94d049bb133111eb
		x ^= x>>31 ^ with
	}
	return x
}

// A fate is what a call comes to.
type fate struct {
	class     jobs.Class
	takes     time.Duration
	firstByte time.Duration
	usage     jobs.Usage
	metered   bool // the target counts it among those that are out
}

// fate is what a call to a target comes to that meets this, for a request that uses so
// much (zero: nobody knows). Its latency is that of the record, by token.
func (m *met) fate(p *pool, target *jobs.Target, use jobs.Usage) fate {
	f := fate{class: classes[m.class], takes: time.Duration(m.latency) * time.Microsecond}
	if m.output > 0 {
		if use.Output == 0 {
			use.Output = int(m.output)
		}
		if f.class == jobs.OK || f.class == jobs.Invalid {
			f.takes = time.Duration(float64(f.takes) * (float64(use.Output) + p.start) / (float64(m.output) + p.start))
		}
	}
	use.CachedInput = use.Input * int(m.cached) / 255
	f.firstByte = time.Duration(float64(f.takes) * float64(m.first) / 255)
	f.usage = use
	f.cut(target.Timeouts)
	if f.class != jobs.OK && f.class != jobs.Invalid {
		f.usage = jobs.Usage{}
	}
	return f
}

// cut ends a call that takes longer than it may.
func (f *fate) cut(by jobs.Timeouts) {
	switch {
	case by.FirstByte > 0 && f.firstByte > by.FirstByte && (by.Total == 0 || by.FirstByte < by.Total):
		f.class, f.takes, f.firstByte = jobs.Timeout, by.FirstByte, 0
	case by.Total > 0 && f.takes > by.Total:
		f.class, f.takes = jobs.Timeout, by.Total
	}
}
