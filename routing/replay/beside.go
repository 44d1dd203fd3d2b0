package replay

import (
	"container/heap"
	"slices"
	"time"
)

// What a fleet takes for a request beside its calls: the queue, and what is written down
// before and after. It is small beside most calls, and much where they are quick.
type beside struct {
	// pickup is from when a request comes to its first call, while places are free.
	pickup time.Duration
	// turn is from the end of a call to the next one in its place, while requests wait.
	turn time.Duration
}

const (
	// besideOf is of how many calls, the first ones of a log, that is learned.
	besideOf = 100_000
	// besideLeast is how many there must be of a kind.
	besideLeast = 20
	// besideMost is as much as it may be: what takes longer has another reason.
	besideMost = time.Second
)

// beside learns what a fleet takes beside calls from the gaps between them: the medians,
// since now and then a gap has another reason.
func (l *Log) beside() beside {
	a := &l.attempts
	routes := map[string]*routePlaces{}
	last := map[uint32]int64{} // when the last call of a request ended
	var pickups, turns []int64
	for i := range min(len(a.at), besideOf) {
		asker := l.requestOf(i)
		if asker < 0 {
			continue
		}
		route := l.names.kinds[l.requests.kind[asker]].route
		of := routes[route]
		if of == nil {
			of = &routePlaces{}
			routes[route] = of
		}
		began := int64(a.at[i]) * tickMicros
		of.until(began)
		own, again := last[uint32(asker)]
		end := began + int64(a.latency[i])
		last[uint32(asker)] = end
		heap.Push(&of.running, end)
		if again {
			of.keep(own)
			continue
		}
		came := int64(l.requests.at[asker]) * tickMicros
		switch since, is := of.take(began, came); {
		case !is:
		case came > since:
			pickups = append(pickups, began-came)
		default:
			turns = append(turns, max(0, began-since))
		}
	}
	return beside{pickup: medianOf(pickups), turn: medianOf(turns)}
}

// tickMicros is how many microseconds a log tells apart: a call that follows another in
// its place may seem to begin so long before that has ended.
const tickMicros = int64(time.Millisecond / time.Microsecond)

// routePlaces are those in which the calls of a route are made, by when they become and became
// free, in microseconds of the log. A log does not tell how many there are: there is one
// more when all that are known are taken.
type routePlaces struct {
	running ends
	free    []int64 // the longest ago first
}

// until has time go on.
func (p *routePlaces) until(at int64) {
	for len(p.running) > 0 && p.running[0] < at+tickMicros {
		p.free = append(p.free, heap.Pop(&p.running).(int64))
	}
}

// take takes the place that was free for the longest, for a first call, and tells since
// when. One that was left free while the request waited for longer than a fleet ever takes
// is none: its worker is gone, or nobody could be called.
func (p *routePlaces) take(began, came int64) (since int64, is bool) {
	for len(p.free) > 0 {
		since, p.free = p.free[0], p.free[1:]
		if began-max(came, since) <= besideMost.Microseconds() {
			return since, true
		}
	}
	return 0, false
}

// keep takes the place in which the last call of a request ended, or another one if that
// was given up meanwhile.
func (p *routePlaces) keep(own int64) {
	if at := slices.Index(p.free, own); at >= 0 {
		p.free = slices.Delete(p.free, at, at+1)
	} else if len(p.free) > 0 {
		p.free = p.free[1:]
	}
}

// medianOf is that of microseconds; zero of few.
func medianOf(of []int64) time.Duration {
	if len(of) < besideLeast {
		return 0
	}
	slices.Sort(of)
	return min(max(time.Duration(of[len(of)/2])*time.Microsecond, 0), besideMost)
}
