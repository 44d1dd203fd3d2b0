// Package jobs is the vocabulary of tidegate: what a request, a target, an
// attempt, an outcome and a result are, and what each class of refusal means.
//
// It is the ground floor: it imports the standard library alone, and every
// other package may import it. Its types are plain values; none of them reads a
// clock, opens a connection or takes a lock, so all are safe to copy and, once
// built, to share between goroutines that only read.
//
// A request's way through the words:
//
//	Request ──> Router ──> Outcome ─┬─ Answered ─┐
//	              │ Trace           ├─ Refused ──┴─> Result ──> Event
//	              │  Attempt, Skip  └─ Blocked ──> the gate, and again
//	            Target
package jobs
