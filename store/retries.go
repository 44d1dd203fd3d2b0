package store

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// A NotEndedError says that a batch has not come to its final state, so that nobody
// knows yet which of its requests will fail.
type NotEndedError struct {
	Batch string
	State jobs.BatchState
}

// Error says where it stands.
func (e *NotEndedError) Error() string {
	return fmt.Sprintf("batch %s is %s: it can be retried when it has ended", e.Batch, strings.ReplaceAll(string(e.State), "_", " "))
}

// A NothingToRetryError says that a batch has no request that a retry would take.
type NothingToRetryError struct {
	Batch  string
	Failed jobs.Failures // of the batch, whatever was asked for
	By     []string      // retries that try some of what was asked for again already
}

// Error says what would be right.
func (e *NothingToRetryError) Error() string {
	switch {
	case len(e.By) > 0:
		return fmt.Sprintf("nothing is left to retry of batch %s: %s tries it again already; retry that one if it fails, too", e.Batch, strings.Join(e.By, ", "))
	case len(e.Failed) == 0:
		return fmt.Sprintf("nothing to retry: no request of batch %s failed", e.Batch)
	default:
		return fmt.Sprintf("nothing to retry: no request of batch %s failed in this way; there are: %s", e.Batch, e.Failed)
	}
}

// A NotServedError says that the route that a retry names does not serve what its
// requests ask for.
type NotServedError struct{ err error }

// Error names the route, what is asked for, and what it serves.
func (e *NotServedError) Error() string { return e.err.Error() + "; nothing was made" }

const lockEnded = `/* tidegate: lock batch */ SELECT ` + batchFields + ` FROM tidegate.batches WHERE id = $1 AND removed_at IS NULL FOR NO KEY UPDATE`

// failureOf is the class of a result that is no answer, as jobs.Failures counts them.
const failureOf = `CASE r.state WHEN 'refused' THEN coalesce(r.class, '` + string(jobs.FailedRefused) + `') ELSE upper(r.state) END`

// Results are looked up one by one (OFFSET 0): the planner might read all of them instead.
const failedOfBatch = `/* tidegate: failures */
SELECT r.failure, count(*) FROM tidegate.requests q
CROSS JOIN LATERAL (SELECT ` + failureOf + ` AS failure FROM tidegate.results r WHERE r.request_id = q.id AND r.state <> 'answered' OFFSET 0) r
WHERE q.batch_id = $1 GROUP BY 1`

const endpointsOfFailed = `/* tidegate: endpoints of failed */
SELECT DISTINCT q.endpoint FROM tidegate.requests q
CROSS JOIN LATERAL (SELECT ` + failureOf + ` AS failure FROM tidegate.results r WHERE r.request_id = q.id AND r.state <> 'answered' OFFSET 0) r
WHERE q.batch_id = $1 AND r.failure = ANY ($2)`

const retriesOf = `/* tidegate: retries of */ SELECT id, retry FROM tidegate.batches WHERE retry_of = $1 AND retry IS NOT NULL ORDER BY id`

// A retryPlan is what a retry would take.
type retryPlan struct {
	of    jobs.Batch
	took  jobs.Failures
	left  jobs.Failures // of other classes, or tried again already
	again []string      // retries that have some of what was asked for
}

// make locks the batch, so that of two retries at once one sees the other.
func (p *retryPlan) make(ctx context.Context, tx pgx.Tx, retry *jobs.Retry) error {
	rows, err := tx.Query(ctx, lockEnded, retry.Of)
	if err != nil {
		return err
	}
	if p.of, err = pgx.CollectExactlyOneRow(rows, scanBatch); err != nil {
		return noRows(err)
	}
	if retry.Tenant != "" && p.of.Tenant != retry.Tenant {
		return ErrNotFound
	}
	if !p.of.Ended() {
		return &NotEndedError{p.of.ID, p.of.State}
	}
	failed := jobs.Failures{}
	if p.of.Failed > 0 {
		if failed, err = readFailures(ctx, tx, p.of.ID); err != nil {
			return err
		}
	}
	p.took, p.left = failed.Of(retry.Classes)
	if err := p.dropRetried(ctx, tx); err != nil {
		return err
	}
	if len(p.took) == 0 {
		return &NothingToRetryError{Batch: p.of.ID, Failed: failed, By: p.again}
	}
	return p.checkRoute(ctx, tx, retry.Route)
}

