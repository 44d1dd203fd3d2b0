package jobs

import (
	"fmt"
	"time"
)

// A Loaded request is what a worker reads before it makes a call.
type Loaded struct {
	Request Request // without its body when Ended
	Ended   bool    // there is a result already: nothing is left to do
}

// An Entry is what one try of a request adds to the books: the calls that were
// made, and the result if there is one. It is written whole or not at all.
type Entry struct {
	Request *Request
	Trace   Trace
	Result  *Result // nil: the request goes on waiting
}

// An EntryError says that the store refuses one entry for what is in it; trying
// again would change nothing.
type EntryError struct {
	RequestID string
	Err       error
}

// Error names the request.
func (e *EntryError) Error() string { return fmt.Sprintf("request %s: %v", e.RequestID, e.Err) }

// Unwrap gives the store's own error.
func (e *EntryError) Unwrap() error { return e.Err }

// A CircuitState is where a circuit stands.
type CircuitState string

// The states of a circuit.
const (
	CircuitClosed   CircuitState = "closed"    // calls flow
	CircuitOpen     CircuitState = "open"      // none do
	CircuitHalfOpen CircuitState = "half-open" // one trial call is out
)

// A Circuit is what there is to know of a target's circuit at one moment.
type Circuit struct {
	Target     string
	Region     string
	State      CircuitState
	Generation uint64    // grows by one with every change of state
	Reason     string    // of the last change, as a person reads it
	Since      time.Time // of the last change
	// CooldownUntil is a time before which the target must not be called,
	// whatever the state; zero: none is known.
	CooldownUntil time.Time
}
