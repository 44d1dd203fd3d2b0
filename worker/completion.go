package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"

	"tidegate/jobs"
)

// Reasons why a job stops waiting before its gate lets it go. All but
// errDeadline send it back to its queue with its attempt.
var (
	errStopping = errors.New("the worker stops")
	errBudget   = errors.New("it waited for as long as one job may")
	errDeadline = errors.New("its deadline passed")
)

// shortWait is how long nobody is expected to cancel a request that was looked
// at just before.
const shortWait = time.Second

// A completion works the jobs of every route.
type completion struct {
	river.WorkerDefaults[jobs.CompletionArgs]
	router   Router
	room     *room
	calls    map[string]*semaphore.Weighted // by route
	loads    *group[string, loaded]
	endings  *group[string, ended]
	commits  *group[jobs.Entry, committed]
	stopping context.Context // ends when the worker stops
	budget   time.Duration   // how long a job may stay before a wait sends it back
	log      zerolog.Logger
	now      func() time.Time
}

// Timeout leaves River's own timeout above our budget, so that it never acts: a
// job that times out burns an attempt.
func (c *completion) Timeout(*river.Job[jobs.CompletionArgs]) time.Duration {
	return c.budget + timeoutSlack
}

// Work sees one request through: load, route, and finish or wait.
func (c *completion) Work(ctx context.Context, job *river.Job[jobs.CompletionArgs]) (err error) {
	run, err := c.load(ctx, job.Args.RequestID)
	if run == nil {
		return err
	}
	if job.Attempt >= job.MaxAttempts {
		defer c.condemn(run, &err)
	}
	for {
		if err := c.awaitGate(ctx, run); err != nil {
			return c.giveBack(ctx, run, err)
		}
		outcome, err := c.route(ctx, run)
		if err != nil {
			return c.giveBack(ctx, run, err)
		}
		if outcome.Verdict != jobs.Blocked {
			return c.finish(run, outcome)
		}
		if err := c.block(ctx, run, outcome); err != nil {
			return c.giveBack(ctx, run, err)
		}
	}
}

// A run is one request in this worker's hands.
type run struct {
	request jobs.Request
	ticket  uint64
	began   time.Time
	history jobs.Trace // attempts of earlier tries, already committed
	waited  bool       // since the last look whether it has ended
}

// load reads the request. Without a run the job is over: nil, or why it must
// be worked again.
func (c *completion) load(ctx context.Context, id string) (*run, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return nil, river.JobCancel(fmt.Errorf("the job names no request: %w", err))
	}
	got, err := c.loads.Do(ctx, parsed.String())
	switch err = cmp.Or(err, got.err); {
	case errors.Is(err, errStopping):
		return nil, river.JobSnooze(0)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	case !got.found:
		return nil, river.JobCancel(fmt.Errorf("request %s is not in the database", id))
	case got.Ended:
		return nil, nil
	}
	return &run{request: got.Request, ticket: c.room.Ticket(), began: c.now()}, nil
}

// awaitGate waits while nobody could be called.
func (c *completion) awaitGate(ctx context.Context, r *run) error {
	if n, _ := c.router.Admits(r.request.Route); n == 0 {
		err := c.pause(ctx, r, func(ctx context.Context) error { return c.room.Wait(ctx, r.request.Route, r.ticket) })
		if err != nil {
			return err
		}
	}
	return c.lookAgain(ctx, r)
}

// lookAgain tells whether there is still something to do, after a wait during
// which the request may have ended.
func (c *completion) lookAgain(ctx context.Context, r *run) error {
	if c.expired(r) {
		return errDeadline
	}
	if !r.waited {
		return nil
	}
	r.waited = false
	got, err := c.endings.Do(ctx, r.request.ID)
	if err = cmp.Or(err, got.err); err != nil {
		return err
	}
	if got.ended {
		return errEnded
	}
	return nil
}

var errEnded = errors.New("it has its result already")

func (c *completion) expired(r *run) bool {
	return !r.request.Deadline.IsZero() && !c.now().Before(r.request.Deadline)
}

// route has the request routed as soon as one more may be called.
func (c *completion) route(ctx context.Context, r *run) (jobs.Outcome, error) {
	calls, ok := c.calls[r.request.Route]
	if !ok {
		return c.router.Route(ctx, &r.request, r.history), nil // which refuses it
	}
	if err := c.awaitTurn(ctx, r, calls); err != nil {
		return jobs.Outcome{}, err
	}
	defer calls.Release(1)
	if err := c.lookAgain(ctx, r); err != nil {
		return jobs.Outcome{}, err
	}
	return c.router.Route(ctx, &r.request, r.history), nil
}

// awaitTurn waits for one of the calls that this worker may make at once. A
// short wait does not count as one after which to look again.
func (c *completion) awaitTurn(ctx context.Context, r *run, calls *semaphore.Weighted) error {
	if calls.TryAcquire(1) {
		return nil
	}
	began, waited := c.now(), r.waited
	err := c.pause(ctx, r, func(ctx context.Context) error {
		if calls.Acquire(ctx, 1) != nil {
			return context.Cause(ctx)
		}
		return nil
	})
	r.waited = waited || c.now().Sub(began) > shortWait
	return err
}

