package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"tidegate/jobs"
)

// A bell wakes everybody who listened before it is rung. Safe for concurrent use.
type bell struct {
	mu   sync.Mutex
	rung chan struct{}
}

func newBell() *bell { return &bell{rung: make(chan struct{})} }

// Listen returns what is closed when the bell is next rung.
func (b *bell) Listen() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rung
}

// Ring never blocks.
func (b *bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.rung)
	b.rung = make(chan struct{})
}

// waitsAtMost bounds what is remembered of a request that waits again and again.
const waitsAtMost = 16

// waitsOf reads the waits that a job was parked with.
func waitsOf(job *rivertype.JobRow) []jobs.Wait { return marked[jobs.Wait](job, jobs.WaitsMark) }

// skipsOf reads the targets that were passed over when a job was parked. What they were
// compared with then is over.
func skipsOf(job *rivertype.JobRow) []jobs.Skip {
	skips := marked[jobs.Skip](job, jobs.SkipsMark)
	for i := range skips {
		skips[i].ExtraCost, skips[i].Worth = 0, 0
	}
	return skips
}

// marked reads what the metadata of a job has under a mark. What cannot be read is lost:
// it says why a request waited, and no more.
func marked[T any](job *rivertype.JobRow, mark string) (values []T) {
	if !bytes.Contains(job.Metadata, []byte(mark)) {
		return nil
	}
	var kept map[string]json.RawMessage
	if json.Unmarshal(job.Metadata, &kept) != nil || json.Unmarshal(kept[mark], &values) != nil {
		return nil
	}
	return values
}

// trace is what a try added, behind the waits that came before it. Its first call is
// the one that was held back, and says who was passed over until then.
func (r *run) trace(added jobs.Trace) jobs.Trace {
	var skips []jobs.Skip
	for _, step := range added {
		if step.Attempt != nil {
			step.Attempt.WaitedFor, skips = r.why, r.heldBack()
			break
		}
	}
	if len(r.waits)+len(skips) == 0 {
		return added
	}
	whole := make(jobs.Trace, 0, len(r.waits)+len(skips)+len(added))
	for i := range r.waits {
		whole = append(whole, jobs.Step{Wait: &r.waits[i]})
	}
	for i := range skips {
		whole = append(whole, jobs.Step{Skip: &skips[i]})
	}
	return append(whole, added...)
}

// heldBack are the targets that the last try passed over, if the request waited on its
// own account since then. Where all of a route wait, the reason alone is enough.
func (r *run) heldBack() []jobs.Skip {
	switch r.why {
	case jobs.WaitedForTarget, jobs.WaitedForPrice, jobs.WaitedForBudget:
		return r.skips
	default:
		return nil
	}
}

// waited remembers the waits at the end of a trace, until there is an attempt that
// they came before. One that goes on is still the same.
func (r *run) waited(trace jobs.Trace) {
	r.patient = false
	for _, step := range trace {
		switch {
		case step.Attempt != nil:
			r.patient = false
			continue
		case step.Wait == nil:
			continue
		}
		r.patient = true
		if n := len(r.waits); n > 0 && (r.waits[n-1].Target == step.Wait.Target || n == waitsAtMost) {
			since := r.waits[n-1].Since
			r.waits[n-1] = *step.Wait
			r.waits[n-1].Since = since
			continue
		}
		r.waits = append(r.waits, *step.Wait)
	}
}

// skippedAtMost bounds what is kept of the targets that a try passed over.
const skippedAtMost = 16

// passed remembers the targets that a try passed over since its last call.
func (r *run) passed(trace jobs.Trace) {
	r.skips = nil
	for _, step := range trace {
		switch {
		case step.Attempt != nil:
			r.skips = nil
		case step.Skip != nil && len(r.skips) < skippedAtMost:
			r.skips = append(r.skips, *step.Skip)
		}
	}
}

// sleep waits, if for a price then until the bell is rung at most.
func (r *run) sleep(ctx context.Context, wait time.Duration) error {
	if !r.patient {
		return sleepUntil(ctx, wait)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.bell:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// rung tells whether something changed since the router was last asked, for which a
// wait for a price may be over.
func (r *run) rung() bool {
	select {
	case <-r.bell:
		return true
	default:
		return false
	}
}

// parkReason is why a request is parked, in words that others of its route may
// share: what a target said of it stays with its attempts.
func (r *run) parkReason() string {
	if n := len(r.waits); r.patient && n > 0 {
		return "it waits for " + r.waits[n-1].Target + ", which costs less"
	}
	return "no target that fits it may be called"
}

// park gives a job back until its time comes, with what it waited for and why, which
// targets were passed over, and the budget that it waits for.
func (c *completion) park(ctx context.Context, r *run, p *parked) error {
	c.claims.Park(r.job, p.reason)
	c.mark(ctx, r)
	if p.budget != (jobs.BudgetWait{}) || p.marked {
		if err := river.MetadataSet(ctx, jobs.BudgetMark, p.budget); err != nil {
			c.log.Debug().Err(err).Msg("a job that waits for a budget goes on later")
		}
	}
	wait := p.wait
	if !r.deadline.IsZero() { // then it has ended, and so has its job to
		wait = min(wait, max(r.deadline.Sub(c.now())+pastDeadline, 0))
	}
	return c.snooze(ctx, wait)
}

// mark has the job say what its request waited for and which targets were passed over,
// since its last call.
func (c *completion) mark(ctx context.Context, r *run) {
	if len(r.waits) > 0 || r.parked {
		if err := river.MetadataSet(ctx, jobs.WaitsMark, r.waits); err != nil {
			c.log.Debug().Err(err).Msg("a wait will be missing in the trace")
		}
	}
	if len(r.skips) > 0 || r.skipped {
		if err := river.MetadataSet(ctx, jobs.SkipsMark, r.skips); err != nil {
			c.log.Debug().Err(err).Msg("nobody will know which targets were passed over")
		}
	}
}

// pastDeadline is how long after its deadline a request has surely been ended by the
// supervisor.
const pastDeadline = 2 * time.Second
