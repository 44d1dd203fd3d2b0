package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/riverqueue/river"

	"tidegate/jobs"
)

const (
	// webhooksAtOnce is how many events a worker brings at a time, and webhookShare how
	// many of them to one webhook: one that is slow must not keep all others waiting.
	webhooksAtOnce = 16
	webhookShare   = 12
	// webhookLame is webhookShare of one whose last try failed here.
	webhookLame = 2
	// webhookRest is how long an event rests that nobody could be told for a reason of
	// our own, or whose webhook has its share, at most.
	webhookRest = 6 * time.Second
)

// Webhooks brings events to webhooks. Both functions are safe for concurrent use.
type Webhooks struct {
	// Deliver tries once to tell a webhook of an event; last tells that it is not tried
	// again. A *jobs.DeliveryError says that it did not arrive, jobs.ErrWebhookGone that
	// there is nobody any more. Any other error counts as no try. Nil: this worker brings
	// none.
	// The status is what was answered, if anything was.
	Deliver func(ctx context.Context, event *jobs.WebhookArgs, last bool) (status int, err error)
	// Wait is how long to wait behind a try, from 1, of which the receiver asked that it
	// be let alone for after.
	Wait func(try int, after time.Duration) time.Duration
}

// A webhookWorker tells webhooks of events. River keeps what is to be repeated, and
// counts the tries.
type webhookWorker struct {
	river.WorkerDefaults[jobs.WebhookArgs]
	webhooks   Webhooks
	completion *completion

	mu    sync.Mutex
	busy  map[string]int          // events under way, by webhook
	lame  map[string]bool         // webhooks whose last try failed
	after map[int64]time.Duration // what a receiver asked for, by job, until River asks
}

func newWebhookWorker(webhooks Webhooks, completion *completion) *webhookWorker {
	return &webhookWorker{webhooks: webhooks, completion: completion, busy: map[string]int{}, lame: map[string]bool{}, after: map[int64]time.Duration{}}
}

// Timeout says that River has none for us.
func (w *webhookWorker) Timeout(*river.Job[jobs.WebhookArgs]) time.Duration { return -1 }

// NextRetry is when a job is tried again whose try has just failed.
func (w *webhookWorker) NextRetry(job *river.Job[jobs.WebhookArgs]) time.Time {
	w.mu.Lock()
	after := w.after[job.ID]
	delete(w.after, job.ID)
	w.mu.Unlock()
	return time.Now().Add(w.webhooks.Wait(job.Attempt, after)) // River's own clock
}

// Work tries once. A try that is under way when the worker stops has its time to end;
// one that is cut off is no try.
func (w *webhookWorker) Work(ctx context.Context, job *river.Job[jobs.WebhookArgs]) error {
	w.completion.claims.Take(job.ID)
	defer w.completion.claims.Return(job.ID)
	if !w.begin(job.Args.Webhook) {
		return w.completion.snooze(ctx, rest())
	}
	status, err := w.webhooks.Deliver(ctx, &job.Args, job.Attempt >= job.MaxAttempts)
	var failed *jobs.DeliveryError
	w.end(job.Args.Webhook, errors.As(err, &failed))
	if ctx.Err() != nil {
		return w.completion.interrupted()
	}
	if job.Args.Test { // whoever tries wants to know
		_ = river.RecordOutput(ctx, map[string]int{"status": status}) // which it always can
	}
	w.tell(job, failed, err)
	switch {
	case err == nil || errors.Is(err, jobs.ErrWebhookGone):
		return nil
	case failed == nil:
		return w.completion.snooze(ctx, rest())
	}
	w.mu.Lock()
	w.after[job.ID] = failed.After
	w.mu.Unlock()
	return w.completion.over(failed)
}

// tell logs what became of a try.
func (w *webhookWorker) tell(job *river.Job[jobs.WebhookArgs], failed *jobs.DeliveryError, err error) {
	log := w.completion.log.With().Str("webhook", job.Args.Webhook).Str("event", job.Args.Event).Str("batch", job.Args.Batch).Int("try", job.Attempt).Logger()
	switch {
	case err == nil:
		log.Debug().Msg("a webhook was told")
	case errors.Is(err, jobs.ErrWebhookGone):
		log.Warn().Msg("a webhook is disabled, since its receiver answers that it is no more")
	case failed == nil:
		log.Warn().Err(err).Msg("a webhook was not told, for a reason of ours; it is repeated in some seconds")
	case job.Args.Test || job.Attempt < job.MaxAttempts:
		log.Info().Str("fault", failed.Reason).Msg("a webhook was not told")
	default:
		log.Warn().Str("fault", failed.Reason).Msg("an event is given up, since its webhook took it at no try; `tidegate webhooks` says how it does")
	}
}

// rest is some seconds, and not the same for all.
func rest() time.Duration { return webhookRest/2 + rand.N(webhookRest/2) }

// begin takes one of a webhook's places, if it has one.
func (w *webhookWorker) begin(webhook string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	most := webhookShare
	if w.lame[webhook] {
		most = webhookLame
	}
	if w.busy[webhook] >= most {
		return false
	}
	w.busy[webhook]++
	return true
}

func (w *webhookWorker) end(webhook string, failed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[webhook]--; w.busy[webhook] <= 0 {
		delete(w.busy, webhook)
	}
	if failed {
		w.lame[webhook] = true
	} else {
		delete(w.lame, webhook)
	}
}
