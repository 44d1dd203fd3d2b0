// Package app puts tidegate together: the wiring of all parts, and one file for
// each command. It is the only package that knows all
// others, so the program, `tidegate dev`, `tidegate demo` and the integration
// tests all run the same assembly.
//
//	New ── the commands (cobra)
//	 ├─ dev, demo ── Backbone: Postgres and NATS of one's own
//	 ├─ work, dev, demo ── Stack: store, router, provider, worker, relay
//	 └─ enqueue, status, watch, results, … ── a connection to what runs
package app
