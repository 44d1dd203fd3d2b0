package jobs

import (
	"fmt"
	"time"
)

// A Loaded request is what a worker reads before it makes a call.
type Loaded struct {
	Request Request // without its body when Ended
	Ended   bool    // there is a result already: nothing is left to do
	History Trace   // calls that were made when its job was worked before; read only for one that was
	// Budget is its batch's, as far as its key and limits; nil: it has none. That of a
	// batch that is new may not have been heard of otherwise.
	Budget *Budget
}

// An Entry is what one try of a request adds to the books: the calls that were
// made, and the result if there is one. It is written whole or not at all.
type Entry struct {
	Request *Request
	Trace   Trace
	Result  *Result // nil: the request goes on waiting
	// Budgeted tells that the request may be under a budget: what its calls cost is
	// settled with it.
	Budgeted bool
	// Unsaved tells that the request is not in the database: it is written with its
	// result. Nobody enqueued it; its sender waited for the answer.
	Unsaved bool
}

// A Committed group of entries is what became of them.
type Committed struct {
	Stored []string // the ids of requests whose result is new; the others had one already
	// Late are calls that a rescue had taken for LOST, and counted: their workers were
	// only cut off. What they say has replaced that.
	Late []Call
}

// A Call names one that was made for a request.
type Call struct {
	RequestID string
	At        time.Time // as far as microseconds
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
