package jobs

import (
	"strings"
	"time"
)

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
	Body         []byte // what OpenAI's API answers at the endpoint
	Target       string
	Model        string
	ProviderID   string
	FinishReason string
	Usage        Usage

	// Of all but answered; and of an answer that is not as expected, and was kept for
	// want of a better one: INVALID, the rule, and what of it is not kept.
	Class   Class  // why a refused request was refused
	Code    string // the provider's own code, or batch_expired, batch_cancelled
	Message string

	Cost     MicroUSD // of all attempts, as far as it is known
	Unpriced bool     // nobody knows what one of them cost
	Attempts int      // calls made, by the worker that stored the result
	// BadAnswers is how many answers were not as expected, and were paid; one that was
	// kept all the same is among them.
	BadAnswers int
	StoredAt   time.Time
}

// Escalated tells whether the answer came after others that were not as expected.
func (r *Result) Escalated() bool {
	return r.State == StateAnswered && r.Class == "" && r.BadAnswers > 0
}

// Unmet is which expectation an answer does not keep that was kept for want of a
// better one; empty: none.
func (r *Result) Unmet() string {
	if r.State != StateAnswered || r.Class != Invalid {
		return ""
	}
	return r.Code + ": " + r.Message
}

// What a result says whose request expired.
const (
	Expired         = "its deadline passed before a target could answer"
	ExpiredForMoney = "its deadline passed while it waited for money: " // and for which
)

// ExpiredWaiting is what is said of a request that expired while it waited for a budget,
// for a reason that a budget gave; empty: it did not.
func ExpiredWaiting(reason string) string {
	if reason == "" {
		return Expired
	}
	why, _, _ := strings.Cut(reason, BudgetGoesOn)
	return ExpiredForMoney + why
}
