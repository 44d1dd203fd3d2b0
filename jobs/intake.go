package jobs

import "time"

// An Accepted is the answer to requests that came over NATS, when they were committed.
type Accepted struct {
	ID      string   `json:"id"`                 // of the batch, if there is one, or else of the request
	IDs     []string `json:"ids"`                // of the requests, in the order of their lines
	BatchID string   `json:"batch_id,omitempty"` // empty: it was one request
	// Duplicate tells that they came before, under the same message id: these are the
	// ids of that time.
	Duplicate bool `json:"duplicate,omitempty"`
}

// An IntakeError says why requests that came over NATS were not accepted, as it is told
// to who sent them.
type IntakeError struct {
	Status  int           `json:"-"` // as HTTP has them
	Message string        `json:"message"`
	Type    string        `json:"type"`
	Param   *string       `json:"param"` // the field at fault; nil: none is
	Code    *string       `json:"code"`  // nil: none
	After   time.Duration `json:"-"`     // when to send it again; zero: as it is, it will not be accepted
	// Err is what the log is to know, and who sent it not; nil: nothing.
	Err error `json:"-"`
}

// Error is what is told.
func (e *IntakeError) Error() string { return e.Message }

// Unwrap gives the reason that is for the log.
func (e *IntakeError) Unwrap() error { return e.Err }
