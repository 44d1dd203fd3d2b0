package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const fence = `/* tidegate: fence */
SELECT set_config('idle_in_transaction_session_timeout', $2, true) FROM tidegate.workers WHERE id = $1 AND dead_at IS NULL FOR KEY SHARE`

// Fence makes sure, in a transaction, that a worker was not declared dead, and
// that it is not before the transaction ends: a rescue waits for that. It returns
// ErrDead if the worker was, or has not beaten yet. As with all transactions that
// hold up others, Postgres ends it when it hears nothing of us for a while.
func (s *Store) Fence(ctx context.Context, tx pgx.Tx, worker string) error {
	var set string
	err := tx.QueryRow(ctx, fence, worker, strconv.FormatInt(silence.Milliseconds(), 10)).Scan(&set)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("acting as %s: %w", worker, jobs.ErrDead)
	}
	return err
}

const held = `/* tidegate: held */
SELECT id FROM tidegate.river_job WHERE id = ANY ($2) AND state = 'running' AND attempted_by[cardinality(attempted_by)] = $1`

// Held lists those of some of River's jobs that a worker has, in a transaction
// with its Fence: so they are its own until the end of it.
func (s *Store) Held(ctx context.Context, tx pgx.Tx, worker string, ids []int64) ([]int64, error) {
	rows, err := tx.Query(ctx, held, worker, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// claimed reads the few rows that are running, by River's index on states.
const claimed = `/* tidegate: claimed */
SELECT id FROM tidegate.river_job
WHERE state = 'running' AND attempted_by[cardinality(attempted_by)] = $1 AND attempted_at < now() - $2::interval`

// Claimed lists the ids of River's jobs that a worker has had for longer than
// that.
func (s *Store) Claimed(ctx context.Context, worker string, longer time.Duration) ([]int64, error) {
	rows, err := s.pool.Query(ctx, claimed, worker, longer)
	if err != nil {
		return nil, fmt.Errorf("listing the jobs of %s: %w", worker, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("listing the jobs of %s: %w", worker, err)
	}
	return ids, nil
}

// What a job was scheduled at stays, and so does its place in the queue.
const unclaim = `/* tidegate: unclaim */
UPDATE tidegate.river_job SET state = 'available', attempt = greatest(attempt - 1, 0)
WHERE id = ANY ($2) AND state = 'running' AND attempted_by[cardinality(attempted_by)] = $1`

// Unclaim gives those of some jobs that a worker has back to their queues, with
// their attempts, and returns how many that were. It may be repeated.
func (s *Store) Unclaim(ctx context.Context, worker string, ids []int64) (int, error) {
	done, err := s.pool.Exec(ctx, unclaim, worker, ids)
	if err != nil {
		return 0, fmt.Errorf("giving back %d jobs of %s: %w", len(ids), worker, err)
	}
	return int(done.RowsAffected()), nil
}
