package worker

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"tidegate/jobs"
)

var errPanic = errors.New("the job ended in a panic; the worker's log has its stack")

// panicked ends the run of a job that panics. The panic costs an attempt, and at
// the last one the request ends as poison: River would give the job up, and the
// request would never have a result. River must not see it: it would log the
// panic's own words, and keep them beside the job, and they may quote a prompt or a
// key. It must be deferred.
func (c *completion) panicked(r *run, last bool, err *error) {
	cause := recover()
	if cause == nil {
		return
	}
	c.log.Error().Str("request", r.request.ID).Str("route", r.request.Route).Str("panic", panicGist(cause)).Bytes("stack", debug.Stack()).
		Msg("a job ended in a panic")
	if !last {
		*err = c.over(errPanic)
		return
	}
	result := poisoned(r)
	stored, failed := c.commit(jobs.Entry{Request: &r.request, Result: &result})
	if *err = failed; failed == nil {
		c.logEnd(r, &result, stored)
	}
}

// panicGist is what may be told of a panic: what kind of thing it is, and the words
// of the language itself, as of an index out of range.
func panicGist(cause any) string {
	var bug runtime.Error
	if err, ok := cause.(error); ok && errors.As(err, &bug) {
		return bug.Error()
	}
	return fmt.Sprintf("%T", cause)
}
