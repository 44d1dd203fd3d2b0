package jobs

import (
	"math"
	"time"
)

// A Progress is what a supervisor has seen of a route: how fast its requests are done
// while there are any, and what waits. Forecasts are made of it. Its times are of the
// database's clock.
type Progress struct {
	Route string    `json:"-"`
	At    time.Time `json:"at"` // when it was looked at last
	// Served tells that a worker said lately that it works the route.
	Served bool  `json:"served"`
	Speed  Speed `json:"speed"`

	CountedAt time.Time `json:"counted_at"` // zero: what waits was not counted yet
	InHand    int       `json:"in_hand"`    // jobs in workers: called, or waiting there
	Parked    int       `json:"parked"`     // jobs that wait for a time of their own
	// Strata are all others, in the order in which their turn comes.
	Strata []Stratum `json:"strata,omitempty"`

	// Since are those that came since then and wait, as somebody who asks saw them at
	// SinceAt, some ten thousands at most; zero: nobody has looked. They are not kept.
	Since   []Stratum `json:"-"`
	SinceAt time.Time `json:"-"`
}

// A Stratum is jobs of a route that came at about the same time, of one priority and,
// with fair admission, of one tenant.
type Stratum struct {
	Tenant   string    `json:"tenant,omitempty"` // empty: its turn comes with those of all tenants
	Priority int       `json:"priority"`
	From     time.Time `json:"from,omitzero"` // when the first of them came; zero: not known
	To       time.Time `json:"to,omitzero"`   // when the last of them did
	Jobs     int       `json:"jobs"`
}

// Waiting counts the jobs that no worker had when they were counted.
func (p *Progress) Waiting() int { return p.Parked + count(p.Strata) }

// Came counts those that came since.
func (p *Progress) Came() int { return count(p.Since) }

func count(strata []Stratum) (n int) {
	for i := range strata {
		n += strata[i].Jobs
	}
	return n
}

const (
	speedFast = time.Minute      // the memory of what is done now …
	speedSlow = 15 * time.Minute // … and of what is usual
	// speedHeld is how long a route may hold for the time to count as one in which it
	// worked: circuits that open for some seconds, again and again, make it slow.
	speedHeld = 20 * time.Second
	// speedSure is how many ends a minute must have had to be believed alone.
	speedSure = 50
	// spreadEach and spreadEnds are what a stretch has that is compared with the one before.
	spreadEach, spreadEnds = time.Minute, 20
	spreadBlend            = 0.2   // the weight of the latest stretch, at least
	spreadPrior            = 1     // as many stretches what is thought at first counts for
	spreadMost             = 0.5   // of the logarithm, what one stretch counts for
	spreadFirst            = 0.006 // what is thought of a route of which nothing is known: eight hundredths off
)

// A Speed is how many requests of a route end in a second in which there is work for it
// and somebody to do it. Time in which there was none says nothing of it, and neither
// does an outage: after one, the speed is thought to be what it was. The zero value
// knows nothing.
type Speed struct {
	Fast Ends `json:"fast"`
	Slow Ends `json:"slow"`
	// Spread is how far one minute is from the one before: the square of the logarithm,
	// without what chance alone makes of it.
	Spread    float64   `json:"spread"`
	Stretch   Ends      `json:"stretch"` // under way
	Before    Ends      `json:"before"`  // the one before it
	Held      Ends      `json:"held"`    // since it holds
	Begun     bool      `json:"begun"`   // an end has come since there was work
	WorkedAt  time.Time `json:"worked_at,omitzero"`
	Stretches int       `json:"stretches"` // that were compared
}

// Ends are requests that ended within some time.
type Ends struct {
	N       float64 `json:"n"`
	Seconds float64 `json:"s"`
}

func (e Ends) rate() float64 { return e.N / e.Seconds }

func (e *Ends) add(more Ends, memory time.Duration) {
	kept := 1.0
	if memory > 0 {
		kept = math.Exp(-more.Seconds / memory.Seconds())
	}
	e.N, e.Seconds = e.N*kept+more.N, e.Seconds*kept+more.Seconds
}

// Working is what a route did in some time.
type Working int

// What a route did.
const (
	Idle    Working = iota // there was not enough to do
	Busy                   // there was always something to do
	Stalled                // no target might be called, or somebody paused it
)

// See takes what ended in some time.
func (s *Speed) See(now time.Time, passed time.Duration, ended int, did Working) {
	seen := Ends{float64(ended), passed.Seconds()}
	if seen.Seconds <= 0 {
		return
	}
	switch did {
	case Stalled:
		s.Held.add(seen, 0)
		return
	case Idle:
		s.Held, s.Begun = Ends{}, false
		return
	}
	if s.Held.Seconds >= speedHeld.Seconds() {
		s.Begun = false
	} else {
		seen.add(s.Held, 0)
	}
	if s.Held = (Ends{}); !s.Begun { // the first answers take a while, which says nothing of how many come then
		s.Begun = ended > 0
		return
	}
	s.WorkedAt = now
	s.Fast.add(seen, speedFast)
	s.Slow.add(seen, speedSlow)
	s.Stretch.add(seen, 0)
	s.compare()
}

// compare learns from a stretch that is over how steady the speed is.
func (s *Speed) compare() {
	over := s.Stretch.Seconds >= spreadEach.Seconds() && s.Stretch.N >= spreadEnds || s.Stretch.Seconds >= speedSlow.Seconds()
	if !over {
		return
	}
	if s.Before.N >= spreadEnds && s.Stretch.N >= spreadEnds {
		off := min(math.Abs(math.Log(s.Stretch.rate()/s.Before.rate())), spreadMost) // beyond, it is another time, which happens once
		chance := 1/s.Stretch.N + 1/s.Before.N
		if s.Stretches++; s.Stretches == 1 {
			s.Spread = spreadFirst
		}
		blend := max(spreadBlend, 1/float64(s.Stretches+spreadPrior))
		s.Spread += blend * (max(0, off*off-chance) - s.Spread)
	}
	s.Before, s.Stretch = s.Stretch, Ends{}
}

// Rate is how many requests end in a second, and by what share that may be wrong: the
// standard deviation of its logarithm. Zero: it is not known.
func (s *Speed) Rate(now time.Time) (rate, wrong float64) {
	if s.Slow.N < 3 || s.Slow.Seconds < speedLeast.Seconds() {
		return 0, 0
	}
	sure := min(1, s.Fast.N/speedSure)
	rate = sure*s.Fast.rate() + (1-sure)*s.Slow.rate()
	if s.Fast.Seconds == 0 || rate <= 0 {
		rate = s.Slow.rate()
	}
	spread := s.Spread
	if s.Stretches == 0 {
		spread = spreadFirst
	}
	chance := 1 / max(s.Fast.N, min(s.Slow.N, speedSure))
	old := max(0, now.Sub(s.WorkedAt).Hours()) * speedOld
	young := max(0, 1-s.Slow.Seconds/speedYoung.Seconds())
	apart := math.Log(rate / s.Slow.rate())
	return rate, math.Sqrt(spread + chance + min(old, speedOldMost) + speedYoungOff*young*young + min(apart*apart*speedApart, speedOldMost))
}

const (
	speedLeast    = 10 * time.Second // of work, before anything is said
	speedYoung    = time.Minute      // after what time of work it is known how it begins
	speedYoungOff = 0.15             // what the beginning adds to the square of what may be wrong
	speedApart    = 0.25             // of the square of how far now is from what is usual: it may be so again

	speedOld     = 0.02 // what an hour adds to the square of what may be wrong …
	speedOldMost = 0.25 // … and all of them together
)
