package worker

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/rs/zerolog"

	"tidegate/jobs"
)

// Reasons why a job is not seen through to its result here and now.
var (
	errStopping = errors.New("the worker stops")          // back to its queue, attempt and all
	errDeadline = errors.New("its deadline passed")       // it ends as expired
	errEnded    = errors.New("it has its result already") // nothing is left to do
)

// parkAfter is how long a request waits here on its own account, because no
// target that fits it may be called while others flow. What is longer is a
// schedule, and waits in the queue.
const parkAfter = 30 * time.Second

// A completion works the jobs of every route.
type completion struct {
	river.WorkerDefaults[jobs.CompletionArgs]
	room       *room
	heart      *heart
	claims     *claims
	slots      *slots
	ended      *ended
	quarantine *quarantine
	budgets    *budgets
	bell       *bell // of those who wait for a price
	*gathered
	stopping  context.Context // ends when the worker stops
	answering atomic.Int64    // those who went to call and have not committed what came of it
	stuck     func(jobs.Begun)
	slack     time.Duration // beyond its own timeout, after which a call is stuck
	patience  time.Duration // of somebody who waits, with a call that does not begin
	log       zerolog.Logger
	ends      *endLog
	now       func() time.Time
}

// Timeout says that River has none for us: a job that times out burns an
// attempt. Calls have their own.
func (c *completion) Timeout(*river.Job[jobs.CompletionArgs]) time.Duration { return -1 }

// Work sees one request through: load, wait for a pass, route, and finish or wait
// again.
func (c *completion) Work(ctx context.Context, job *river.Job[jobs.CompletionArgs]) (err error) {
	c.claims.Take(job.ID)
	defer c.claims.Return(job.ID)
	run, err := c.load(ctx, job)
	if run == nil {
		return err
	}
	defer c.room.Depart(run.request.Route)
	defer c.panicked(run, job.Attempt >= job.MaxAttempts, &err)
	for {
		left, err := c.await(ctx, run)
		if err == nil {
			err = c.answer(ctx, run, left)
		}
		if err != nil {
			return c.giveBack(ctx, run, err)
		}
	}
}

// A run is one request in this worker's hands.
type run struct {
	job      int64 // River's
	request  jobs.Request
	deadline time.Time // of the request, by this machine's clock; zero: none
	ticket   uint64
	alone    bool // its job is in quarantine
	began    time.Time
	rest     time.Time       // before which it waits on its own account
	short    string          // why it rests, if for money
	history  jobs.Trace      // attempts of earlier tries, already committed
	waits    []jobs.Wait     // since the last of these
	parked   bool            // before, with waits
	marked   bool            // parked before, for a budget
	skips    []jobs.Skip     // the targets that the last try passed over, behind its last call
	skipped  bool            // parked before, with skips
	why      jobs.WaitedFor  // what its next call was held back for
	patient  bool            // it waits for a price
	bell     <-chan struct{} // rung since the router was last asked: the price may be another
	slots    []int           // of the calls of this try
	calls    []jobs.Begun    // of this try
	unsaved  bool            // the request is written with its result
	over     func() error    // why no other call may begin; nil: nothing is ever against it
	slow     func()          // called when it takes long to begin a call; nil: it may
}

func (r *run) guest() guest {
	return guest{request: &r.request, history: r.history, ticket: r.ticket, alone: r.alone}
}

