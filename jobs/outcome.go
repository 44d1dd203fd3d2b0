package jobs

import "time"

// A Verdict is what routing says of a request.
type Verdict string

// The verdicts.
const (
	Answered Verdict = "answered" // there is an answer
	Refused  Verdict = "refused"  // final, with a class
	Blocked  Verdict = "blocked"  // not now: ask again at Until, or when a circuit changes
)

// An Outcome is what became of one try to route a request. An outage is not an
// error: it is Blocked, a value, with a time and a reason.
type Outcome struct {
	Verdict Verdict
	Answer  *Answer   // Answered only
	Err     *Error    // Refused: why; Blocked: the last failure, if a call was made
	Until   time.Time // Blocked: when it is worth asking again
	Reason  string    // Blocked: why, as a person reads it
	// Held tells of a Blocked outcome that the gate holds: no target may be
	// called, by nobody. Otherwise targets were called and failed, others may
	// fare better there, and this request waits until Until on its own.
	Held bool
	// Paced tells of a Blocked outcome that a target is well, and called as fast as it
	// may be: the request waits for its turn.
	Paced bool
	// Trace is what this try added: steps of earlier tries are the caller's.
	Trace Trace
}

// An Answer is what a target said.
type Answer struct {
	Body              []byte // what OpenAI's API answers at the endpoint, whatever the dialect was
	Target            string
	Model             string // that answered, in the provider's words
	ProviderID        string // of the completion, in the provider's words
	ProviderRequestID string // of the call, in the provider's words
	FinishReason      string
	Vectors           int // of embeddings: how many
	Usage             Usage
	Unmet             string        // which expectation it does not keep, and is kept all the same; empty: none
	FirstByte         time.Duration // from sending to the first byte of the answer, or to the first token of a stream
	Allowance         Allowance     // that the provider announced beside it
}
