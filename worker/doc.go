// Package worker takes jobs out of River and sees each through to its one
// stored result, as one of a fleet.
//
//	River ──> load ──> ended already? ──> complete, no call
//	            │
//	            v
//	          room <── blocked ──┐     waits, in the order of tickets, until
//	            │                │     a target may be called: no row
//	            │ a pass         │
//	            v                │
//	          begin ──> route ──┬┘     "this call begins", in the database
//	                            ├─ answered ─┐
//	                            └─ refused ──┴─> commit ──> complete
//
// Loads, beginnings and commits of many jobs are gathered into one round trip
// each. A job completes only after its result was committed. A job that has to go
// back to its queue, because the worker stops or because nobody can take it for a
// while, is snoozed or interrupted: either gives its attempt back, so an outage
// costs none.
//
// Beside the jobs there are a heart, which tells the fleet that the worker lives
// and the router what the fleet says; a prober, which takes the fleet's one probe
// of a circuit; and a supervisor, which acts for all if this worker has the lease.
//
// A panic is the one thing that does cost an attempt: River catches it and tries
// the job again later, and a request that panics at its last attempt ends as
// poison.
package worker
