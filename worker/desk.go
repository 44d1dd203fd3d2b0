package worker

import (
	"context"
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

// enter lets a caller in; nil: the desk is closed. Who came in must leave.
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
	calls, end := context.WithCancelCause(ctx)
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
// The error is a *jobs.NotNowError, or ctx's own cause. A request whose ctx ends while
// it is called is kept as cancelled. Where ctx asks for pieces (jobs.WithPieces), no
// other target is called once there was one.
func (w *Worker) Answer(ctx context.Context, request *jobs.Request) (*jobs.Result, error) {
	c, ctx, leave := w.desk.enter(ctx)
	defer leave()
	if c == nil {
		return nil, &jobs.NotNowError{Lack: jobs.LackWorker, Reason: "this process starts or stops just now", After: time.Second}
	}
	ctx, spoken := watchPieces(ctx)
	return newCaller(c, request, spoken).answer(ctx)
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
