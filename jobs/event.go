package jobs

import "time"

// MaxEventBody is the largest answer that an event carries itself: 64 KiB. A
// larger one is replaced by a reference to the stored result.
const MaxEventBody = 64 << 10

// An Event is a fact that owes a message: a result that was stored, or a batch
// that changed its state. Exactly one of the two is set.
type Event struct {
	Result *ResultEvent
	Batch  *Batch
}

// A ResultEvent is a result with what its subscribers want to know of the
// request.
type ResultEvent struct {
	Result
	Tenant   string
	Route    string
	BatchID  string
	CustomID string
	Metadata map[string]string
	// BodyBytes is the size of the answer; Body is absent when it is over
	// MaxEventBody.
	BodyBytes int
}

// A BatchState is where a batch stands.
type BatchState string

// The states of a batch.
const (
	BatchInProgress BatchState = "in_progress"
	BatchCancelling BatchState = "cancelling"
	BatchCompleted  BatchState = "completed"
	BatchCancelled  BatchState = "cancelled"
)

// A Batch is requests that were submitted together, and are counted and
// finished together.
type Batch struct {
	ID        string // "batch_" and a UUID version 7 without hyphens
	Tenant    string
	State     BatchState
	Total     int
	Completed int // answered
	Failed    int // refused, expired, cancelled or poison
	CreatedAt time.Time
	EndedAt   time.Time // zero: not yet
}

// Ended tells whether every request of the batch has its result.
func (b *Batch) Ended() bool { return b.State == BatchCompleted || b.State == BatchCancelled }
