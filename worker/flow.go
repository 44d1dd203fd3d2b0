package worker

import (
	"math"
	"time"

	"tidegate/jobs"
)

const (
	// admitAhead is for how long the jobs suffice that are ready for workers, at the
	// rate of late. It is about as long as a request waits whose tenant has had
	// nothing, and about as long as workers can do without a supervisor.
	admitAhead = 5 * time.Second
	// floorEach is how many are kept ready for each worker, whatever the rate.
	floorEach = 20
	// readyMost bounds what is kept ready on a route.
	readyMost = 20_000
)

// A flow is how fast jobs of a route are done, as the supervisor sees it, and how
// many it therefore keeps ready: available, or in a worker and not being called.
type flow struct {
	began time.Time // the first look
	at    time.Time // the last one
	out   int       // available and in hand, then
	given int       // admitted since then
	rate  float64   // jobs a second, of the last seconds
	grown int       // how many it has tried to keep ready
	dry   bool      // there was no room for all that waited, the last time
	after string    // the tenant to go on behind, where there are many

	waiting int // how many waited when that was last counted
}

// room is how many more may be admitted. While workers take all that they are given
// as soon as they are given it, that is twice as many each time: nobody knows yet how
// fast they are. Else it is what suffices for a while.
func (f *flow) room(now time.Time, b jobs.Backlog, floor int) int {
	out := b.Available + b.Running
	f.measure(now, out)
	ready := b.Available + max(b.Running-b.Calling, 0)
	enough := min(max(floor, int(f.rate*admitAhead.Seconds())), readyMost)
	if f.dry && ready <= f.grown/2 {
		f.grown = min(2*max(f.grown, enough), readyMost)
	} else {
		f.grown = enough
	}
	return f.grown - ready
}

// measure takes what is gone for done.
func (f *flow) measure(now time.Time, out int) {
	if f.began.IsZero() {
		f.began = now
	} else if passed := now.Sub(f.at).Seconds(); passed > 0 {
		done := float64(max(f.out+f.given-out, 0)) / passed
		weight := max(1-math.Exp(-passed/admitAhead.Seconds()), passed/now.Sub(f.began).Seconds())
		f.rate += weight * (done - f.rate)
	}
	f.at, f.out, f.given = now, out, 0
}
