package jobs

import "time"

// A BatchState is where a batch stands.
type BatchState string

// The states of a batch. One without an order is never validating or finalizing: its
// requests are checked before it is there, and it has no files. One that tries another
// one again begins in progress.
const (
	BatchValidating BatchState = "validating" // the lines of its file are being checked
	BatchFailed     BatchState = "failed"     // they are not right: none was enqueued
	BatchInProgress BatchState = "in_progress"
	BatchFinalizing BatchState = "finalizing" // all have results: its files are being written
	BatchCompleted  BatchState = "completed"
	BatchExpired    BatchState = "expired" // as completed, and some were not answered within its window
	BatchCancelling BatchState = "cancelling"
	BatchCancelled  BatchState = "cancelled"
)

// Final tells whether a batch that has come so far changes no more.
func (s BatchState) Final() bool {
	switch s {
	case BatchCompleted, BatchFailed, BatchExpired, BatchCancelled:
		return true
	default:
		return false
	}
}

// A Batch is requests that were submitted together, and are counted and
// finished together.
type Batch struct {
	ID        string // "batch_" and a UUID version 7 without hyphens
	Tenant    string
	State     BatchState
	Total     int // zero while it is validating
	Completed int // answered
	Failed    int // refused, expired, cancelled or poison
	CreatedAt time.Time
	EndedAt   time.Time // when it came to its final state; zero: not yet
	RetryOf   string    // the batch whose failed requests it tries again; empty: none
	// Order is what was said of one that came as a file, or that tries another one
	// again; nil: it is neither.
	Order *BatchOrder
}

// Ended tells whether the batch has come to its final state.
func (b *Batch) Ended() bool { return b.State.Final() }

// A BatchOrder is a batch that came as a file of lines, or that tries another one
// again, and what comes of it.
type BatchOrder struct {
	// InputFile is the file of its lines; of one that tries another one again, that
	// one's; empty: it has none.
	InputFile string
	// Retry is how it tries another batch again; nil: it came as a file.
	Retry *BatchRetry
	// Endpoint is the URL of every line, as "/v1/chat/completions"; empty: nobody said.
	Endpoint string
	// Window is how long its requests have, as it was written: "24h"; empty: each as
	// long as it has itself.
	Window    string
	ExpiresAt time.Time // the end of the window; zero: it has none
	Metadata  map[string]string
	// Route and Goal are those of lines that name none; empty: their model's route,
	// their route's goal.
	Route, Goal string
	// OutputLives is how long its files are kept after it was created; zero: as long
	// as others.
	OutputLives time.Duration

	// What came of it.
	Model                                    string // of all lines; empty: there are several, or it is not known yet
	InProgressAt, FinalizingAt, CancellingAt time.Time
	OutputFile, ErrorFile                    string // empty: it has none, or has not ended
	Faults                                   []BatchFault
	Usage                                    Usage // of all its results; set when it has ended
	Cost                                     MicroUSD
}

// A BatchFault says what is wrong with a file of lines, or with one of them.
type BatchFault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Param   string `json:"param,omitempty"` // the field; empty: the line as a whole
	Line    int    `json:"line,omitempty"`  // from 1; zero: the file as a whole
}

// MaxBatchFaults bounds how many faults of one file are told.
const MaxBatchFaults = 100

// BatchQueue is the River queue of the work that is to be done for batches that came
// as files. No route may have this name.
const BatchQueue = "tidegate-batches"

// BatchArgs are the arguments of the River job that does for a batch what its state
// asks for. Migrations insert such jobs, too.
type BatchArgs struct {
	BatchID string `json:"b"`
}

// Kind names the job for River.
func (BatchArgs) Kind() string { return "batch" }