// checkRoute looks whether another route serves what the requests ask for: else a worker
// would refuse them one by one. An empty one is each request's own.
func (p *retryPlan) checkRoute(ctx context.Context, tx pgx.Tx, name string) error {
	if name == "" {
		return nil
	}
	routes, err := Routes(ctx, tx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(routes, func(r jobs.Route) bool { return r.Name == name })
	if at < 0 { // it was there a moment ago: the worker says what is wrong now
		return nil
	}
	rows, err := tx.Query(ctx, endpointsOfFailed, p.of.ID, p.took.Classes())
	if err != nil {
		return err
	}
	asked, err := pgx.CollectRows(rows, pgx.RowTo[*string])
	if err != nil {
		return err
	}
	for _, endpoint := range asked {
		if err := routes[at].Serves().Refuses(name, endpointOf(endpoint)); err != nil {
			return &NotServedError{err}
		}
	}
	return nil
}

func readFailures(ctx context.Context, tx pgx.Tx, batch string) (jobs.Failures, error) {
	rows, err := tx.Query(ctx, failedOfBatch, batch)
	if err != nil {
		return nil, err
	}
	failed := jobs.Failures{}
	var class string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&class, &n}, func() error {
		failed[jobs.Class(class)] = n
		return nil
	})
	return failed, err
}

// dropRetried leaves out what another retry has taken: a class of a batch that has
// ended gets no more requests, so that one has all of them.
func (p *retryPlan) dropRetried(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, retriesOf, p.of.ID)
	if err != nil {
		return err
	}
	var id string
	var said []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &said}, func() error {
		var before jobs.BatchRetry
		if err := json.Unmarshal(said, &before); err != nil {
			return fmt.Errorf("retry %s: %w", id, err)
		}
		has := false
		for class := range before.Took {
			if n, wanted := p.took[class]; wanted {
				has, p.left[class] = true, n
				delete(p.took, class)
			}
		}
		if has {
			p.again = append(p.again, id)
		}
		return nil
	})
	return err
}

// PlanRetry says what a retry would take, by class, and what of the batch's failures it
// would leave. Its errors are those of CreateRetry.
func (s *Store) PlanRetry(ctx context.Context, retry jobs.Retry) (took, left jobs.Failures, err error) {
	var plan retryPlan
	if err := Transact(ctx, s.pool, func(tx pgx.Tx) error { return plan.make(ctx, tx, &retry) }); err != nil {
		return nil, nil, fmt.Errorf("retrying batch %s: %w", retry.Of, err)
	}
	return plan.took, plan.left, nil
}

const (
	insertRetry = `/* tidegate: insert retry */
INSERT INTO tidegate.batches (id, tenant, state, total, created_at, in_progress_at, retry_of, retry, endpoint, completion_window, expires_at, metadata, model, output_lives)
SELECT $2, tenant, 'in_progress', $3, $4, $4, id, $5, endpoint, coalesce($6, completion_window), coalesce($7, $4::timestamptz + (expires_at - created_at)), $8, model, output_lives
FROM tidegate.batches WHERE id = $1`
	insertSameBudget = `/* tidegate: insert same budget */
INSERT INTO tidegate.budgets (scope, name, per_day, total, set_by)
SELECT scope, $2, per_day, total, 'producer' FROM tidegate.budgets WHERE scope = 'batch' AND name = $1 AND num_nonnulls(per_day, total) > 0`
)

