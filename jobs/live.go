package jobs

import (
	"fmt"
	"time"
)

// A Lack is what a request lacks whose sender waits for the answer, and gets none.
type Lack string

// The lacks.
const (
	LackTarget Lack = "target" // none may be called, or none that was called answered
	LackPace   Lack = "pace"   // those that may be called are called as fast as they may be
	LackMoney  Lack = "money"  // a budget is spent, or what is left of it is too little
	LackWorker Lack = "worker" // this process stops, or its fleet has lost sight of it
)

// A NotNowError says that somebody who waits for an answer gets none now. It was
// neither given nor refused for good: the request may be sent again.
type NotNowError struct {
	Lack   Lack
	Reason string        // as a person reads it
	After  time.Duration // when it is worth trying again; zero: not known
	// RequestID is what the calls are kept under that were made; empty: there were none.
	RequestID string
}

// Error says what is lacking.
func (e *NotNowError) Error() string { return fmt.Sprintf("no answer now: %s", e.Reason) }
