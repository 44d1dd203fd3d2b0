package worker

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"tidegate/jobs"
)

// How a job ends: with its result, or back in its queue.

// finish commits the result; only then is the job done.
func (c *completion) finish(r *run, outcome jobs.Outcome) error {
	_, err := c.conclude(r, outcome)
	return err
}

// conclude commits the result of an outcome, and returns it.
func (c *completion) conclude(r *run, outcome jobs.Outcome) (jobs.Result, error) {
	result := resultOf(r, outcome)
	entry := jobs.Entry{Request: &r.request, Trace: r.trace(outcome.Trace), Result: &result, Unsaved: r.unsaved}
	stored, err := c.commit(entry)
	var refused *jobs.EntryError
	if errors.As(err, &refused) { // what the target said cannot be kept: say that instead
		result = unstorable(r, outcome, refused)
		stored, err = c.commit(entry)
	}
	if err == nil {
		c.ends.Write(r, &result, stored)
		if stored && !r.unsaved {
			c.ended.Add(r.request.Route, result.State)
		}
	}
	return result, err
}

// giveBack ends a job whose wait was cut short.
func (c *completion) giveBack(ctx context.Context, r *run, err error) error {
	var parked *parked
	switch {
	case errors.Is(err, errEnded):
		return c.over(nil)
	case errors.Is(err, errDeadline):
		r.short = c.lacks(r)
		c.mark(ctx, r) // nothing else says why there was no call
		return c.over(c.finish(r, jobs.Outcome{Verdict: jobs.Blocked}))
	case errors.Is(err, errStopping):
		return c.snooze(ctx, 0)
	case errors.As(err, &parked):
		return c.park(ctx, r, parked)
	case ctx.Err() != nil:
		return c.interrupted()
	default:
		return c.over(err)
	}
}

// snooze gives a job back to its queue, with its attempt. It makes sure that the
// job is still ours: what River writes goes by the job's id alone.
func (c *completion) snooze(ctx context.Context, wait time.Duration) error {
	if c.heart.AwaitLife(ctx) != nil {
		return c.interrupted()
	}
	return c.over(river.JobSnooze(wait))
}

// interrupted gives a job back whose context River has ended. The context's own
// error would burn the attempt where River ends for a reason of its own, as when
// it could not start whole.
func (c *completion) interrupted() error { return c.over(river.JobSnooze(0)) }

// over ends a job, unless the worker was declared dead: then the job is another's
// by now, and whatever was returned to River might be written to that one's run.
// Then this one never returns, and ends with the process.
func (c *completion) over(err error) error {
	if errors.Is(c.heart.Lives(), jobs.ErrDead) || errors.Is(err, jobs.ErrDead) {
		select {}
	}
	return err
}

// commit writes an entry, however long Postgres is away: the answer was paid. It
// tells whether the entry's result is the one that stands.
func (c *completion) commit(entry jobs.Entry) (stored bool, err error) {
	_, under := c.budgets.Of(entry.Request)
	entry.Budgeted = under || entry.Request.Budgeted
	done, err := c.commits.Do(context.Background(), entry)
	return done.stored, cmp.Or(err, done.err)
}

func newResultID() string { return uuid.Must(uuid.NewV7()).String() } // fails only if the system has no randomness