// load reads the request. Without a run the job is over: nil, or why it must
// be worked again.
func (c *completion) load(ctx context.Context, job *river.Job[jobs.CompletionArgs]) (*run, error) {
	id := job.Args.RequestID
	parsed, err := uuid.Parse(id)
	if err != nil {
		return nil, river.JobCancel(fmt.Errorf("the job names no request: %w", err))
	}
	got, err := c.loads.Do(ctx, wanted{id: parsed.String(), again: len(job.AttemptedBy) > 1})
	switch err = cmp.Or(err, got.err); {
	case errors.Is(err, errStopping):
		return nil, c.snooze(ctx, 0)
	case ctx.Err() != nil:
		return nil, c.interrupted()
	case err != nil:
		return nil, err
	case !got.found:
		return nil, river.JobCancel(fmt.Errorf("request %s is not in the database", id))
	case got.Ended:
		return nil, nil
	}
	alone := job.Queue == jobs.QuarantineQueue
	if alone && !c.quarantine.Lets(got.Request.Route) {
		return nil, c.snooze(ctx, quarantineRest)
	}
	c.budgets.Meet(got.Budget, c.now())
	r := &run{job: job.ID, request: got.Request, alone: alone, began: c.now(), deadline: got.Request.Deadline, history: got.History, waits: waitsOf(job.JobRow), skips: skipsOf(job.JobRow)}
	r.parked, r.marked = len(r.waits) > 0, bytes.Contains(job.Metadata, []byte(jobs.BudgetMark))
	r.skipped = bytes.Contains(job.Metadata, []byte(jobs.SkipsMark))
	r.why = r.wasParkedFor()
	if !r.deadline.IsZero() {
		r.deadline = r.deadline.Add(-c.heart.Ahead())
	}
	if parked := c.spent(&got.Request, alone); parked != nil && !c.expired(r) {
		return nil, c.park(ctx, r, parked)
	}
	r.ticket = c.room.Arrive(r.request.Route)
	return r, nil
}

// await waits for the request's turn. It ends when the worker stops, with the
// deadline of the request, or with ctx.
func (c *completion) await(ctx context.Context, r *run) (left leave, err error) {
	_, r.request.Budgeted = c.budgets.Of(&r.request)
	r.request.CallLimit = c.budgets.Least(&r.request)
	if rest := r.rest.Sub(c.now()); rest > 0 {
		if err := c.pause(ctx, r, func(ctx context.Context) error { return r.sleep(ctx, rest) }); err != nil {
			return leave{}, err
		}
	}
	r.short = ""
	r.bell = c.bell.Listen()
	err = c.pause(ctx, r, func(ctx context.Context) (err error) {
		left, err = c.room.Wait(ctx, r.guest())
		return err
	})
	r.waitsFor(left.waited)
	return left, err
}

// answer has the request routed, and commits what came of it. Without an error
// the request waits again; with errEnded it has its result.
func (c *completion) answer(ctx context.Context, r *run, left leave) error {
	c.answering.Add(1)
	defer c.answering.Add(-1)
	defer c.vacate(r) // by then its calls are written down
	outcome := left.outcome
	if left.pass != nil {
		defer c.room.Settled(r.guest())
		var err error
		var short shortage
		if outcome, err = c.call(ctx, r, left); errors.As(err, &short) {
			return c.unaffordable(r, short)
		} else if err != nil {
			return err
		}
	}
	if outcome.Verdict == jobs.Blocked {
		return c.block(ctx, r, outcome)
	}
	return cmp.Or(c.finish(r, outcome), errEnded)
}

// call has the request routed. A call that its worker may not begin is none: the
// calls that were made before it are kept.
func (c *completion) call(ctx context.Context, r *run, left leave) (jobs.Outcome, error) {
	defer c.room.Done(r.guest())
	guard := guard{after: c.slack, stuck: c.stuck}
	defer guard.Stop()
	var refusal error
	panics := true
	defer func() {
		if panics {
			guard.Stop() // Postgres may be away
			c.lost(r)
		}
	}()
	outcome := left.pass.Route(ctx, func(ctx context.Context, call jobs.Begun) error {
		guard.Stop()
		call.Slot = c.place(r, call)
		if refusal = c.begin(ctx, r, call); refusal == nil {
			guard.Watch(call)
			r.note(call)
		}
		return refusal
	})
	panics = false
	if refusal == nil {
		return outcome, nil
	}
	if err := c.keep(r, outcome.Trace); err != nil {
		return jobs.Outcome{}, err
	}
	r.passed(outcome.Trace)
	return jobs.Outcome{}, refusal
}

// keep writes down the calls of a try that answered nothing.
func (c *completion) keep(r *run, trace jobs.Trace) error {
	attempts := trace.Attempts()
	if len(attempts) == 0 {
		return nil
	}
	if _, err := c.commit(jobs.Entry{Request: &r.request, Trace: r.trace(trace)}); err != nil {
		return err
	}
	r.waits, r.skips, r.why = nil, nil, ""
	for i := range attempts {
		r.history = append(r.history, jobs.Step{Attempt: &attempts[i]})
		if attempts[i].Probe { // it had its turn: the next probe is another's
			r.ticket = c.room.Ticket()
		}
	}
	return nil
}

