// Package routing decides which target answers a request: it ranks the chain,
// takes permits, calls, fails over, and writes down what it did and why.
//
// Its parts are state machines on a clock of ours, so that a replay can run the
// very same ones in another time:
//
//	         5 failures in a row, or a fifth of the last 50 calls;
//	         a word of the provider (no money, wrong key)
//	 closed ─────────────────────────────────────────────> open
//	   ^  ^                                                 │ cooldown over,
//	   │  └──── the probe was answered ─── half-open <──────┘ a caller comes
//	   │                                      │  one permit
//	   │                                      └─ the probe failed ──> open
//	a cooldown (a 429, a Retry-After) holds calls back in any state, and leaves
//	the state as it is
//
// A router takes another configuration while it routes, see Router.Reload.
//
// What each class of refusal does to a circuit stands in package jobs. A target
// that may not be called now is skipped with a reason; when that is all of the
// chain, the outcome is Blocked, a value with a time, and never an error.
package routing
