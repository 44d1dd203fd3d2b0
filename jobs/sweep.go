package jobs

import "time"

// A Due is the place of a request in the order of deadlines, and of ids where
// deadlines are equal. The zero value is no place.
type Due struct {
	Deadline  time.Time // as the database has it: not to be compared with a clock of ours
	RequestID string
}

// A Sweep is one look for requests whose deadline passed: at those behind a
// place, and no more than so many. It costs the same however many came before.
type Sweep struct {
	// Latest has the latest deadlines come first; otherwise the earliest do.
	Latest bool
	// Ago is how long ago a deadline may have passed, by the database's clock.
	// With the earliest first it says where to begin, and nothing if there is a
	// place to go on behind.
	Ago time.Duration
	// Behind is the last one that was looked at; the zero value is none.
	Behind Due
	// AtMost is how many requests are looked at, ended or not.
	AtMost int
}

// A Swept is what a Sweep found.
type Swept struct {
	Seen  int // requests that it looked at: fewer than it might have, if no more are there
	Ended int // those of them that it ended
	Last  Due // the last of them, from which to go on; the zero value if there was none
}