// place is where a call is written down. One that was never made had the last.
func (c *completion) place(r *run, call jobs.Begun) int {
	if call.RequestID != "" {
		r.slots = append(r.slots, c.slots.Take())
	}
	return r.slots[len(r.slots)-1]
}

func (c *completion) vacate(r *run) {
	c.slots.Give(r.slots)
	r.slots, r.calls = r.slots[:0], r.calls[:0]
}

// note remembers a call that begins, or that the last one was never made.
func (r *run) note(call jobs.Begun) {
	if call.RequestID == "" {
		r.calls = r.calls[:len(r.calls)-1]
		return
	}
	r.calls = append(r.calls, call)
}

// begin writes down that a call begins, if it still should: the worker may have
// been declared dead, the request may have ended, or its budget may be spent.
func (c *completion) begin(ctx context.Context, r *run, call jobs.Begun) (err error) {
	if call.RequestID == "" {
		_, err := c.begins.Do(ctx, call)
		return err
	}
	if err := r.isOver(); err != nil {
		return err
	}
	if r.slow != nil {
		defer time.AfterFunc(c.patience, r.slow).Stop()
	}
	if err := c.price(r, &call); err != nil {
		return err
	}
	placed := false
	defer func() {
		if err != nil && placed { // there is no call after all, so nothing is to be kept for it
			_, _ = c.begins.Do(context.WithoutCancel(ctx), jobs.Begun{Slot: call.Slot})
		}
	}()
	for {
		if c.expired(r) {
			return errDeadline
		}
		if err := c.heart.AwaitLife(ctx); err != nil {
			return err
		}
		got, err := c.begins.Do(ctx, call)
		if err = cmp.Or(err, got.err); err != nil {
			if errors.Is(err, jobs.ErrDead) {
				c.heart.Die()
			}
			return err
		}
		switch {
		case got.ended:
			return errEnded
		case got.short != nil && call.Rough: // what is left is less than was known here
			if err := c.price(r, &call); err != nil {
				return err
			}
			continue
		case got.short != nil:
			return shortage{got.short}
		}
		placed = call.Cost > 0
		if err := r.isOver(); err != nil { // who waited has gone meanwhile: nothing is bought for nobody
			placed = true
			return err
		}
		if err := c.heart.Lives(); !errors.Is(err, errStale) { // it was well before, and may have waited long
			return err
		}
	}
}

// isOver is why no other call may begin; nil: nothing is against it.
func (r *run) isOver() error {
	if r.over == nil {
		return nil
	}
	return r.over()
}

func (c *completion) expired(r *run) bool {
	return !r.deadline.IsZero() && !c.now().Before(r.deadline)
}

// pause runs a wait that ends when the worker stops or dies, with the deadline of
// the request, or with ctx.
func (c *completion) pause(ctx context.Context, r *run, wait func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(c.stopping, func() { cancel(errStopping) })
	defer stop()
	if !r.deadline.IsZero() {
		var release context.CancelFunc
		ctx, release = context.WithTimeoutCause(ctx, r.deadline.Sub(c.now()), errDeadline)
		defer release()
	}
	return wait(ctx)
}

// block keeps the calls of a try that answered nothing, and has the request wait
// on its own account if it was not the gate that held it.
func (c *completion) block(ctx context.Context, r *run, outcome jobs.Outcome) error {
	if err := c.keep(r, outcome.Trace); err != nil {
		return err
	}
	r.waited(outcome.Trace)
	r.passed(outcome.Trace)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.waitsFor(r.restsFor(outcome))
	if outcome.Held || r.patient && r.rung() {
		return nil
	}
	r.rest = outcome.Until
	if wait := outcome.Until.Sub(c.now()); wait > parkAfter {
		return &parked{wait: wait, reason: r.parkReason(), marked: r.marked}
	}
	return nil
}

// A parked request waits until its time comes, and holds no place of the worker: in
// its queue or, where its route has fair admission, among those that wait for their
// turn.
type parked struct {
	wait   time.Duration
	reason string          // for people
	budget jobs.BudgetWait // that it waits for; zero: none
	marked bool            // its job waited for one before
}

func (p *parked) Error() string { return "it waits for " + p.wait.String() + ": " + p.reason }

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
