package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// A Once says how a repeated request to make something is known, so that it is
// made once.
type Once struct {
	// Key is what both have in common, as an Idempotency-Key, or who asks and a hash
	// of what.
	Key string
	// Hash is of what is asked for: the same key with another one is ErrKeyReused.
	Hash [sha256.Size]byte
	// Within is how long ago the first may have been.
	Within time.Duration
	// Repeated tells that there may have been a first; without, it is this one.
	Repeated bool
}

// ErrKeyReused says that an idempotency key was used before, for something else.
var ErrKeyReused = errors.New("the idempotency key was used for another request")

const (
	lockOnce = `/* tidegate: lock once */ SELECT pg_advisory_xact_lock(hashtextextended('tidegate.once ' || $1 || ' ' || $2, 0))`
	findOnce = `/* tidegate: find once */
SELECT made, hash FROM tidegate.once WHERE tenant = $1 AND key = $2 AND created_at > now() - $3::interval`
	keepOnce = `/* tidegate: keep once */
INSERT INTO tidegate.once (tenant, key, hash, made) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant, key) DO UPDATE SET hash = excluded.hash, made = excluded.made, created_at = now()`
)

// before finds what a repeated request made the first time; empty: nothing. Until tx
// ends, nobody else asks with the same key.
func (o *Once) before(ctx context.Context, tx pgx.Tx, tenant string) (made string, err error) {
	if o.Key == "" {
		return "", nil
	}
	if _, err := tx.Exec(ctx, lockOnce, tenant, o.Key); err != nil || !o.Repeated {
		return "", err
	}
	return o.find(ctx, tx, tenant)
}

func (o *Once) find(ctx context.Context, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, tenant string,
) (made string, err error) {
	var hash []byte
	err = db.QueryRow(ctx, findOnce, tenant, o.Key, o.Within).Scan(&made, &hash)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", nil
	case err == nil && string(hash) != string(o.Hash[:]):
		return "", ErrKeyReused
	}
	return made, err
}

func (o *Once) keep(ctx context.Context, tx pgx.Tx, tenant, made string) error {
	if o.Key == "" {
		return nil
	}
	_, err := tx.Exec(ctx, keepOnce, tenant, o.Key, o.Hash[:], made)
	return err
}

