package jobs

import "time"

// MaxEventBody is the largest answer that an event carries itself: 64 KiB. A
// larger one is replaced by a reference to the stored result.
const MaxEventBody = 64 << 10

// An Event is a fact that owes a message: a result that was stored, a batch that
// changed its state, a circuit that opened or closed, a route that was paused or
// resumed, or a budget that is spent or goes on. Exactly one of them is set.
type Event struct {
	Result  *ResultEvent
	Batch   *BatchEvent
	Circuit *CircuitEvent
	Pause   *PauseEvent
	Budget  *BudgetEvent
}

// A ResultEvent is a result with what its subscribers want to know of the
// request.
type ResultEvent struct {
	Result
	Tenant   string
	Route    string
	Endpoint Endpoint
	BatchID  string
	CustomID string
	Metadata map[string]string
	// Traceparent is the span that its request belongs to, or the event itself; empty:
	// none.
	Traceparent string
	// BodyBytes is the size of the answer; Body is absent when it is over
	// MaxEventBody.
	BodyBytes int
}

// A BatchEvent is a batch that changed its state; of its Order it has the files alone.
type BatchEvent struct {
	Batch
	// Traceparent is the span that the batch belongs to, or the event itself; empty: none.
	Traceparent string
}

// A CircuitEvent is a circuit that opened or closed. Its times are the
// database's.
type CircuitEvent struct {
	ID string // of the event
	// Circuit is as it then stood, open or closed. Its DownSince is also set
	// when it closed: how long it had been open.
	Circuit
}

// A PauseEvent is a pause that began or ended. Its times are the database's.
type PauseEvent struct {
	ID string // of the event
	Pause
	At      time.Time // when it began or ended
	Resumed bool      // it ended
	// PausedBy is who pauses the route from now on: when one pause ends, another
	// owner's may go on. Empty: nobody, it flows.
	PausedBy []Owner
}

// A BudgetEvent is a budget that is spent, or goes on. Its time is the database's.
type BudgetEvent struct {
	ID string // of the event
	BudgetKey
	BudgetLimits
	Out        bool // it is spent: requests wait
	OfTotal    bool // it is the total that is spent, or else the day's
	SpentToday MicroUSD
	Spent      MicroUSD
	At         time.Time
}
