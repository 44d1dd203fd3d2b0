package routing

import (
	"math"
	"time"
)

const (
	// burst is for how long the rate may be saved up, and used at once.
	burst = 500 * time.Millisecond
	// bucketSlop is what rounding may take from a bucket.
	bucketSlop = 1e-9
	// longestWait bounds what is told of a rate that is next to nothing.
	longestWait = time.Hour
)

// A bucket fills at a rate, up to half a second of it and at least one. It is
// ours and not golang.org/x/time/rate's because that takes back no call that was
// not made, and goes into no debt: half a second of 200,000 tokens a minute is
// less than many a prompt. Requires external locking.
type bucket struct {
	rate  float64 // a second; +Inf: nothing is counted
	level float64 // below zero: debt
	at    time.Duration
}

// holds is how much the bucket holds at most.
func (b *bucket) holds() float64 { return max(1, b.rate*burst.Seconds()) }

// fill brings the level up to at, with the rate until now.
func (b *bucket) fill(at time.Duration) {
	if !math.IsInf(b.rate, 1) {
		b.level = min(b.holds(), b.level+(at-b.at).Seconds()*b.rate)
	}
	b.at = at
}

// wait is how long it takes until the level is that high.
func (b *bucket) wait(level float64) time.Duration {
	missing := level - b.level
	if math.IsInf(b.rate, 1) || missing <= bucketSlop {
		return 0
	}
	seconds := min(missing/b.rate, longestWait.Seconds())
	return time.Duration(math.Ceil(seconds * float64(time.Second)))
}

// take subtracts n, whatever is there. Below zero it gives back; what is too much
// then is gone with the next fill.
func (b *bucket) take(n float64) {
	if !math.IsInf(b.rate, 1) {
		b.level -= n
	}
}

// empty takes what was saved up. A debt stays.
func (b *bucket) empty() { b.level = min(b.level, 0) }
