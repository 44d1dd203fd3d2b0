package queue

import (
	"cmp"
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
	"tidegate/store"
)

// errOvertaken says that somebody else enqueues the same batch.
var errOvertaken = errors.New("another worker goes on with it")

// enqueue puts the requests of a batch, which are known to be right, into the queue, in
// portions: each with its River jobs and the word of how far that comes in one
// transaction. Of a batch that is being cancelled, they get no jobs: what was
// accepted has a result, and that is to come.
func (k *Keeper) enqueue(ctx context.Context, batch *jobs.Batch) error {
	at, err := k.Store.Enqueued(ctx, batch.ID)
	if err != nil || at.Requests >= batch.Total {
		return err
	}
	from, err := k.source(ctx, batch, at)
	if err != nil {
		return err
	}
	defer from.stop()
	span, err := k.Store.TraceOfBatch(ctx, batch.ID)
	if err != nil {
		return err
	}
	ctx = jobs.WithTraceparent(ctx, span) // of all that are accepted from here on
	for at.Requests < batch.Total {
		portion, err := k.portion(ctx, batch, from.next)
		if err := cmp.Or(from.broken(), err, ctx.Err()); err != nil {
			return err
		}
		if portion.size() == 0 {
			return from.short
		}
		to := from.place()
		to.Requests = at.Requests + portion.size()
		switch err := k.put(ctx, batch, portion, at, to); {
		case errors.Is(err, errOvertaken):
			return nil
		case err != nil:
			return err
		}
		at = to
	}
	return nil
}

// A portion is what goes into one transaction.
type portion struct {
	requests []jobs.Request
	refused  []jobs.Request // that cannot be answered any more
	why      []string       // of each of these
}

func (p *portion) size() int { return len(p.requests) + len(p.refused) }

// portion reads as many lines as go into one transaction.
func (k *Keeper) portion(ctx context.Context, batch *jobs.Batch, next func() (jobs.Request, error, bool)) (p portion, err error) {
	for bytes := 0; p.size() < chunk && bytes < portionBytes; {
		request, err, more := next()
		if !more || err != nil {
			return p, err
		}
		bytes += len(request.Body)
		switch err := k.complete(ctx, batch, &request); {
		case err == nil:
			p.requests = append(p.requests, request)
		case !isFault(err):
			return p, err
		default:
			if err := k.Queue.stamp(&request); err != nil {
				return p, err
			}
			p.refused, p.why = append(p.refused, request), append(p.why, err.Error())
		}
	}
	return p, nil
}

// put writes a portion. Those that are refused have their results in the same
// transaction.
func (k *Keeper) put(ctx context.Context, batch *jobs.Batch, p portion, from, to store.Enqueued) error {
	return store.Transact(ctx, k.Queue.pool, func(tx pgx.Tx) error {
		if first, err := store.Advance(ctx, tx, batch.ID, from, to); err != nil {
			return err
		} else if !first {
			return errOvertaken
		}
		insert := k.Queue.insert
		if batch.State == jobs.BatchCancelling {
			insert = store.InsertRequests
		}
		if err := insert(ctx, tx, p.requests); err != nil || len(p.refused) == 0 {
			return err
		}
		if err := store.InsertRequests(ctx, tx, p.refused); err != nil {
			return err
		}
		return store.RefuseRequests(ctx, tx, p.refused, p.why)
	})
}
