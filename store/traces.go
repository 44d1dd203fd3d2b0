package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const (
	insertTraces = `/* tidegate: insert traces */
INSERT INTO tidegate.traces (request_id, traceparent) SELECT * FROM unnest($1::uuid[], $2::text[]) ON CONFLICT DO NOTHING`

	// By the key, whatever the planner thinks of the table.
	spanAbove = `(SELECT traceparent FROM tidegate.traces WHERE request_id = q.id)`

	dropTraces = `/* tidegate: drop traces */ DELETE FROM tidegate.traces WHERE request_id = ANY ($1)`
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

// published are the requests whose traces nobody asks for any more: those of rows that
// were acknowledged.
func published(owed []owedRow, acknowledged []int64) (ids []uuid.UUID) {
	sent := make(map[int64]bool, len(acknowledged))
	for _, id := range acknowledged {
		sent[id] = true
	}
	for i := range owed {
		if owed[i].traced && sent[owed[i].id] {
			ids = append(ids, owed[i].requestID)
		}
	}
	return ids
}
