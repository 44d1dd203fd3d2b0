package jobs

import "time"

// An Owner is who pauses a route.
type Owner string

// The owners of pauses. A route is paused while any of them pauses it.
const (
	OwnerCircuit Owner = "circuit" // no target of the chain may be called
	OwnerPerson  Owner = "person"  // somebody said so: only a person undoes it
	OwnerBudget  Owner = "budget"  // the route's budget is spent
)

// A Pause is why a route's queue is paused. Its time is of this machine's clock.
type Pause struct {
	Route  string
	Owner  Owner
	Reason string // as a person reads it
	Since  time.Time
}

// QuarantineQueue is the River queue in which requests run alone that were
// under way when workers died. No route may have this name.
const QuarantineQueue = "tidegate-quarantine"
