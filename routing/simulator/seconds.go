package simulator

import (
	"slices"
	"time"
)

// maxSeconds is how many seconds with calls are remembered.
const maxSeconds = 7200

// A Second counts the calls of one second of the clock at one provider. A call
// counts where it arrives, and what became of it where it ended.
type Second struct {
	At          time.Time // its beginning
	Calls       int
	Answered    int
	RateLimited int // 429, but not for money
	Unavailable int // 503
	Other       int // whatever else a call met
	InFlight    int // the most at once
}

// A timeline is seconds in their order, without those in which nothing was.
// Requires external locking.
type timeline []Second

// at returns the second of now, which it begins if it is not there yet. Who comes
// late, with a time of an earlier second, is counted in the latest.
func (t *timeline) at(now time.Time, inFlight int) *Second {
	begins := now.Truncate(time.Second)
	if n := len(*t); n > 0 && !begins.After((*t)[n-1].At) {
		return &(*t)[n-1]
	}
	if len(*t) == maxSeconds {
		*t = slices.Delete(*t, 0, maxSeconds/2)
	}
	*t = append(*t, Second{At: begins, InFlight: inFlight})
	return &(*t)[len(*t)-1]
}

// arrive counts a call that begins, when inFlight are under way with it.
func (t *timeline) arrive(now time.Time, inFlight int) {
	s := t.at(now, inFlight)
	s.Calls++
	s.InFlight = max(s.InFlight, inFlight)
}

// leave counts a call that ends, when inFlight were under way with it.
func (t *timeline) leave(now time.Time, inFlight int, outcome Mode) {
	s := t.at(now, inFlight)
	switch {
	case outcome.answers():
		s.Answered++
	case outcome == RateLimit:
		s.RateLimited++
	case outcome == Unavailable:
		s.Unavailable++
	default:
		s.Other++
	}
}
