package jobs

import (
	"errors"
	"strings"
	"time"
)

// ErrDead says that a worker was declared dead, or is not known to its fleet: its
// jobs are others', and it must begin no call.
var ErrDead = errors.New("the worker was declared dead")

// ErrDeposed says that somebody who wanted to act for the fleet leads it no
// more. Nothing was changed.
var ErrDeposed = errors.New("another worker leads the fleet")

// deskMark begins the name of a worker that works no queue and only answers those who
// wait. No host has it in its name.
const deskMark = "serve@"

// DeskName is the name of such a worker.
func DeskName(name string) string { return deskMark + name }

// IsDesk tells whether a worker is one.
func IsDesk(worker string) bool { return strings.HasPrefix(worker, deskMark) }

// A Beat is what a worker says of itself every two seconds.
type Beat struct {
	Worker string // its name, unique to this start of it
	// Version is that of its program, and Desk tells that it works no queue: both are
	// said with the first beat.
	Version string
	Desk    bool
	Again   bool // it has beaten before: if the fleet knows it no more, it was declared dead
	// Demand is, for each target, how many of the requests in hand may go there.
	Demand map[string]int
	// Accepted is, for each target, how many calls a second it took from this
	// worker lately: answered or failed, but not refused with a 429.
	Accepted map[string]float64
	// Announced is, for each target, how many calls a second the provider says
	// that the account may make, where it says so.
	Announced map[string]float64
	// Unreached are the targets that this host could not connect to, so that
	// their circuits are open here.
	Unreached []string
	// Statistics are what it knows of how targets do, by its own calls.
	Statistics Statistics
	// Ended is, for each route, how many requests of its queue were answered or refused
	// in its hands since it began.
	Ended map[string]int
}

// Statistics are what one worker knows of how targets do.
type Statistics struct {
	Estimator string `json:"by,omitempty"` // whose numbers they are; those of another mean nothing to it
	// Of is, for each target, what there is to add up: as of the beat.
	Of map[string][]float32 `json:"of,omitempty"`
}

// A Peer is a worker as its fleet sees it.
type Peer struct {
	Beat
	Beats int64     // how often it has beaten: one that stands still is dead, or cut off
	At    time.Time // when it beat last
	Dead  bool      // it was declared dead: its jobs were given to others
}

// A Fleet is what every worker reads each second: all that workers know of each
// other.
type Fleet struct {
	// Ahead is how far the database's clock is ahead of this machine's: negative
	// when it is behind.
	Ahead    time.Duration
	Peers    []Peer // also the reader itself, and those declared dead of late
	Circuits []Circuit
	Pauses   []Pause
	Chains   map[string][]string // by route: the targets of its chain
	Fair     map[string]bool     // by route: that it has fair admission
	LastGood map[string]float64  // by target: the highest rate that it is known to take, in calls a second of the whole fleet
	Drills   []Drill
	Budgets  []Budget // but for those of batches that have ended
}

// A Lead is the right to act for the whole fleet, as its supervisor. It ends
// when another worker takes it, with a higher Epoch.
type Lead struct {
	Worker string
	Epoch  int64
}

// A Rescue is what was done with the jobs of a dead worker.
type Rescue struct {
	Worker      string
	Returned    int            // jobs that run again, their attempts restored
	Lost        int            // calls that were under way: they are written down as attempts of class LOST
	LostAt      map[string]int // of these, by their targets
	Quarantined int            // of the jobs returned, those that run alone from now on
	Poisoned    int            // requests that ended as poison: they killed workers while they ran alone
}

// RescueLimits say how many deaths of workers one request may be near. A zero
// means 2.
type RescueLimits struct {
	Crashes int // after as many, it runs alone, in quarantine
	Alone   int // after as many deaths there, it ends as poison
}
