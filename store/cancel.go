package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"tidegate/jobs"
)

// cancelAtOnce bounds one transaction of a cancellation, so that a batch of a
// million does not hold its row for minutes.
const cancelAtOnce = 5000

const storeCancelled = `stored AS (
	INSERT INTO tidegate.results (request_id, id, state, status, code, message, attempts, cost_micro_usd, unpriced)
	SELECT g.request_id, gen_random_uuid(), 'cancelled', 499, 'batch_cancelled', 'cancelled before it was answered', t.attempts, t.cost_micro_usd, t.unpriced
	FROM given g` + triedBefore + ` ORDER BY g.request_id
	ON CONFLICT (request_id) DO NOTHING
	RETURNING request_id, state
), ` + countAndOwe + `, ` + dropWaiting + `
SELECT (SELECT count(*) FROM stored)`

const cancelRequest = `/* tidegate: cancel request */
WITH given AS (SELECT id AS request_id, batch_id, created_at FROM tidegate.requests WHERE id = $1), ` + storeCancelled

// The batch is named in a way that leaves the planner only the index of batches: it
// would rather read the whole table in its order until something of the batch comes.
const cancelSomeOfBatch = `/* tidegate: cancel some of a batch */
WITH page AS MATERIALIZED (
	SELECT q.id AS request_id, q.batch_id, q.created_at FROM tidegate.requests q
	WHERE (q.batch_id, q.id) > ($1, $2) AND q.batch_id <= $1
	ORDER BY q.batch_id, q.id LIMIT $3
), given AS MATERIALIZED (
	SELECT * FROM page p WHERE NOT EXISTS (SELECT FROM tidegate.results r WHERE r.request_id = p.request_id OFFSET 0)
), ` + storeCancelled + `, (SELECT request_id FROM page ORDER BY request_id DESC LIMIT 1)`

// What is parked for money may be so for a year, and nobody would come to find that
// its request has ended: status and budgets would count it among what waits. Any other
// job is found to have ended when its worker, or its time, comes.
const endParked = `/* tidegate: end what is parked */
UPDATE tidegate.river_job SET state = 'completed', finalized_at = now() WHERE id IN (
	SELECT j.id FROM tidegate.river_job j JOIN tidegate.requests q ON q.id = (j.args->>'r')::uuid
	WHERE j.state = 'scheduled' AND j.kind = '` + jobs.CompletionKind + `' AND j.metadata ? '` + jobs.BudgetMark + `' AND (q.batch_id = $1 OR q.id = $2)
		AND EXISTS (SELECT FROM tidegate.results r WHERE r.request_id = q.id)
	FOR UPDATE OF j SKIP LOCKED)`

// What was parked in the moment of its cancellation waits for its time, on a route with
// fair admission, in a row that the cancellation could not see.
const (
	endWaiting        = `/* tidegate: end what waits */ ` + unseen + `w.request_id = $1` + noLonger
	endWaitingOfBatch = `/* tidegate: end what waits of a batch */ ` + unseen + `w.not_before IS NOT NULL AND q.batch_id = $1` + noLonger

	unseen = `WITH unneeded AS (
	DELETE FROM tidegate.waiting WHERE request_id IN (
		SELECT w.request_id FROM tidegate.waiting w JOIN tidegate.requests q ON q.id = w.request_id WHERE `
	noLonger = ` AND EXISTS (SELECT FROM tidegate.results r WHERE r.request_id = q.id) FOR UPDATE OF w SKIP LOCKED)
	RETURNING job_id
)
UPDATE tidegate.river_job SET state = 'completed', finalized_at = now() WHERE id = ANY (ARRAY(SELECT job_id FROM unneeded)) AND state::text = 'pending'`
)

// CancelRequest ends a request that has no result yet as cancelled and tells
// whether it did; a call that is under way is not stopped, its answer is not
// kept, but its cost is. It returns ErrNotFound if there is no such request.
func (s *Store) CancelRequest(ctx context.Context, id string) (bool, error) {
	parsed, err := parseID(id)
	if err != nil {
		return false, err
	}
	var cancelled int
	if err := s.pool.QueryRow(ctx, cancelRequest, parsed).Scan(&cancelled); err != nil {
		return false, fmt.Errorf("cancelling request %s: %w", id, err)
	}
	if cancelled > 0 {
		_, err := s.pool.Exec(ctx, endParked, nil, parsed)
		if err == nil {
			_, err = s.pool.Exec(ctx, endWaiting, parsed)
		}
		if err != nil {
			return true, fmt.Errorf("cancelling request %s: %w", id, err)
		}
		return true, nil
	}
	return false, s.CheckRequest(ctx, id)
}

const requestExists = `/* tidegate: request exists */ SELECT EXISTS (SELECT FROM tidegate.requests WHERE id = $1)`

// CheckRequest returns ErrNotFound if there is no such request.
func (s *Store) CheckRequest(ctx context.Context, id string) error {
	parsed, err := parseID(id)
	if err != nil {
		return err
	}
	var known bool
	if err := s.pool.QueryRow(ctx, requestExists, parsed).Scan(&known); err != nil {
		return fmt.Errorf("looking for request %s: %w", id, err)
	}
	if !known {
		return fmt.Errorf("request %s: %w", id, ErrNotFound)
	}
	return nil
}

// CancelBatch ends all requests of a batch that have no result yet as
// cancelled and returns how many. If it is interrupted, calling it again goes
// on. It returns ErrNotFound if there is no such batch.
func (s *Store) CancelBatch(ctx context.Context, id string) (int, error) {
	if _, err := s.Batch(ctx, id); err != nil {
		return 0, err
	}
	if err := s.StartCancel(ctx, id); err != nil {
		return 0, err
	}
	var sum int
	for last := new(uuid.UUID); ; {
		var some int
		if err := s.pool.QueryRow(ctx, cancelSomeOfBatch, id, *last, cancelAtOnce).Scan(&some, &last); err != nil {
			return sum, fmt.Errorf("cancelling batch %s: %w", id, err)
		}
		sum += some
		if last == nil {
			break
		}
	}
	_, err := s.pool.Exec(ctx, endParked, id, nil)
	if err == nil {
		_, err = s.pool.Exec(ctx, endWaitingOfBatch, id)
	}
	if err != nil {
		return sum, fmt.Errorf("cancelling batch %s: %w", id, err)
	}
	return sum, nil
}
