package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// insertUnsaved may be repeated.
var insertUnsaved = fmt.Sprintf(`/* tidegate: insert an answered request */
INSERT INTO tidegate.requests (%s) VALUES (%s) ON CONFLICT (id) DO NOTHING`, strings.Join(requestColumns, ", "), placeholders(len(requestColumns)))

// NewRequestID makes the id of a request: a UUID version 7.
func NewRequestID() string { return uuid.Must(uuid.NewV7()).String() } // fails only if the system has no randomness

// placeholders are $1 to $n.
func placeholders(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("$%d", i+1)
	}
	return strings.Join(all, ", ")
}

// unsaved are the requests of those entries that are the first to speak of them.
func unsaved(entries []jobs.Entry) (requests []*jobs.Request) {
	for i := range entries {
		if entries[i].Unsaved && entries[i].Result != nil {
			requests = append(requests, entries[i].Request)
		}
	}
	return requests
}

// commitWith runs the statement of a commit. Requests
// that nobody enqueued are written with it, all in one transaction and one round trip.
func (s *Store) commitWith(ctx context.Context, requests []*jobs.Request, statement string, args []any) (done jobs.Committed, err error) {
	if len(requests) == 0 {
		rows, err := s.pool.Query(ctx, statement, args...)
		if err != nil {
			return done, err
		}
		return readCommitted(rows)
	}
	var batch pgx.Batch // which is one transaction
	for _, request := range requests {
		row, err := requestRow(request)
		if err != nil {
			return done, fmt.Errorf("%w: %w", errUnfit, err)
		}
		batch.Queue(insertUnsaved, row...)
		var traced traces
		if traced.add(request); len(traced.ids) > 0 {
			batch.Queue(insertTraces, traced.ids, traced.spans)
		}
	}
	batch.Queue(statement, args...).Query(func(rows pgx.Rows) (err error) {
		done, err = readCommitted(rows)
		return err
	})
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return jobs.Committed{}, err
	}
	return done, nil
}
