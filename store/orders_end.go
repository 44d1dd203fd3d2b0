package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const outputOf = `/* tidegate: output of */
SELECT ended_id, coalesce(output_file, ''), output_bytes, coalesce(error_file, ''), error_bytes, input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, cost_micro_usd, expired
FROM tidegate.batch_work WHERE batch_id = $1`

// An ending is how far the files of a batch are written.
type ending struct {
	last          *uuid.UUID // the request of the last line
	output, fault part
	usage         jobs.Usage
	cost          jobs.MicroUSD
	expired       int
}

// A part is one file of an ending.
type part struct {
	file    string // its id; empty: it has no line yet
	bytes   int64  // that are written
	pending []byte
}

func (e *ending) fields() []any {
	return []any{
		&e.last, &e.output.file, &e.output.bytes, &e.fault.file, &e.fault.bytes,
		&e.usage.Input, &e.usage.CachedInput, &e.usage.Output, &e.usage.Reasoning, &e.cost, &e.expired,
	}
}

// add takes one more result.
func (e *ending) add(event *jobs.ResultEvent, id uuid.UUID) {
	into := &e.output
	if event.State != jobs.StateAnswered {
		into = &e.fault
	}
	into.pending = jobs.AppendOutputLine(into.pending, event.CustomID, &event.Result)
	e.usage, e.cost, e.last = e.usage.Add(event.Usage), e.cost+event.Cost, &id
	if event.State == jobs.StateExpired {
		e.expired++
	}
}

func (e *ending) full() bool { return len(e.output.pending)+len(e.fault.pending) >= PieceBytes }

// EndBatch ends a batch that is finalizing: it writes a line for each of its results
// into its output file or its error file, in steps that hold about a megabyte, and
// then, in one transaction, has everybody see the files, the final state and its event.
// Whoever calls it after one that was cut off goes on where that one was; of two at
// once, one gives up. fileLives is how long its files are kept if it says nothing of
// it; zero: for ever.
func (s *Store) EndBatch(ctx context.Context, id string, fileLives time.Duration) error {
	batch, err := s.Batch(ctx, id)
	if err != nil || batch.State != jobs.BatchFinalizing {
		return err
	}
	var done ending
	if err := s.pool.QueryRow(ctx, outputOf, id).Scan(done.fields()...); err != nil {
		return fmt.Errorf("reading how far batch %s is: %w", id, noRows(err))
	}
	if err = s.writeLines(ctx, &batch, &done); err == nil {
		err = s.close(ctx, &batch, &done, fileLives)
	}
	if err != nil && !errors.Is(err, errOvertaken) {
		return fmt.Errorf("ending batch %s: %w", id, err)
	}
	return nil
}

// errOvertaken says that somebody else does the same.
var errOvertaken = errors.New("another worker goes on with it")

const resultsBehind = `/* tidegate: results behind */
SELECT q.id, ` + resultFields + ` FROM tidegate.requests q JOIN tidegate.results r ON r.request_id = q.id
WHERE q.batch_id = $1 AND ($2::uuid IS NULL OR q.id > $2) ORDER BY q.id`