// pause runs a wait that ends when the worker stops, with the deadline of the
// request, with the job's budget, or with ctx.
func (c *completion) pause(ctx context.Context, r *run, wait func(context.Context) error) error {
	r.waited = true
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(c.stopping, func() { cancel(errStopping) })
	defer stop()
	until, why := r.began.Add(c.budget), errBudget
	if !r.request.Deadline.IsZero() && r.request.Deadline.Before(until) {
		until, why = r.request.Deadline, errDeadline
	}
	ctx, release := context.WithDeadlineCause(ctx, until, why)
	defer release()
	return wait(ctx)
}

// block keeps the calls of a try that answered nothing, and waits on the
// request's own account if it was not the gate that held it.
func (c *completion) block(ctx context.Context, r *run, outcome jobs.Outcome) error {
	attempts := outcome.Trace.Attempts()
	if len(attempts) > 0 {
		if _, err := c.commit(jobs.Entry{Request: &r.request, Trace: outcome.Trace}); err != nil {
			return err
		}
	}
	for i := range attempts {
		r.history = append(r.history, jobs.Step{Attempt: &attempts[i]})
		if attempts[i].Probe { // it had its turn: the next probe is another's
			r.ticket = c.room.Ticket()
		}
	}
	if len(attempts) == 0 { // it was let go as the probe and did not call: the next one may
		c.room.Changed()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if outcome.Held {
		return nil
	}
	return c.pause(ctx, r, func(ctx context.Context) error { return sleepUntil(ctx, outcome.Until.Sub(c.now())) })
}

func sleepUntil(ctx context.Context, wait time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// finish commits the result; only then is the job done.
func (c *completion) finish(r *run, outcome jobs.Outcome) error {
	result := resultOf(r, outcome)
	entry := jobs.Entry{Request: &r.request, Trace: outcome.Trace, Result: &result}
	stored, err := c.commit(entry)
	var refused *jobs.EntryError
	if errors.As(err, &refused) { // what the target said cannot be kept: say that instead
		result = unstorable(r, outcome, refused)
		stored, err = c.commit(entry)
	}
	if err == nil {
		c.logEnd(r, &result, stored)
	}
	return err
}

// condemn ends the request of a job that panics at its last attempt as poison:
// River would give the job up, and the request would never have a result. It
// must be deferred.
func (c *completion) condemn(r *run, err *error) {
	if recover() == nil { // the panic's own words may quote the prompt
		return
	}
	result := poisoned(r)
	stored, failed := c.commit(jobs.Entry{Request: &r.request, Result: &result})
	if *err = failed; failed == nil {
		c.logEnd(r, &result, stored)
	}
}

// giveBack ends a job whose wait was cut short.
func (c *completion) giveBack(ctx context.Context, r *run, err error) error {
	switch {
	case errors.Is(err, errEnded):
		return nil
	case errors.Is(err, errDeadline):
		return c.finish(r, jobs.Outcome{Verdict: jobs.Blocked})
	case errors.Is(err, errStopping), errors.Is(err, errBudget):
		return river.JobSnooze(0)
	case ctx.Err() != nil: // River stops us: its own error gives the attempt back
		return ctx.Err()
	default:
		return err
	}
}

// commit writes an entry, however long Postgres is away: the answer was paid. It
// tells whether the entry's result is the one that stands.
func (c *completion) commit(entry jobs.Entry) (stored bool, err error) {
	done, err := c.commits.Do(context.Background(), entry)
	return done.stored, cmp.Or(err, done.err)
}

// logEnd says how a request ended, or that its end came too late: it was
// cancelled, or expired, while it was called.
func (c *completion) logEnd(r *run, result *jobs.Result, stored bool) {
	if !stored {
		c.log.Info().Str("request", result.RequestID).Str("batch", r.request.BatchID).Str("route", r.request.Route).
			Str("late", string(result.State)).Str("target", result.Target).Int64("cost_micro_usd", int64(result.Cost)).
			Msg("request had ended already; what came later is not kept, its cost is")
		return
	}
	line := c.log.Info()
	if result.State != jobs.StateAnswered {
		line = c.log.Warn().Str("class", string(result.Class)).Str("code", jobs.CleanCode(result.Code))
	}
	line.Str("request", result.RequestID).Str("batch", r.request.BatchID).Str("route", r.request.Route).Str("state", string(result.State)).
		Str("target", result.Target).Int("attempts", result.Attempts).Int("output_tokens", result.Usage.Output).
		Int64("cost_micro_usd", int64(result.Cost)).Dur("took_ms", c.now().Sub(r.began)).Msg("request ended")
}

func newResultID() string { return uuid.Must(uuid.NewV7()).String() } // fails only if the system has no randomness
