package queue

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
	"tidegate/store"
)

// EnqueueOnce is Enqueue for a request that may come again, as one over HTTP whose
// answer was lost. It returns the id under which the first one was accepted.
func (q *Queue) EnqueueOnce(ctx context.Context, request jobs.Request, once store.Once) (id string, err error) {
	if err := q.accept(ctx, q.pool, &request); err != nil {
		return "", err
	}
	err = q.transact(ctx, func(tx pgx.Tx) (string, error) {
		id, err = once.Do(ctx, tx, request.Tenant, func() (string, error) {
			return request.ID, q.insert(ctx, tx, []jobs.Request{request})
		})
		return id, err
	})
	return id, err
}

// EnqueueManyOnce is EnqueueMany for a batch that may come again. It returns the id of
// the batch that the first one made. All requests are of the tenant.
func (q *Queue) EnqueueManyOnce(ctx context.Context, tenant string, requests []jobs.Request, budget jobs.BudgetLimits, once store.Once) (id string, err error) {
	in := q.newIntake(each(requests), []Option{Budget(budget)})
	defer in.close()
	if err := in.fill(ctx, q.pool); err != nil {
		return "", err
	}
	err = q.transact(ctx, func(tx pgx.Tx) (string, error) {
		id, err = once.Do(ctx, tx, tenant, func() (string, error) { return in.batch.ID, in.drain(ctx, tx) })
		return id, err
	})
	return id, err
}