const (
	shareFile   = `/* tidegate: share file */ SELECT purpose FROM tidegate.files WHERE id = $1 AND tenant = $2 AND ` + fileLives + ` FOR SHARE`
	insertOrder = `/* tidegate: insert order */
INSERT INTO tidegate.batches (id, tenant, state, created_at, input_file_id, endpoint, completion_window, expires_at, metadata, route, goal, output_lives)
VALUES ($1, $2, 'validating', $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	insertWork = `/* tidegate: insert work */ INSERT INTO tidegate.batch_work (batch_id) VALUES ($1)`
)

// CreateBatch accepts a batch that came as a file: it is validating, and a worker
// will check and enqueue its lines. limits are its budget. A repeated call gets the
// batch that the first one made. ErrNotFound says that its tenant has no such file.
func (s *Store) CreateBatch(ctx context.Context, batch jobs.Batch, limits jobs.BudgetLimits, once Once) (jobs.Batch, error) {
	made := batch.ID
	err := Transact(ctx, s.pool, func(tx pgx.Tx) error {
		before, err := once.before(ctx, tx, batch.Tenant)
		if err != nil || before != "" {
			made = before
			return err
		}
		if err := insertOrdered(ctx, tx, &batch, limits); err != nil {
			return err
		}
		return once.keep(ctx, tx, batch.Tenant, batch.ID)
	})
	if err != nil {
		return jobs.Batch{}, fmt.Errorf("creating batch %s: %w", batch.ID, err)
	}
	return s.Batch(ctx, made)
}

func insertOrdered(ctx context.Context, tx pgx.Tx, batch *jobs.Batch, limits jobs.BudgetLimits) error {
	order := batch.Order
	if endpoint, _ := jobs.ParseEndpoint(order.Endpoint); endpoint != jobs.EndpointChat {
		if err := KnownToAll(ctx, tx, endpoint); err != nil {
			return err
		}
	}
	var purpose string
	if err := tx.QueryRow(ctx, shareFile, order.InputFile, batch.Tenant).Scan(&purpose); err != nil {
		return fmt.Errorf("input file %s: %w", order.InputFile, noRows(err))
	}
	var metadata []byte
	if order.Metadata != nil {
		var err error
		if metadata, err = json.Marshal(order.Metadata); err != nil {
			return fmt.Errorf("metadata: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, insertOrder, batch.ID, batch.Tenant, batch.CreatedAt, order.InputFile, order.Endpoint, order.Window, order.ExpiresAt,
		metadata, orNull(order.Route), orNull(order.Goal), orNull(order.OutputLives)); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, insertWork, batch.ID); err != nil {
		return err
	}
	if err := traceBatch(ctx, tx, batch.ID); err != nil || limits.None() {
		return err
	}
	return InsertBudget(ctx, tx, batch.ID, limits)
}

const failBatch = `/* tidegate: fail batch */
WITH failed AS (
	UPDATE tidegate.batches SET state = 'failed', ended_at = now(), faults = $2 WHERE id = $1 AND state = 'validating' RETURNING id, state
)
INSERT INTO tidegate.outbox (batch_id, batch_state) SELECT id, state FROM failed`

// FailBatch ends a batch whose lines are not right. One that is no longer validating
// stays as it is.
func (s *Store) FailBatch(ctx context.Context, id string, faults []jobs.BatchFault) error {
	said, err := json.Marshal(faults)
	if err != nil {
		return fmt.Errorf("failing batch %s: %w", id, err)
	}
	if _, err := s.pool.Exec(ctx, failBatch, id, said); err != nil {
		return fmt.Errorf("failing batch %s: %w", id, err)
	}
	return nil
}

const beginBatch = `/* tidegate: begin batch */
UPDATE tidegate.batches SET state = 'in_progress', in_progress_at = now(), total = $2, model = $3 WHERE id = $1 AND state = 'validating'`

// BeginBatch says that the lines of a batch are right, and how many they are. One
// that is no longer validating stays as it is.
func (s *Store) BeginBatch(ctx context.Context, id string, total int, model string) error {
	if _, err := s.pool.Exec(ctx, beginBatch, id, total, orNull(model)); err != nil {
		return fmt.Errorf("beginning batch %s: %w", id, err)
	}
	return nil
}

// Enqueued is how much of a batch's file was enqueued, or of the batch that it tries
// again.
type Enqueued struct {
	Bytes    int64
	Lines    int // blank ones too
	Requests int
	Retried  uuid.UUID // the last request of the other batch; zero: none
}

const enqueuedOf = `/* tidegate: enqueued */
SELECT input_bytes, input_lines, enqueued, coalesce(retried_id, '00000000-0000-0000-0000-000000000000') FROM tidegate.batch_work WHERE batch_id = $1`

// Enqueued reads how much of a batch was enqueued.
func (s *Store) Enqueued(ctx context.Context, id string) (at Enqueued, err error) {
	if err := s.pool.QueryRow(ctx, enqueuedOf, id).Scan(&at.Bytes, &at.Lines, &at.Requests, &at.Retried); err != nil {
		return at, fmt.Errorf("reading how far batch %s is: %w", id, noRows(err))
	}
	return at, nil
}

const advance = `/* tidegate: advance */
UPDATE tidegate.batch_work SET input_bytes = $3, input_lines = $4, enqueued = $5, retried_id = nullif($6, '00000000-0000-0000-0000-000000000000'::uuid) WHERE batch_id = $1 AND enqueued = $2`

// Advance says in the transaction that enqueues a part of a batch how far it
// comes. False: somebody else has enqueued that part.
func Advance(ctx context.Context, tx pgx.Tx, id string, from, to Enqueued) (bool, error) {
	done, err := tx.Exec(ctx, advance, id, from.Requests, to.Bytes, to.Lines, to.Requests, to.Retried)
	if err != nil {
		return false, fmt.Errorf("saying how far batch %s is: %w", id, err)
	}
	return done.RowsAffected() == 1, nil
}
