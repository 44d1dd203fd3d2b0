package replay

import "time"

// What an event is of.
const (
	eventEnd    = iota // a call ends
	eventRest          // a request has waited on its own account
	eventLook          // whoever waits for a route is looked at
	eventDue           // an open circuit may be probed
	eventProbe         // nobody was the probe: a minimal call is
	eventGive          // parked requests come back
	eventProbed        // a minimal call ends
	eventCome          // a request was picked up
	eventFree          // a place may be taken again
)

// An event is something that happens at a time, to whatever has that number.
type event struct {
	at   int64 // nanoseconds of the log
	n    uint32
	kind uint8
	mark uint32 // that it must still have
	of   *job
	site *site
	room *room
}

// before tells which of two happens first: of one time, the one that was thought of
// first.
func (e *event) before(f *event) bool { return e.at < f.at || e.at == f.at && e.n < f.n }

// A future is a heap of events, the next one first.
type future struct {
	events []event
	n      uint32
}

// add has something happen.
func (f *future) add(e event) {
	f.n++
	e.n = f.n
	f.events = append(f.events, e)
	for i := len(f.events) - 1; i > 0; {
		up := (i - 1) / 2
		if !f.events[i].before(&f.events[up]) {
			break
		}
		f.events[i], f.events[up] = f.events[up], f.events[i]
		i = up
	}
}

// next takes the first one out.
func (f *future) next() event {
	first, last := f.events[0], len(f.events)-1
	f.events[0] = f.events[last]
	f.events[last] = event{}
	f.events = f.events[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			break
		}
		if down+1 < last && f.events[down+1].before(&f.events[down]) {
			down++
		}
		if !f.events[down].before(&f.events[i]) {
			break
		}
		f.events[i], f.events[down] = f.events[down], f.events[i]
		i = down
	}
	return first
}

// A clock is the virtual one of a run.
type clock struct {
	start time.Time
	at    int64     // nanoseconds since then
	is    time.Time // the same
}

func (c *clock) set(at int64) {
	if at > c.at {
		c.at, c.is = at, c.start.Add(time.Duration(at))
	}
}

// tick is the time in milliseconds of the log.
func (c *clock) tick() uint32 { return uint32(c.at / int64(time.Millisecond)) }

// of is a time on this clock.
func (c *clock) of(t time.Time) int64 { return int64(t.Sub(c.start)) }
