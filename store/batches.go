package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const insertBatch = `/* tidegate: insert batch */
INSERT INTO tidegate.batches (id, tenant, state, total, created_at) VALUES ($1, $2, 'in_progress', $3, $4)`

// InsertBatch writes a batch with its total in the caller's transaction.
func InsertBatch(ctx context.Context, tx pgx.Tx, batch jobs.Batch) error {
	if _, err := tx.Exec(ctx, insertBatch, batch.ID, batch.Tenant, batch.Total, batch.CreatedAt); err != nil {
		return fmt.Errorf("writing batch %s: %w", batch.ID, err)
	}
	return nil
}

const batchByID = `/* tidegate: batch */
SELECT id, state, tenant, total, completed, failed, created_at, ended_at FROM tidegate.batches WHERE id = $1`

// Batch reads one batch. It returns ErrNotFound if there is none.
func (s *Store) Batch(ctx context.Context, id string) (jobs.Batch, error) {
	rows, err := s.pool.Query(ctx, batchByID, id)
	if err != nil {
		return jobs.Batch{}, fmt.Errorf("reading batch %s: %w", id, err)
	}
	batch, err := pgx.CollectExactlyOneRow(rows, scanBatch)
	if err != nil {
		return jobs.Batch{}, fmt.Errorf("reading batch %s: %w", id, noRows(err))
	}
	return batch, nil
}

const newestBatches = `/* tidegate: newest batches */
SELECT id, state, tenant, total, completed, failed, created_at, ended_at FROM tidegate.batches ORDER BY created_at DESC, id DESC LIMIT $1`

// Batches lists the newest batches first, at most limit.
func (s *Store) Batches(ctx context.Context, limit int) ([]jobs.Batch, error) {
	rows, err := s.pool.Query(ctx, newestBatches, limit)
	if err != nil {
		return nil, fmt.Errorf("listing batches: %w", err)
	}
	batches, err := pgx.CollectRows(rows, scanBatch)
	if err != nil {
		return nil, fmt.Errorf("listing batches: %w", err)
	}
	return batches, nil
}

func scanBatch(row pgx.CollectableRow) (jobs.Batch, error) {
	var b batchRow
	err := row.Scan(append([]any{&b.id, &b.state}, b.fields()...)...)
	return b.value(), err
}

// batchRow is a batch as a query returns it, whole or not at all.
type batchRow struct {
	id, state, tenant        *string
	total, completed, failed *int
	createdAt, endedAt       *time.Time
}

func (b *batchRow) fields() []any {
	return []any{&b.tenant, &b.total, &b.completed, &b.failed, &b.createdAt, &b.endedAt}
}

func (b *batchRow) value() jobs.Batch {
	return jobs.Batch{
		ID: orZero(b.id), Tenant: orZero(b.tenant), State: jobs.BatchState(orZero(b.state)),
		Total: orZero(b.total), Completed: orZero(b.completed), Failed: orZero(b.failed),
		CreatedAt: orZero(b.createdAt), EndedAt: orZero(b.endedAt),
	}
}
