// Package simulator is LLM providers for drills, demonstrations and tests: real
// HTTP, each dialect's own bodies and headers, and failures on schedule.
//
// One Server holds several named providers. A target of provider "cheap" has the
// base URL http://HOST:PORT/cheap/v1 (of Gemini, /v1beta), and any client of the
// vendor works with it.
// An answer is a true extractive summary of the document that was sent: the same
// request gets the same words, the same usage and the same latency every time.
//
// A fault begins by script or by command and ends in one of three ways. It
// decides about calls as they arrive; a call that already waits for its answer
// gets it, and one that hangs, hangs until its client leaves.
//
//	script: step at 2m ──┐                        ┌── its `for` runs out
//	                     ├──> the fault holds ────┼── a later step or command
//	command: Set ────────┘          │             └── Clear
//	                                │
//	             each call draws against its rate
//	                   │                     │
//	           meets the fault      is answered as ever
//
// A provider that is well may still carry less than is asked of it: see Capacity,
// which changes with the time since the last fault ended.
//
// Faults do not stack: the one that began last is the only one, and when it
// ends the provider is well again. Whatever happens, limits, keys and bodies are
// checked as the vendor checks them, and every call is counted by its outcome.
//
// People and dashboards command a running server over HTTP, in JSON:
//
//	GET    /_simulator                              state and counters of all
//	GET    /_simulator/providers/{name}             of one
//	PUT    /_simulator/providers/{name}/fault       {"mode": "unavailable", "for": "30s"}
//	DELETE /_simulator/providers/{name}/fault       well again
//	PUT    /_simulator/providers/{name}/capacity    {"per_second": 500, "cold_from": 0.4, "cold_for": "5m"}
//	DELETE /_simulator/providers/{name}/capacity    no bound
//	GET    /_simulator/providers/{name}/seconds     what became of calls by the second, ?since=2006-01-02T15:04:05Z
//
// where {name} may be * for all. The control has no key of its own: listen on
// loopback.
package simulator
