package routing

import (
	"context"
	"fmt"
	"time"

	"tidegate/jobs"
)

// Complete routes a request for a caller who waits for the answer and cannot
// wait at the gate. The error is a *jobs.Error if the request was refused for
// good, and an *AllTargetsFailed with the trace if nobody answered now.
func (r *Router) Complete(ctx context.Context, request *jobs.Request) (*jobs.Answer, error) {
	outcome := r.Route(ctx, request, nil)
	switch outcome.Verdict {
	case jobs.Answered:
		return outcome.Answer, nil
	case jobs.Refused:
		return nil, outcome.Err
	default:
		return nil, &AllTargetsFailed{Trace: outcome.Trace, Until: outcome.Until, Reason: outcome.Reason, Last: outcome.Err}
	}
}

// An AllTargetsFailed error tells a synchronous caller, who cannot wait at the
// gate, that no target of the chain answered, and when to come back. Find it
// with errors.As.
type AllTargetsFailed struct {
	Trace  jobs.Trace
	Until  time.Time   // when it is worth asking again; zero: not known
	Reason string      // as a person reads it
	Last   *jobs.Error // of the last call; nil: none was made
}

// Error says why nobody answered.
func (e *AllTargetsFailed) Error() string {
	return fmt.Sprintf("all targets failed: %s", e.Reason)
}

// Unwrap gives the error of the last call, if there was one.
func (e *AllTargetsFailed) Unwrap() error {
	if e.Last == nil {
		return nil
	}
	return e.Last
}
