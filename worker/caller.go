package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"tidegate/jobs"
)

const (
	// pacedAtMost is how long somebody waits for a turn at targets that are called as
	// fast as they may be.
	pacedAtMost = 30 * time.Second
	// soon is how long somebody waits where a target says when it may be called.
	soon = time.Second
	// spentAgain is when it is worth asking again for money that others have reserved.
	spentAgain = 5 * time.Second
)

// errSpoken says that a part of an answer was handed on, so that nobody else may give
// another one.
var errSpoken = errors.New("the answer broke off after a part of it was handed on")

// A caller is somebody who waits for the answer to a request.
type caller struct {
	at     *completion
	run    *run
	calls  context.Context // of calls, which do not end with their sender's patience
	spoken func() bool     // a part of an answer was handed on
}

// newCaller returns one who gives up, for a reason, where Postgres is not there.
func newCaller(c *completion, request *jobs.Request, calls context.Context, spoken func() bool, giveUp context.CancelCauseFunc) *caller {
	r := &run{request: *request, began: c.now(), deadline: request.Deadline, unsaved: true, slow: func() { giveUp(errUnreached) }}
	r.request.Awaited = true
	if ahead := c.heart.Ahead(); !r.deadline.IsZero() { // times that are stored are the database's
		r.request.Deadline = r.deadline.Add(ahead)
	}
	return &caller{at: c, run: r, calls: calls, spoken: spoken}
}

// answer sees the request through to its result, or says why there is none now.
func (c *caller) answer(ctx context.Context) (*jobs.Result, error) {
	r := c.run
	r.over = func() error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if c.spoken() {
			return errSpoken
		}
		return nil
	}
	c.at.answering.Add(1)
	defer c.at.answering.Add(-1)
	r.ticket = c.at.room.ArriveFirst(r.request.Route, r.request.Tenant)
	defer c.at.room.Depart(r.request.Route)
	for {
		left, err := c.turn(ctx)
		var result *jobs.Result
		if err == nil {
			result, err = c.serve(ctx, left)
		}
		switch {
		case err != nil:
			return c.end(ctx, err)
		case result != nil:
			return result, nil
		}
	}
}

// turn waits for a target that may be called, as long as it is only its pace that
// holds the call back.
func (c *caller) turn(ctx context.Context) (leave, error) {
	r := c.run
	for {
		if err := c.lacks(); err != nil {
			return leave{}, err
		}
		_, r.request.Budgeted = c.at.budgets.Of(&r.request)
		r.request.CallLimit = c.at.budgets.Least(&r.request)
		brief, cancel := context.WithTimeout(ctx, soon) // its gate may begin to hold
		left, err := c.at.room.Wait(brief, r.guest())
		cancel()
		r.waitsFor(left.waited)
		switch {
		case err == nil:
			return left, nil
		case ctx.Err() != nil:
			return leave{}, context.Cause(ctx)
		}
		r.waitsFor(jobs.WaitedForPace)
		if c.at.now().Sub(r.began) > pacedAtMost {
			return leave{}, &jobs.NotNowError{Lack: jobs.LackPace, Reason: "the targets that may be called are called as fast as they may be", After: soon}
		}
	}
}

// lacks is why no call can be made now; nil: one may.
func (c *caller) lacks() error {
	r := c.run
	if c.at.heart.Lives() != nil {
		return &jobs.NotNowError{Lack: jobs.LackWorker, Reason: "this process has lost touch with its database", After: soon}
	}
	if budget := c.at.budgets.Spent(&r.request, true); budget != nil {
		no := &jobs.NotNowError{Lack: jobs.LackMoney, Reason: budget.Reason()}
		if !budget.OutOfTotal {
			no.After = budget.DayLeft
		}
		return no
	}
	n, again := c.at.room.router.Admits(r.request.Route)
	if n == math.MaxInt { // all may go
		return nil
	}
	no := &jobs.NotNowError{Lack: jobs.LackTarget, Reason: "its targets are tried again just now", After: soon}
	if n > 0 {
		return no
	}
	pass, outcome := c.at.room.router.Admit(&r.request, r.history)
	if pass != nil { // it came back in between
		pass.Release()
		return nil
	}
	no.Reason, no.After = outcome.Reason, max(again.Sub(c.at.now()), soon)
	return no
}

