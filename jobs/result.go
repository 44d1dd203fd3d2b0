package jobs

import "time"

// A State is how a request ended.
type State string

// The states. There is exactly one result for an accepted request, so exactly
// one of these, for ever.
const (
	StateAnswered  State = "answered"
	StateRefused   State = "refused"
	StateExpired   State = "expired"
	StateCancelled State = "cancelled"
	StatePoison    State = "poison"
)

// States lists every state.
func States() []State {
	return []State{StateAnswered, StateRefused, StateExpired, StateCancelled, StatePoison}
}

// A Result is the stored, published, final fact about a request.
type Result struct {
	ID        string // a UUID version 7; the id of its event
	RequestID string
	State     State
	Status    int // of HTTP, as a synchronous caller would have seen it

	// Answered.
	Body         []byte // an OpenAI chat-completion object
	Target       string
	Model        string
	ProviderID   string
	FinishReason string
	Usage        Usage

	// All but answered.
	Class   Class  // why a refused request was refused
	Code    string // the provider's own code, or batch_expired, batch_cancelled
	Message string

	Cost     MicroUSD // of all attempts, as far as it is known
	Unpriced bool     // nobody knows what one of them cost
	Attempts int      // calls made, by the worker that stored the result
	StoredAt time.Time
}
