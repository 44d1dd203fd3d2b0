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
	if *err = c.over(failed); failed == nil {
		c.ends.Write(r, &result, stored)
	}
}

// lost writes down the calls of a try that ended in a panic: they may have been
// billed. What came of those before the last one is not known any more.
func (c *completion) lost(r *run) {
	var trace jobs.Trace
	for _, call := range r.calls {
		trace = append(trace, jobs.Step{Attempt: &jobs.Attempt{
			At: call.At, Target: call.Target, Class: jobs.Lost, Message: "the job ended in a panic", Latency: c.now().Sub(call.At), Propensity: 1,
		}})
	}
	if err := c.keep(r, trace); err != nil && !errors.Is(err, jobs.ErrDead) {
		c.log.Error().Err(err).Str("request", r.request.ID).Int("calls", len(trace)).Msg("calls of a job that ended in a panic were not written down")
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
