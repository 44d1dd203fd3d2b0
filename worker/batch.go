package worker

import (
	"context"
	"errors"
	"time"

	"github.com/riverqueue/river"

	"tidegate/jobs"
)

const (
	// batchesAtOnce is how many batches a worker checks, enqueues and finalizes at a
	// time: a large one must not keep a small one waiting.
	batchesAtOnce = 4
	// batchRest is how long a batch rests of which something went wrong.
	batchRest = 3 * time.Second
)

// A batchWorker does for batches that came as files what is to be done beside their
// requests.
type batchWorker struct {
	river.WorkerDefaults[jobs.BatchArgs]
	keep       func(ctx context.Context, batch string) error
	completion *completion
}

// Timeout says that River has none for us.
func (b *batchWorker) Timeout(*river.Job[jobs.BatchArgs]) time.Duration { return -1 }

// Work sees to one batch. When the worker stops, another one goes on with it: what was
// done of it is written down.
func (b *batchWorker) Work(ctx context.Context, job *river.Job[jobs.BatchArgs]) error {
	b.completion.claims.Take(job.ID)
	defer b.completion.claims.Return(job.ID)
	working, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(b.completion.stopping, func() { cancel(errStopping) })
	defer stop()
	err := b.keep(working, job.Args.BatchID)
	switch {
	case ctx.Err() != nil:
		return b.completion.interrupted()
	case errors.Is(context.Cause(working), errStopping):
		return b.completion.snooze(ctx, 0)
	case err != nil:
		b.completion.log.Warn().Err(err).Str("batch", job.Args.BatchID).Msg("a batch rests, and is gone on with in some seconds")
		return b.completion.snooze(ctx, batchRest)
	}
	return nil
}
