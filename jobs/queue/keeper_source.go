package queue

import (
	"cmp"
	"context"
	"errors"
	"iter"

	"github.com/google/uuid"

	"tidegate/jobs"
	"tidegate/store"
)

// A source is where the requests of a batch come from, behind those that were enqueued.
type source struct {
	next   func() (jobs.Request, error, bool)
	stop   func()
	place  func() store.Enqueued // behind the last one, but for the count of requests
	broken func() error          // why it cannot be read on
	short  error                 // of one that ends too early
}

func (k *Keeper) source(ctx context.Context, batch *jobs.Batch, at store.Enqueued) (*source, error) {
	if batch.Order.Retry != nil {
		return k.failures(ctx, batch, at), nil
	}
	return k.lines(ctx, batch, at)
}

// unrouted is the route of a line whose model no route claims any more.
const unrouted = "unrouted"

// lines are those of the batch's file. Routes and goals may be others by now than when
// they were checked: that is said of the requests that name them, and is no fault of
// the file any more.
func (k *Keeper) lines(ctx context.Context, batch *jobs.Batch, at store.Enqueued) (*source, error) {
	opts, err := k.options(ctx, batch)
	if err != nil {
		return nil, err
	}
	lines, err := k.input(ctx, batch, at.Bytes)
	if err != nil {
		return nil, err
	}
	opts.KnownRoute, opts.KnownGoal, opts.Served, opts.DefaultRoute = nil, nil, nil, cmp.Or(opts.DefaultRoute, unrouted)
	opts.Checked, opts.Place = true, &jobs.Place{Lines: at.Lines, Bytes: at.Bytes}
	next, stop := iter.Pull2(jobs.ReadLines(lines, opts))
	return &source{
		next: next, stop: stop,
		place:  func() store.Enqueued { return store.Enqueued{Bytes: opts.Place.Bytes, Lines: opts.Place.Lines} },
		broken: func() error { return lines.err },
		short:  errors.New("the input file has fewer lines than were checked"),
	}, nil
}

// failures are those requests of another batch that this one tries again.
func (k *Keeper) failures(ctx context.Context, batch *jobs.Batch, at store.Enqueued) *source {
	how, last := batch.Order.Retry, at.Retried
	next, stop := iter.Pull2(k.Store.FailedBehind(ctx, batch.RetryOf, last, how.Took.Classes()))
	return &source{
		stop: stop,
		next: func() (jobs.Request, error, bool) {
			request, err, more := next()
			if more && err == nil {
				last, err = uuid.Parse(request.ID)
				request.Again(batch.ID, how, batch.CreatedAt)
			}
			return request, err, more
		},
		place:  func() store.Enqueued { return store.Enqueued{Retried: last} },
		broken: func() error { return nil },
		short:  errors.New("the batch that it tries again has fewer failed requests than were counted"),
	}
}
