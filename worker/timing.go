package worker

import (
	"cmp"
	"time"
)

// A Timing is how fast the fleet notices things. A zero is the default, which
// suits a production; tests are in more of a hurry.
type Timing struct {
	Beat  time.Duration // between two signs of life; 2 s
	Stale time.Duration // without a beat that arrived, no call begins; 8 s
	Dead  time.Duration // without a beat, the supervisor declares a worker dead; 10 s. It must be longer than Stale
	Read  time.Duration // between two looks at what the others say, and two rounds of the supervisor; 1 s
	Lease time.Duration // how long a supervisor leads without a word from it; 6 s
	Hold  time.Duration // how long a gate holds before its queue is paused; 5 s
	Probe time.Duration // how long a probe waits for a request that could be it; 250 ms
	Stuck time.Duration // how long a call may go on beyond its own timeout; 60 s
	Begin time.Duration // how long somebody waits for it to be written down that a call begins for him; 5 s
	Look  time.Duration // between two looks at how far the routes are; 5 s
	Sweep time.Duration // between two looks for what was kept long enough; 10 min
}

func (t Timing) withDefaults() Timing {
	t.Beat = cmp.Or(t.Beat, 2*time.Second)
	t.Stale = cmp.Or(t.Stale, 8*time.Second)
	t.Dead = cmp.Or(t.Dead, 10*time.Second)
	t.Read = cmp.Or(t.Read, time.Second)
	t.Lease = cmp.Or(t.Lease, 6*time.Second)
	t.Hold = cmp.Or(t.Hold, 5*time.Second)
	t.Probe = cmp.Or(t.Probe, 250*time.Millisecond)
	t.Stuck = cmp.Or(t.Stuck, time.Minute)
	t.Begin = cmp.Or(t.Begin, 5*time.Second)
	t.Look = cmp.Or(t.Look, 5*time.Second)
	t.Sweep = cmp.Or(t.Sweep, 10*time.Minute)
	return t
}
