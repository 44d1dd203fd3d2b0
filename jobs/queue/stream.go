package queue

import (
	"context"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
	"tidegate/store"
)

// chunk is how many requests go to Postgres in one COPY: large enough to be
// fast, small enough that a stream of millions needs little memory.
const chunk = 1000

// A RequestError says which request of a batch is wrong.
type RequestError struct {
	Index int // counted from 0, as in the caller's slice
	Err   error
}

// Error names the index and the field.
func (e *RequestError) Error() string { return fmt.Sprintf("request %d: %v", e.Index, e.Err) }

// Unwrap gives the reason.
func (e *RequestError) Unwrap() error { return e.Err }

// An Option says more of a batch that is enqueued.
type Option func(*intake)

// Budget limits what all requests of the batch may cost together, from its first
// call on; when it is spent, they wait until it is raised. It is written in the same
// transaction.
func Budget(limits jobs.BudgetLimits) Option {
	return func(in *intake) { in.budget = limits }
}

// EnqueueMany accepts requests as one batch in a transaction of its own: all or
// none. After an *UnknownError they may be stored or not, and the batch has the
// id to look for; after any other error they are not.
func (q *Queue) EnqueueMany(ctx context.Context, requests []jobs.Request, options ...Option) (jobs.Batch, error) {
	return q.Stream(ctx, each(requests), options...)
}

// EnqueueManyTx accepts requests as one batch in the caller's transaction, by
// COPY. A *RequestError names the index of the request that is wrong; the caller
// must then roll back.
func (q *Queue) EnqueueManyTx(ctx context.Context, tx pgx.Tx, requests []jobs.Request, options ...Option) (jobs.Batch, error) {
	return q.StreamTx(ctx, tx, each(requests), options...)
}

func each(requests []jobs.Request) iter.Seq2[jobs.Request, error] {
	return func(yield func(jobs.Request, error) bool) {
		for _, request := range requests {
			if !yield(request, nil) {
				return
			}
		}
	}
}

// Stream is EnqueueMany for a stream, as StreamTx reads it. The transaction
// begins when the first thousand requests were read, so that a producer that has
// yet to say something holds no connection.
func (q *Queue) Stream(ctx context.Context, requests iter.Seq2[jobs.Request, error], options ...Option) (jobs.Batch, error) {
	in := q.newIntake(requests, options)
	defer in.close()
	if err := in.fill(ctx, q.pool); err != nil {
		return in.batch, err
	}
	err := q.transact(ctx, func(tx pgx.Tx) (string, error) { return in.batch.ID, in.drain(ctx, tx) })
	return in.batch, err
}

// StreamTx accepts a stream of requests as one batch in the caller's
// transaction, holding a thousand of them in memory at a time. It ends at the
// first error of the stream, or at a request that is wrong, with a
// *RequestError before the next one is read; the caller must then roll back. All
// requests must be of one tenant.
func (q *Queue) StreamTx(ctx context.Context, tx pgx.Tx, requests iter.Seq2[jobs.Request, error], options ...Option) (jobs.Batch, error) {
	in := q.newIntake(requests, options)
	defer in.close()
	if err := in.fill(ctx, tx); err != nil {
		return in.batch, err
	}
	return in.batch, in.drain(ctx, tx)
}

// An intake is a stream on its way into one batch.
type intake struct {
	queue   *Queue
	batch   jobs.Batch
	budget  jobs.BudgetLimits
	span    string         // of all requests; empty: there is none, or several
	pending []jobs.Request // read and checked, not written yet
	next    func() (jobs.Request, error, bool)
	close   func()
}

func (q *Queue) newIntake(requests iter.Seq2[jobs.Request, error], options []Option) *intake {
	in := &intake{queue: q, batch: jobs.Batch{ID: store.NewBatchID(), State: jobs.BatchInProgress, CreatedAt: q.now()}}
	for _, option := range options {
		option(in)
	}
	in.next, in.close = iter.Pull2(requests)
	return in
}

// fill reads and checks as much as goes into one COPY, or what is left.
func (in *intake) fill(ctx context.Context, db store.Querier) error {
	if err := in.budget.Check(); err != nil {
		return fmt.Errorf("budget: %w", err)
	}
	in.pending = in.pending[:0]
	for len(in.pending) < chunk {
		request, err, more := in.next()
		switch {
		case !more && in.batch.Total == 0:
			return ErrEmpty
		case !more:
			return nil
		case err != nil:
			return err
		}
		if err := in.take(ctx, db, request); err != nil {
			return &RequestError{Index: in.batch.Total, Err: err}
		}
		in.batch.Total++
	}
	return nil
}

func (in *intake) take(ctx context.Context, db store.Querier, request jobs.Request) error {
	request.BatchID = in.batch.ID
	if err := in.queue.accept(ctx, db, &request); err != nil {
		return err
	}
	if in.batch.Tenant == "" {
		in.batch.Tenant = request.Tenant
	}
	if request.Tenant != in.batch.Tenant {
		return fmt.Errorf("tenant: is %q, but the batch is of %q; enqueue them apart", request.Tenant, in.batch.Tenant)
	}
	if in.batch.Total == 0 {
		in.span = request.Traceparent
	} else if in.span != request.Traceparent {
		in.span = ""
	}
	in.pending = append(in.pending, request)
	return nil
}

// drain writes what was read, reads on until the end, and closes the batch.
func (in *intake) drain(ctx context.Context, tx pgx.Tx) error {
	for len(in.pending) > 0 {
		if err := in.queue.insert(ctx, tx, in.pending); err != nil {
			return err
		}
		if err := in.fill(ctx, tx); err != nil {
			return err
		}
	}
	if err := store.InsertBatch(jobs.WithTraceparent(ctx, in.span), tx, in.batch); err != nil || in.budget.None() {
		return err
	}
	return store.InsertBudget(ctx, tx, in.batch.ID, in.budget)
}
