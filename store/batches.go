package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const insertBatch = `/* tidegate: insert batch */
INSERT INTO tidegate.batches (id, tenant, state, total, created_at, in_progress_at) VALUES ($1, $2, 'in_progress', $3, $4, $4)`

// InsertBatch writes a batch with its total in the caller's transaction, and to which trace
// it belongs, if the context says so.
func InsertBatch(ctx context.Context, tx pgx.Tx, batch jobs.Batch) error {
	if _, err := tx.Exec(ctx, insertBatch, batch.ID, batch.Tenant, batch.Total, batch.CreatedAt); err != nil {
		return fmt.Errorf("writing batch %s: %w", batch.ID, err)
	}
	return traceBatch(ctx, tx, batch.ID)
}

const (
	batchFields = `id, state, tenant, total, completed, failed, created_at, ended_at, retry_of, input_file_id, retry, endpoint, completion_window, expires_at, metadata,
	route, goal, output_lives, model, in_progress_at, finalizing_at, cancelling_at, output_file_id, error_file_id, faults,
	input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, cost_micro_usd`
	batchByID = `/* tidegate: batch */ SELECT ` + batchFields + ` FROM tidegate.batches WHERE id = $1 AND removed_at IS NULL`
)

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
SELECT ` + batchFields + ` FROM tidegate.batches WHERE removed_at IS NULL ORDER BY created_at DESC, id DESC LIMIT $1`

// Batches lists the newest batches first, at most limit.
func (s *Store) Batches(ctx context.Context, limit int) ([]jobs.Batch, error) {
	return s.listBatches(ctx, newestBatches, limit)
}

const batchesBehind = `/* tidegate: batches behind */
SELECT ` + batchFields + ` FROM tidegate.batches WHERE removed_at IS NULL AND (created_at, id) < (SELECT created_at, id FROM tidegate.batches WHERE id = $2)
ORDER BY created_at DESC, id DESC LIMIT $1`

// BatchesBehind lists batches that are older than one of them, the newest first.
func (s *Store) BatchesBehind(ctx context.Context, id string, limit int) ([]jobs.Batch, error) {
	return s.listBatches(ctx, batchesBehind, limit, id)
}

func (s *Store) listBatches(ctx context.Context, query string, args ...any) ([]jobs.Batch, error) {
	rows, err := s.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("listing batches: %w", err)
	}
	batches, err := pgx.CollectRows(rows, scanBatch)
	if err != nil {
		return nil, fmt.Errorf("listing batches: %w", err)
	}
	return batches, nil
}

const batchRetries = `/* tidegate: retries of */ SELECT id FROM tidegate.batches WHERE retry_of = $1 AND removed_at IS NULL ORDER BY created_at LIMIT 100`

// RetriesOf names the batches that try again what failed of another one, up to a hundred.
func (s *Store) RetriesOf(ctx context.Context, batch string) ([]string, error) {
	rows, err := s.pool.Query(ctx, batchRetries, batch)
	if err != nil {
		return nil, fmt.Errorf("listing the retries of %s: %w", batch, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("listing the retries of %s: %w", batch, err)
	}
	return ids, nil
}

const tenantBatches = `/* tidegate: batches of a tenant */ SELECT ` + batchFields + ` FROM tidegate.batches WHERE tenant = $1 AND removed_at IS NULL`

// BatchesOf lists a tenant's batches.
func (s *Store) BatchesOf(ctx context.Context, tenant string, page Page) ([]jobs.Batch, error) {
	return s.listBatches(ctx, tenantBatches+page.within(), tenant, page.After, page.Limit)
}

func scanBatch(row pgx.CollectableRow) (jobs.Batch, error) {
	var b batchRow
	var o orderRow
	if err := row.Scan(append(append([]any{&b.id, &b.state}, b.fields()...), o.fields()...)...); err != nil {
		return jobs.Batch{}, err
	}
	batch := b.value()
	order, err := o.value()
	batch.Order = order
	return batch, err
}

// batchRow is a batch as a query returns it, whole or not at all.
type batchRow struct {
	id, state, tenant        *string
	total, completed, failed *int
	createdAt, endedAt       *time.Time
	retryOf                  *string
}

func (b *batchRow) fields() []any {
	return []any{&b.tenant, &b.total, &b.completed, &b.failed, &b.createdAt, &b.endedAt, &b.retryOf}
}

func (b *batchRow) value() jobs.Batch {
	return jobs.Batch{
		ID: orZero(b.id), Tenant: orZero(b.tenant), State: jobs.BatchState(orZero(b.state)),
		Total: orZero(b.total), Completed: orZero(b.completed), Failed: orZero(b.failed),
		CreatedAt: orZero(b.createdAt), EndedAt: orZero(b.endedAt), RetryOf: orZero(b.retryOf),
	}
}

// orderRow is the rest of a batch that came as a file, or that tries another one again.
type orderRow struct {
	inputFile, endpoint, window, route, goal, model     *string
	outputFile, errorFile                               *string
	expiresAt, inProgressAt, finalizingAt, cancellingAt *time.Time
	retry, metadata, faults                             []byte
	outputLives                                         *time.Duration
	input, cached, output, reasoning                    *int
	cost                                                *int64
}

func (o *orderRow) fields() []any {
	return []any{
		&o.inputFile, &o.retry, &o.endpoint, &o.window, &o.expiresAt, &o.metadata, &o.route, &o.goal, &o.outputLives, &o.model,
		&o.inProgressAt, &o.finalizingAt, &o.cancellingAt, &o.outputFile, &o.errorFile, &o.faults,
		&o.input, &o.cached, &o.output, &o.reasoning, &o.cost,
	}
}

func (o *orderRow) value() (*jobs.BatchOrder, error) {
	if o.inputFile == nil && o.retry == nil {
		return nil, nil //nolint:nilnil // a batch that is neither has no order
	}
	order := &jobs.BatchOrder{
		InputFile: orZero(o.inputFile), Endpoint: orZero(o.endpoint), Window: orZero(o.window), ExpiresAt: orZero(o.expiresAt), Route: orZero(o.route), Goal: orZero(o.goal),
		OutputLives: orZero(o.outputLives), Model: orZero(o.model), InProgressAt: orZero(o.inProgressAt),
		FinalizingAt: orZero(o.finalizingAt), CancellingAt: orZero(o.cancellingAt), OutputFile: orZero(o.outputFile), ErrorFile: orZero(o.errorFile),
		Usage: jobs.Usage{Input: orZero(o.input), CachedInput: orZero(o.cached), Output: orZero(o.output), Reasoning: orZero(o.reasoning)},
		Cost:  jobs.MicroUSD(orZero(o.cost)),
	}
	if o.retry != nil {
		if err := json.Unmarshal(o.retry, &order.Retry); err != nil {
			return nil, fmt.Errorf("retry: %w", err)
		}
		order.InputFile = order.Retry.InputFile
	}
	if o.metadata != nil {
		if err := json.Unmarshal(o.metadata, &order.Metadata); err != nil {
			return nil, fmt.Errorf("metadata: %w", err)
		}
	}
	if o.faults != nil {
		if err := json.Unmarshal(o.faults, &order.Faults); err != nil {
			return nil, fmt.Errorf("faults: %w", err)
		}
	}
	return order, nil
}