// serve has the request called, and keeps what came of it. Without a result and an
// error it is to be tried again.
func (c *caller) serve(ctx context.Context, left leave) (*jobs.Result, error) {
	r := c.run
	defer c.at.vacate(r) // by then its calls are written down
	outcome := left.outcome
	if left.pass != nil {
		defer c.at.room.Settled(r.guest())
		var err error
		if outcome, err = c.at.call(c.calls, r, left); err != nil {
			return nil, err
		}
	}
	if outcome.Verdict != jobs.Blocked && len(r.history)+len(outcome.Trace.Attempts()) == 0 {
		result := resultOf(r, outcome) // nobody was called for it: it leaves nothing
		return &result, nil
	}
	if outcome.Verdict != jobs.Blocked {
		result, err := c.at.conclude(r, outcome)
		return &result, err
	}
	if err := c.at.keep(r, outcome.Trace); err != nil {
		return nil, err
	}
	return nil, c.blocked(ctx, outcome)
}

// blocked is why a request that nobody answered in one try is not tried again; nil: it
// is, after a moment.
func (c *caller) blocked(ctx context.Context, outcome jobs.Outcome) error {
	wait := outcome.Until.Sub(c.at.now())
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case c.calls.Err() != nil:
		return context.Cause(c.calls)
	case c.spoken():
		return errSpoken
	case outcome.Paced && outcome.Held:
		return nil // it waits for its turn with the others
	case outcome.Paced && c.at.now().Sub(c.run.began) > pacedAtMost:
		return &jobs.NotNowError{Lack: jobs.LackPace, Reason: outcome.Reason, After: max(wait, soon)}
	case outcome.Paced, outcome.Err == nil && wait <= soon:
		return sleepUntil(ctx, min(max(wait, breath), soon))
	default:
		return &jobs.NotNowError{Lack: jobs.LackTarget, Reason: outcome.Reason, After: max(wait, soon)}
	}
}

// end is what a request comes to that was not answered. If it was called, that has cost
// something, and is kept with what became of it.
func (c *caller) end(ctx context.Context, err error) (*jobs.Result, error) {
	err = c.explain(err)
	var no *jobs.NotNowError
	if len(c.run.history) == 0 || errors.Is(err, jobs.ErrDead) {
		if errors.Is(err, errDeadline) {
			err = &jobs.NotNowError{Lack: jobs.LackPace, Reason: "its time was over before a target could be called", After: soon}
		}
		return nil, err
	}
	outcome := jobs.Outcome{Verdict: jobs.Refused, Err: c.last(err)}
	switch {
	case errors.Is(err, errDeadline):
		outcome = jobs.Outcome{Verdict: jobs.Blocked}
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), errUnreached):
		outcome.Err.Class, outcome.Err.Status, outcome.Err.Code = jobs.Lost, statusGone, "cancelled"
	}
	result, failed := c.at.conclude(c.run, outcome)
	switch {
	case failed != nil:
		return nil, failed
	case errors.As(err, &no):
		no.RequestID = c.run.request.ID
		return nil, no
	case errors.Is(err, errDeadline), errors.Is(err, errSpoken):
		return &result, nil
	default:
		return nil, err
	}
}

// statusGone is what others say of a sender who did not wait.
const statusGone = 499

// explain turns what ends a job that waits in a queue into what is told somebody who
// waits.
func (c *caller) explain(err error) error {
	var short shortage
	switch {
	case errors.As(err, &short):
		no := &jobs.NotNowError{Lack: jobs.LackMoney, Reason: short.Reason, After: short.Until}
		if short.Kind == jobs.ShortNow {
			no.After = spentAgain
		}
		return no
	case errors.Is(err, errUnreached):
		return databaseAway()
	case errors.Is(err, errStopping):
		return &jobs.NotNowError{Lack: jobs.LackWorker, Reason: "this process stops", After: soon}
	case errors.Is(err, jobs.ErrDead), errors.Is(err, errStale):
		return &jobs.NotNowError{Lack: jobs.LackWorker, Reason: "this process has lost touch with its fleet", After: soon}
	default:
		return err
	}
}

// last is the refusal of a request that was called and not answered.
func (c *caller) last(why error) *jobs.Error {
	last := c.run.history[len(c.run.history)-1].Attempt
	return &jobs.Error{
		Class: last.Class, Status: 503, Code: "no_answer_now",
		Message: fmt.Sprintf("%s; its sender did not wait", why),
	}
}