// writeLines reads the results as a stream, and writes what it has of them each
// megabyte.
func (s *Store) writeLines(ctx context.Context, batch *jobs.Batch, done *ending) error {
	rows, err := s.pool.Query(ctx, resultsBehind, batch.ID, done.last)
	if err != nil {
		return err
	}
	defer rows.Close()
	before := done.last
	for rows.Next() {
		var row resultRow
		if err := rows.Scan(append([]any{&row.requestID}, row.fields()...)...); err != nil {
			return err
		}
		event, err := row.event()
		if err != nil {
			return err
		}
		done.add(&event, row.requestID)
		if done.full() {
			if err := s.saveEnding(ctx, batch, before, done); err != nil {
				return err
			}
			before = done.last
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return s.saveEnding(ctx, batch, before, done)
}

const moveEnding = `/* tidegate: move ending */
UPDATE tidegate.batch_work SET ended_id = $3, output_file = nullif($4, ''), output_bytes = $5, error_file = nullif($6, ''), error_bytes = $7,
	input_tokens = $8, cached_input_tokens = $9, output_tokens = $10, reasoning_tokens = $11, cost_micro_usd = $12, expired = $13
WHERE batch_id = $1 AND ended_id IS NOT DISTINCT FROM $2`

// saveEnding writes the lines that are pending, and how far that comes.
func (s *Store) saveEnding(ctx context.Context, batch *jobs.Batch, before *uuid.UUID, done *ending) error {
	return Transact(ctx, s.pool, func(tx pgx.Tx) error {
		if err := done.output.save(ctx, tx, batch, "_output.jsonl"); err != nil {
			return err
		}
		if err := done.fault.save(ctx, tx, batch, "_error.jsonl"); err != nil {
			return err
		}
		moved, err := tx.Exec(ctx, moveEnding, batch.ID, before, done.last, done.output.file, done.output.bytes, done.fault.file, done.fault.bytes,
			done.usage.Input, done.usage.CachedInput, done.usage.Output, done.usage.Reasoning, int64(done.cost), done.expired)
		if err == nil && moved.RowsAffected() == 0 {
			err = errOvertaken
		}
		return err
	})
}

const addPiece = `/* tidegate: add piece */ INSERT INTO tidegate.file_pieces (file_id, at, data) VALUES ($1, $2, $3)`

func (p *part) save(ctx context.Context, tx pgx.Tx, batch *jobs.Batch, suffix string) error {
	if len(p.pending) == 0 {
		return nil
	}
	if p.file == "" {
		p.file = NewFileID()
		if _, err := tx.Exec(ctx, newFile, p.file, batch.Tenant, jobs.PurposeBatchOutput, batch.ID+suffix); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, addPiece, p.file, p.bytes, p.pending); err != nil {
		return err
	}
	p.bytes += int64(len(p.pending))
	p.pending = p.pending[:0]
	return nil
}

// NewFileID makes the id of a file: "file-" and a UUID version 7 without hyphens.
func NewFileID() string {
	id := uuid.Must(uuid.NewV7()) // fails only if the system has no randomness
	return fmt.Sprintf("file-%x", id[:])
}

// NewBatchID makes the id of a batch: "batch_" and a UUID version 7 without hyphens.
func NewBatchID() string {
	id := uuid.Must(uuid.NewV7()) // fails only if the system has no randomness
	return fmt.Sprintf("%s%x", batchPrefix, id[:])
}

const batchPrefix = "batch_"

// IsBatchID tells the id of a batch from that of a request.
func IsBatchID(id string) bool { return strings.HasPrefix(id, batchPrefix) }

const endOrder = `/* tidegate: end order */
WITH ended AS (
	UPDATE tidegate.batches SET ended_at = now(), output_file_id = nullif($2, ''), error_file_id = nullif($3, ''),
		input_tokens = $4, cached_input_tokens = $5, output_tokens = $6, reasoning_tokens = $7, cost_micro_usd = $8,
		state = CASE WHEN cancelling_at IS NOT NULL THEN 'cancelled' WHEN $9 > 0 AND expires_at <= now() THEN 'expired' ELSE 'completed' END
	WHERE id = $1 AND state = 'finalizing' RETURNING id, state
)
INSERT INTO tidegate.outbox (batch_id, batch_state) SELECT id, state FROM ended`

const showFile = `/* tidegate: show file */
UPDATE tidegate.files SET whole = true, bytes = $2, created_at = now(), expires_at = $3 WHERE id = $1`

func (s *Store) close(ctx context.Context, batch *jobs.Batch, done *ending, fileLives time.Duration) error {
	var expires time.Time
	switch {
	case batch.Order.OutputLives > 0:
		expires = s.now().Add(batch.Order.OutputLives)
	case fileLives > 0:
		expires = s.now().Add(fileLives)
	}
	return Transact(ctx, s.pool, func(tx pgx.Tx) error {
		for _, p := range []*part{&done.output, &done.fault} {
			if p.file == "" {
				continue
			}
			if _, err := tx.Exec(ctx, showFile, p.file, p.bytes, orNullTime(expires)); err != nil {
				return err
			}
		}
		ended, err := tx.Exec(ctx, endOrder, batch.ID, done.output.file, done.fault.file,
			done.usage.Input, done.usage.CachedInput, done.usage.Output, done.usage.Reasoning, int64(done.cost), done.expired)
		if err == nil && ended.RowsAffected() == 0 {
			err = errOvertaken
		}
		return err
	})
}

const startCancel = `/* tidegate: start cancel */
UPDATE tidegate.batches SET state = 'cancelling', cancelling_at = now() WHERE id = $1 AND state IN ('validating', 'in_progress')`

const endEmpty = `/* tidegate: end empty */
UPDATE tidegate.batches SET state = 'finalizing', finalizing_at = now() WHERE id = $1 AND state = 'cancelling' AND completed + failed >= total AND (input_file_id IS NOT NULL OR retry IS NOT NULL)`

// StartCancel has a batch cancelled: one that came as a file by a worker, which has
// been told when it returns. One that has ended, or is about to, stays as it is.
func (s *Store) StartCancel(ctx context.Context, id string) error {
	if _, err := s.pool.Exec(ctx, startCancel, id); err != nil {
		return fmt.Errorf("cancelling batch %s: %w", id, err)
	}
	return nil
}

// EndEmpty sees to it that a batch that is being cancelled, and of which no result is
// to come that would do it, goes on to its end.
func (s *Store) EndEmpty(ctx context.Context, id string) error {
	if _, err := s.pool.Exec(ctx, endEmpty, id); err != nil {
		return fmt.Errorf("cancelling batch %s: %w", id, err)
	}
	return nil
}