// CreateRetry makes a batch of the requests of another one that failed, of some classes:
// it is in progress, and a worker enqueues them. What another retry has taken is left to
// that one. A repeated call gets the batch that the first one made. ErrNotFound says that
// the tenant has no such batch; other errors are *NotEndedError, *NothingToRetryError and *NotServedError.
func (s *Store) CreateRetry(ctx context.Context, retry jobs.Retry, once Once) (jobs.Batch, error) {
	made := retry.ID
	err := Transact(ctx, s.pool, func(tx pgx.Tx) error {
		tenant := retry.Tenant
		before, err := once.before(ctx, tx, tenant)
		if err != nil || before != "" {
			made = before
			return err
		}
		var plan retryPlan
		if err := plan.make(ctx, tx, &retry); err != nil {
			return err
		}
		if err := plan.insert(ctx, tx, &retry); err != nil {
			return err
		}
		return once.keep(ctx, tx, tenant, retry.ID)
	})
	if err != nil {
		return jobs.Batch{}, fmt.Errorf("retrying batch %s: %w", retry.Of, err)
	}
	return s.Batch(ctx, made)
}

func (p *retryPlan) insert(ctx context.Context, tx pgx.Tx, retry *jobs.Retry) error {
	how := jobs.BatchRetry{Took: p.took, Route: retry.Route, Goal: retry.Goal, MaxCost: retry.MaxCost, NewWindow: retry.Within > 0}
	metadata := retry.Metadata
	if order := p.of.Order; order != nil {
		how.InputFile = order.InputFile
		if metadata == nil {
			metadata = withoutSteering(order.Metadata)
		}
	}
	said, err := json.Marshal(how)
	if err != nil {
		return err
	}
	var kept []byte
	if metadata != nil {
		if kept, err = json.Marshal(metadata); err != nil {
			return fmt.Errorf("metadata: %w", err)
		}
	}
	expires := orNullTime(retry.CreatedAt.Add(retry.Within))
	if retry.Within == 0 {
		expires = nil
	}
	if _, err := tx.Exec(ctx, insertRetry, retry.Of, retry.ID, p.took.Sum(), retry.CreatedAt, said, orNull(retry.Window), expires, kept); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, insertWork, retry.ID); err != nil {
		return err
	}
	if err := traceBatch(ctx, tx, retry.ID); err != nil {
		return err
	}
	switch {
	case retry.Limits == nil:
		_, err = tx.Exec(ctx, insertSameBudget, retry.Of, retry.ID)
	case !retry.Limits.None():
		err = InsertBudget(ctx, tx, retry.ID, *retry.Limits)
	}
	return err
}

// withoutSteering is a batch's metadata but for what says how it is to be done.
func withoutSteering(metadata map[string]string) map[string]string {
	var kept map[string]string
	for key, value := range metadata {
		if strings.HasPrefix(key, jobs.SteeringPrefix) {
			continue
		}
		if kept == nil {
			kept = map[string]string{}
		}
		kept[key] = value
	}
	return kept
}

const failedBehind = `/* tidegate: failed requests behind */
SELECT ` + requestFields + `, q.body, true, NULL::integer, NULL::bigint, NULL::bigint, NULL::text FROM tidegate.requests q
CROSS JOIN LATERAL (SELECT ` + failureOf + ` AS failure FROM tidegate.results r WHERE r.request_id = q.id AND r.state <> 'answered' OFFSET 0) r
WHERE q.batch_id = $1 AND q.id > $2 AND r.failure = ANY ($3) ORDER BY q.id`

// FailedBehind streams those requests of a batch that ended in one of some ways, whole
// and in the order in which they were accepted, behind one of them. It ends at the first
// error.
func (s *Store) FailedBehind(ctx context.Context, batch string, behind uuid.UUID, classes []jobs.Class) iter.Seq2[jobs.Request, error] {
	return func(yield func(jobs.Request, error) bool) {
		rows, err := s.pool.Query(ctx, failedBehind, batch, behind, classes)
		if err != nil {
			yield(jobs.Request{}, fmt.Errorf("reading what failed of batch %s: %w", batch, err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			loaded, err := scanLoaded(rows)
			if !yield(loaded.Request, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(jobs.Request{}, fmt.Errorf("reading what failed of batch %s: %w", batch, err))
		}
	}
}
