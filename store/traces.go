package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const (
	insertTraces = `/* tidegate: insert traces */
INSERT INTO tidegate.traces (request_id, traceparent) SELECT * FROM unnest($1::uuid[], $2::text[]) ON CONFLICT DO NOTHING`

	// By the key, whatever the planner thinks of the table.
	spanAbove = `(SELECT traceparent FROM tidegate.traces WHERE request_id = q.id)`

	// A batch stands there, too, under the UUID that its id has: the requests of one that
	// came as a file are made later, and by somebody else, and its end is an event.
	spanOwed = `(SELECT traceparent FROM tidegate.traces WHERE request_id = coalesce(q.id, CASE WHEN b.id ~ '^` + batchPrefix + `[0-9a-f]{32}$' THEN right(b.id, 32)::uuid END))`

	traceOfBatch = `/* tidegate: trace of batch */ SELECT traceparent FROM tidegate.traces WHERE request_id = $1`
	dropTrace    = `/* tidegate: drop trace */ DELETE FROM tidegate.traces WHERE request_id = $1`
)

// traces are what requests say of the traces that they belong to.
type traces struct {
	ids    [][16]byte
	spans  []string
	failed error
}

func (t *traces) add(r *jobs.Request) {
	if r.Traceparent == "" {
		return
	}
	id, err := parseID(r.ID)
	if err != nil {
		t.failed = err
	}
	t.ids, t.spans = append(t.ids, id), append(t.spans, r.Traceparent)
}

// insert writes them, if there are any: they cost nothing where nobody traces.
func (t *traces) insert(ctx context.Context, tx pgx.Tx) error {
	if t.failed != nil || len(t.ids) == 0 {
		return t.failed
	}
	if _, err := tx.Exec(ctx, insertTraces, t.ids, t.spans); err != nil {
		return fmt.Errorf("writing to which traces %d requests belong: %w", len(t.ids), err)
	}
	return nil
}

// traceBatch writes to which trace a batch belongs, and its requests that are made later,
// if the context says so.
func traceBatch(ctx context.Context, tx pgx.Tx, batch string) error {
	span, id := jobs.TraceparentOf(ctx), uuidOfBatch(batch)
	if span == "" || id == uuid.Nil {
		return nil
	}
	if _, err := tx.Exec(ctx, insertTraces, [][16]byte{id}, []string{span}); err != nil {
		return fmt.Errorf("writing to which trace batch %s belongs: %w", batch, err)
	}
	return nil
}

// TraceOfBatch is the span to which the requests of a batch belong that came as a file, or
// tries another one again; empty: nobody named one.
func (s *Store) TraceOfBatch(ctx context.Context, batch string) (span string, err error) {
	err = s.pool.QueryRow(ctx, traceOfBatch, uuidOfBatch(batch)).Scan(&span)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("reading to which trace batch %s belongs: %w", batch, err)
	}
	return span, nil
}

// uuidOfBatch is nil of an id that NewBatchID has not made: such a batch is in no trace.
func uuidOfBatch(batch string) uuid.UUID {
	id, err := uuid.Parse(strings.TrimPrefix(batch, batchPrefix))
	if err != nil {
		return uuid.Nil
	}
	return id
}
