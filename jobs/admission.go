package jobs

import "time"

// When a job of a route becomes available to workers.
const (
	AdmissionDirect = "direct" // at once, in the order of arrival
	AdmissionFair   = "fair"   // when its tenant's turn has come
)

// Priorities of requests: 1 goes first. Inside a route with direct admission they
// order all that waits, with fair admission what waits of one tenant.
const (
	FirstPriority   = 1
	DefaultPriority = 2
	LastPriority    = 4
)

// A Backlog is what a route with waiting requests has before and in workers.
type Backlog struct {
	Route     string
	Available int // River jobs that any worker may take
	Running   int // River jobs in the hands of workers
	Calling   int // those of them that are being called just now
	Waiting   int // how many wait, if that was asked for
}

// An Intake is what a supervisor asks for when it admits requests of a route.
type Intake struct {
	Route  string
	AtMost int    // of them
	Behind string // tenants after this one, by name; empty: from the first
	// Near is how near a deadline must be for a request to start; zero: any may.
	Near time.Duration
}

// Heads are the requests of a route that could be admitted next.
type Heads struct {
	Clock   float64 // where the route's fair clock stands
	Tenants []TenantHeads
	Last    string // the last tenant of those that were looked at; empty: there are no others behind it
}

// TenantHeads are the first requests of one tenant, in their order.
type TenantHeads struct {
	Tenant   string
	Finish   float64 // up to where its work reaches by the fair clock; zero: it is new
	Requests []Head
	More     bool // there are others behind these
}

// A Head is a request that waits for its turn.
type Head struct {
	RequestID string
	Work      float64 // that it is expected to be, in tokens
}

// Admitted is what was chosen of some Heads.
type Admitted struct {
	Requests []string // their ids, in the order in which workers are to take them
	Clock    float64
	Finish   map[string]float64 // by tenant, of those whose requests are among them
}

// A Parked job was taken by a worker and has to wait for a time before it can be
// called.
type Parked struct {
	JobID  int64  // River's
	Reason string // for people
}
