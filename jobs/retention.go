package jobs

import "time"

// DefaultKeep is how long what has ended is kept if nobody says.
const DefaultKeep = 30 * 24 * time.Hour

// A Retention is how long what has ended is kept. A zero is for ever.
type Retention struct {
	// Requests are kept with their results from their end on, those of a batch from its
	// end on; what has not ended is kept.
	Requests time.Duration
	// Attempts are kept by whole days of UTC; those of a request that has not ended are
	// kept with all of their day.
	Attempts time.Duration
}

// A RemovalPlace is where a step of removal ended. The zero value is the beginning.
type RemovalPlace struct {
	Name    string // a batch, or a day of attempts
	Request string // the last one that was looked at there
	At      time.Time
}

// A RemovalStep is one step of removal: it takes a moment, and holds no lock for which
// anybody waits for longer.
type RemovalStep struct {
	Keep   time.Duration
	Behind RemovalPlace
	AtMost int // rows that are looked at
}

// A Removed is what came of a step.
type Removed struct {
	Requests int
	Batches  int // whose last request is gone
	Days     int // of attempts
	Place    RemovalPlace
	At       time.Time // about when what is removed just now had ended; zero: nobody knows
	More     bool      // there may be more to remove behind the place
	// Held is why something stays that is old enough; empty: nothing does.
	Held string
	// InTheWay tells that it is worth another try in a moment.
	InTheWay bool
}

// What Kept is about.
const (
	KeptRequests = "requests"
	KeptAttempts = "attempts"
)

// A Kept says how far removal is.
type Kept struct {
	What    string
	Keep    time.Duration
	Reached time.Time // what ended before is gone; zero: a first sweep has not ended
	At      time.Time // where one is that is under way; zero: none is
	SweptAt time.Time // when that was written down
	Removed int       // requests, or days, since it was first counted
	Held    string    // why something stays that is older; empty: nothing does
}

// Behind is how far removal is behind at a time; zero: it is not, or nobody knows.
func (k *Kept) Behind(now time.Time) time.Duration {
	if k.Keep == 0 || k.Reached.IsZero() {
		return 0
	}
	return max(0, now.Sub(k.Reached)-k.Keep)
}
