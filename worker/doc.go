// Package worker takes jobs out of River and sees each through to its one
// stored result.
//
//	River ──> load ──> ended already? ──> complete, no call
//	            │
//	            ├──> the gate holds? ── wait in process, in order ──┐
//	            │                                                   │
//	            └──> route ──┬─ answered ─┐                         │
//	                 ^       ├─ refused ──┴─> commit ──> complete   │
//	                 │       └─ blocked ──> wait ─┐                 │
//	                 └────────── ended meanwhile? <┴────────────────┘
//
// Loads and commits of many jobs are gathered into one round trip each. A job
// completes only after its result was committed. A job that has to go back to
// its queue, because the worker stops or because it waited for as long as one
// job may, is snoozed or interrupted: either gives its attempt back, so an
// outage costs none.
//
// A panic is the one thing that does cost an attempt: River catches it and tries
// the job again later, and a request that panics at its last attempt ends as
// poison.
package worker
