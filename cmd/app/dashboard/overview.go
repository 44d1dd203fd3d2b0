package dashboard

import (
	"slices"
	"time"

	"tidegate/jobs"
)

// An Overview is how everything stands at one moment.
type Overview struct {
	At      time.Time // of the database
	Targets []Target
	Routes  []Route
	Batches []Batch // the newest, and those that go on: the newest first
	Open    int     // batches that go on
	// OpenMore tells that there are more of them.
	OpenMore bool
	Workers  Workers
	Outbox   int           // events that are owed to NATS, up to some thousands
	Behind   time.Duration // age of the oldest of them
	Budgets  []Note        // those that are spent, or nearly
}

// A Target is one that may be called, and how it stands.
type Target struct {
	Name, Model, Region string
	Routes              []string // whose chains have it
	Circuit             jobs.CircuitState
	Since               time.Time // of the circuit's last change
	DownSince           time.Time // zero: it is closed
	CooldownUntil       time.Time // zero: none goes on
	UntilClosed         bool      // it stays open until somebody closes it
	Reason              string    // of the last change
	Degraded            string    // how its answers have changed; empty: they have not
	Probed              bool      // a trial call is out
	Drill               *jobs.Drill
	PerMinute           float64 // calls that it takes now, by the whole fleet
	Limit               float64 // calls a minute; zero: none is known
	LimitFrom           string  // who says so
	Price, PriceMore    string  // as a person reads it, per million tokens; empty: not known here
	Unpriced            bool    // nobody knows it
}

// Down tells whether no calls go there.
func (t *Target) Down() bool { return t.Circuit != jobs.CircuitClosed }

// Cools tells whether a cooldown goes on while its circuit is closed.
func (t *Target) Cools(now time.Time) bool { return !t.Down() && t.CooldownUntil.After(now) }

// manyRows are so many that one does not see all of them at once.
const manyRows = 10

// troubleFirst has what is not well stand first where there is much; else all keeps its
// place.
func (o *Overview) troubleFirst() *Overview {
	sorted := *o
	first := func(a, b bool) int {
		switch {
		case a == b:
			return 0
		case a:
			return -1
		default:
			return 1
		}
	}
	if len(o.Targets) > manyRows {
		sorted.Targets = slices.Clone(o.Targets)
		slices.SortStableFunc(sorted.Targets, func(a, b Target) int { return first(a.troubled(), b.troubled()) })
	}
	if len(o.Routes) > manyRows {
		sorted.Routes = slices.Clone(o.Routes)
		slices.SortStableFunc(sorted.Routes, func(a, b Route) int { return first(a.State != Flows, b.State != Flows) })
	}
	return &sorted
}

func (t *Target) troubled() bool { return t.Down() || t.Degraded != "" || t.Drill != nil }

// States of a Route.
const (
	Flows    = "flows"
	Holds    = "holds"
	Paused   = "paused"
	Retired  = "retired"
	Unserved = "unserved"
)

// A Route is how one stands.
type Route struct {
	Name      string
	State     string
	Why       string
	Since     time.Time // of a state that is not Flows
	Chain     []string
	Waiting   int
	InHand    int
	Discarded int
	Oldest    time.Time
	Counted   time.Time // of very many, when they were counted; zero: now
	Pauses    []Pause
	Done      Done // when all of it will be
}

// ByPerson tells whether somebody pauses it.
func (r *Route) ByPerson() bool {
	for _, p := range r.Pauses {
		if p.Owner == jobs.OwnerPerson {
			return true
		}
	}
	return false
}

// A Pause is who pauses a route, and why.
type Pause struct {
	Owner  jobs.Owner
	Who    string // in a sentence
	Reason string
	Since  time.Time
}

// A Batch is how far one is.
type Batch struct {
	jobs.Batch
	Cost string // as a person reads it; empty: it is not known yet
	Done Done
}

// Done is when something will be.
type Done struct {
	At     time.Time // zero: nobody can say
	Margin string    // by how much that may be off
	Why    string    // nobody can say, or what makes it slow; empty: nothing does
	Missed bool      // that is after its deadline
	// MayMiss tells that it may be.
	MayMiss bool
}

// Ends is how many of it have ended.
func (b *Batch) Ends() int { return b.Completed + b.Failed }

// Retryable tells whether there is something to try again.
func (b *Batch) Retryable() bool { return b.Ended() && b.Failed > 0 }

// Workers are those who work.
type Workers struct {
	Alive, Silent, Dead int
	Supervisor          string // empty: nobody leads
}

// A Note is a sentence about something that needs somebody.
type Note struct {
	Title, Text string
}
