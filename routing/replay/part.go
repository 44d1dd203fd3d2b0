package replay

import (
	"time"

	"tidegate/jobs"
)

// A Part is what is recorded of a part of a log's time, as of a day: the calls that were
// made then, and their requests. It knows which of these may have calls in other parts.
// It is not changed once it is there.
type Part struct {
	log  *Log
	open map[uint64]uint32 // places of the requests that may have others, by the keys of their ids
	wrong
}

// A PartHead is what is known of a Part without reading it.
type PartHead struct {
	Of                 string // what it was made of, in the words of who made it
	First, Last        time.Time
	Requests, Attempts int
}

// Part returns what was added, which may be nothing, as a part of a longer log that begins
// at a time. Keys are those of the requests' ids, with the place in which each was added.
// The Builder is used up.
func (b *Builder) Part(keys map[uint64]int, begins time.Time) *Part {
	l := b.log
	answered := make([]bool, len(l.requests.at))
	for i, request := range l.attempts.request {
		if request != noRequest && classes[l.attempts.class[i]] == jobs.OK {
			answered[request] = true
		}
	}
	p := &Part{log: l, open: map[uint64]uint32{}, wrong: b.wrong}
	for key, place := range keys {
		if !answered[place] || l.time(l.requests.at[place]).Before(begins) {
			p.open[key] = uint32(place)
		}
	}
	if b.unsorted {
		to := b.orderRequests()
		for key, place := range p.open {
			p.open[key] = to[place]
		}
	}
	if b.called {
		b.orderAttempts()
	}
	b.orderTargets()
	l.names.known = nil
	return p
}

// Head is what is known of it without reading it.
func (p *Part) Head() PartHead {
	r, a := p.log.requests.at, p.log.attempts.at
	h := PartHead{Requests: len(r), Attempts: len(a)}
	for _, of := range [][]uint32{r, a} {
		if n := len(of); n > 0 {
			first, last := p.log.time(of[0]), p.log.time(of[n-1])
			if h.First.IsZero() || first.Before(h.First) {
				h.First = first
			}
			h.Last = later(h.Last, last)
		}
	}
	return h
}
