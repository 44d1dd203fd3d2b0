package jobs

import "time"

// SampleEvery is how often a supervisor writes down how routes and targets stand.
const SampleEvery = 10 * time.Second

// A RouteSample is how a route stood at a moment, and what was done in the time before.
type RouteSample struct {
	At       time.Time     // the end of that time
	Span     time.Duration // how long it was
	Route    string
	Waiting  int       // jobs that no worker had in hand
	InHand   int       // in a worker: called, or waiting at the gate there
	Answered int       // requests, in that time
	Failed   int       // those that ended otherwise
	Cost     MicroUSD  // of all calls, as far as it is known
	Counted  time.Time // when Waiting was last counted: of very many, what has ended since is taken off
}

// A TargetSample is what a target did in a time.
type TargetSample struct {
	At            time.Time // the end of that time
	Span          time.Duration
	Target        string
	Calls         int
	Answered      int
	Limited       int // refused with a 429
	Cost          MicroUSD
	Unpriced      int           // calls whose cost nobody knows
	Input, Output int           // tokens
	Median        time.Duration // of the answers; zero: there was none
	Slow          time.Duration // 95 of 100 answers took less
}

// A Transition is what a circuit or a pause did.
type Transition struct {
	At     time.Time
	Route  string // of a pause; empty: it is of a circuit
	Target string
	State  string // open, closed or degraded; paused or resumed
	Owner  Owner  // of a pause
	Reason string
	Person bool // somebody's word
}
