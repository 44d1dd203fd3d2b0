package jobs

import (
	"context"
	"time"
)

// A Pass is the right to make one call now: a place in the target's pace and a
// permit of its circuit, in the hands of one request. Use it exactly once, by
// Route or by Release. It belongs to one goroutine.
type Pass interface {
	// Route makes the call and fails over along the chain, as far as others may
	// be called at once. begin is asked before each call: an error of it, and
	// there is no call, and Route returns Blocked. Route returns soon after ctx
	// ends, then Blocked, too.
	Route(ctx context.Context, begin func(context.Context, Begun) error) Outcome
	// Release gives the place and the permit back.
	Release()
}

// A Begun call is one that is about to be sent: should its worker die, it may
// have been billed.
type Begun struct {
	// Slot is one of the places for calls that a worker has: a call that begins
	// takes over the place of one that is written down as an attempt. It counts
	// from zero.
	Slot int
	// RequestID is empty for a call that was not made after all: its place is free
	// again.
	RequestID string
	Target    string
	Route     string
	At        time.Time     // which is also the At of its attempt
	Within    time.Duration // the longest it may take; zero: not known
	// Estimate says what it may cost at most, as far as the request tells that; not
	// ok where the target has no price. Unless its prompt is to be counted, which may
	// take milliseconds, it is more than that, and never less. Nil: nobody can say.
	Estimate func(counted bool) (cost MicroUSD, ok bool)
	// Budgets are those that it is under, and Cost is what it reserves of each.
	Budgets BudgetIDs
	Cost    MicroUSD
	Rough   bool // Cost is of a prompt that was not counted
}
