package jobs

import "time"

// A Pace is how fast one worker may call a target, and does. Rates are calls a second.
type Pace struct {
	Target      string
	Rate        float64   // that it may make now; zero: no bound
	Limit       float64   // its share of the account's limit; zero: none is known
	Accepted    float64   // that the target took lately
	Share       float64   // of the account's limits, in (0, 1]
	InFlight    int       // calls that are out
	Places      int       // for calls at once; zero: no bound
	PausedUntil time.Time // by a 429; zero: it is not
}
