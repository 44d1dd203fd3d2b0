package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"tidegate/jobs"
)

// A desk is where requests are answered whose senders wait for it. They come from no
// queue, and go to none. Safe for concurrent use.
type desk struct {
	opened  chan struct{} // closed when it opens
	mu      sync.Mutex
	open    *completion // nil: nobody is answered, before the worker runs and when it stops
	calls   context.Context
	callers sync.WaitGroup
}

func newDesk() *desk { return &desk{opened: make(chan struct{})} }

// opensWithin is how long somebody waits for a worker that has just begun to run.
const opensWithin = 5 * time.Second

// Open has callers answered, until shut has returned. It lets those who are there
// finish, for some time, and then ends their calls.
func (d *desk) Open(c *completion) (shut func(within time.Duration)) {
	calls, end := context.WithCancelCause(context.Background())
	d.mu.Lock()
	d.open, d.calls = c, calls
	d.mu.Unlock()
	close(d.opened)
	return func(within time.Duration) {
		d.mu.Lock()
		d.open = nil
		d.mu.Unlock()
		gone := make(chan struct{})
		go func() {
			d.callers.Wait()
			close(gone)
		}()
		late := time.AfterFunc(within, func() { end(errStopping) })
		defer late.Stop()
		select {
		case <-gone:
		case <-time.After(within + stopSlack): // Postgres is away, and does not take what they were answered
		}
		end(errStopping)
	}
}

// enter lets a caller in; nil: the desk is closed. Who came in must leave. Calls are made
// under a context of their own, which ends with the desk alone.
func (d *desk) enter(ctx context.Context) (c *completion, calls context.Context, leave func()) {
	select {
	case <-d.opened:
	case <-ctx.Done():
	case <-time.After(opensWithin):
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open == nil {
		return nil, ctx, func() {}
	}
	d.callers.Add(1)
	calls, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(d.calls, func() { end(context.Cause(d.calls)) })
	return d.open, calls, func() {
		stop()
		end(nil)
		d.callers.Done()
	}
}

// Answer answers a request whose sender waits. It goes through the same routing as
// those that come from a queue, and before these where a target is called as fast as
// it may be; it waits for no price, and not for a gate that holds. The request must
// have its ID, Tenant, Route, Body and CreatedAt; it is kept with its result, once a
// call was made for it.
//
// The error is a *jobs.NotNowError, or ctx's own cause. It returns when ctx ends, at the
// request's deadline, and when Postgres does not let a call begin; a call that is under way then goes on to its end, since what it
// costs is not known before, and is kept. Where ctx asks for pieces (jobs.WithPieces), no
// other target is called once there was one; they may come until the call has ended.
func (w *Worker) Answer(ctx context.Context, request *jobs.Request) (*jobs.Result, error) {
	c, calls, leave := w.desk.enter(ctx)
	if c == nil {
		leave()
		return nil, &jobs.NotNowError{Lack: jobs.LackWorker, Reason: "this process starts or stops just now", After: time.Second}
	}
	ctx, release := untilDeadline(ctx, request, c.now())
	ctx, giveUp := context.WithCancelCause(ctx)
	calls, spoken := watchPieces(calls)
	type answered struct {
		result *jobs.Result
		err    error
		panics any
	}
	out := make(chan answered, 1)
	go func() {
		defer leave()
		defer release()
		defer giveUp(nil)
		var a answered
		defer func() {
			a.panics = recover()
			out <- a
		}()
		a.result, a.err = newCaller(c, request, calls, spoken, giveUp).answer(ctx)
	}()
	select {
	case a := <-out:
		if a.panics != nil {
			panic(a.panics) // for who serves HTTP to catch
		}
		return a.result, a.err
	case <-ctx.Done():
	}
	select {
	case a := <-out: // it ended just then
		return a.result, a.err
	case <-time.After(answersLate):
	}
	switch err := context.Cause(ctx); {
	case errors.Is(err, errUnreached):
		return nil, databaseAway()
	case errors.Is(err, errDeadline):
		return nil, &jobs.NotNowError{Lack: jobs.LackTime, Reason: "its time was over before it was answered", RequestID: request.ID}
	default:
		return nil, err
	}
}

// errUnreached says that Postgres does not take down that a call begins, so that nobody is
// called. What somebody had handed in for that is undone when Postgres has done it.
var errUnreached = errors.New("the database does not answer")

func databaseAway() error {
	return &jobs.NotNowError{Lack: jobs.LackWorker, Reason: "this process does not reach its database just now", After: awayAgain}
}

// awayAgain is when it is worth asking again after that.
const awayAgain = 2 * time.Second

// answersLate is how long an answer is waited for whose sender's time is over.
const answersLate = 50 * time.Millisecond

func untilDeadline(ctx context.Context, request *jobs.Request, now time.Time) (context.Context, context.CancelFunc) {
	if request.Deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, request.Deadline.Sub(now), errDeadline)
}

// watchPieces tells whether a piece was handed on.
func watchPieces(ctx context.Context) (context.Context, func() bool) {
	take := jobs.PiecesOf(ctx)
	if take == nil {
		return ctx, func() bool { return false }
	}
	var once sync.Once
	spoken := make(chan struct{})
	watched := jobs.WithPieces(ctx, func(piece jobs.Piece) {
		once.Do(func() { close(spoken) })
		take(piece)
	})
	return watched, func() bool {
		select {
		case <-spoken:
			return true
		default:
			return false
		}
	}
}
