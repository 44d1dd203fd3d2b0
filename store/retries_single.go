package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// A RetriedError says that a request is tried again already.
type RetriedError struct {
	Request string
	By      string // the request that does; empty: the batch has not come to it yet
	Batch   string // of that one; empty: none
}

// Error names what tries it again, and what to do if that fails.
func (e *RetriedError) Error() string {
	if e.By == "" {
		return fmt.Sprintf("request %s is tried again already, by batch %s: retry that one if it fails, too", e.Request, e.Batch)
	}
	return fmt.Sprintf("request %s is tried again already, by request %s: retry that one if it fails, too", e.Request, e.By)
}

const (
	lockStates = `/* tidegate: lock states */
SELECT q.id, coalesce(r.state, '') FROM tidegate.requests q LEFT JOIN tidegate.results r ON r.request_id = q.id WHERE q.id = ANY ($1)
ORDER BY q.id FOR NO KEY UPDATE OF q`
	// OFFSET 0: each is looked for by its index, and not all of them read.
	retriedBy = `/* tidegate: retried by */
SELECT q.id, n.by, n.batch FROM tidegate.requests q
CROSS JOIN LATERAL (SELECT ` + failureOf + ` AS failure FROM tidegate.results r WHERE r.request_id = q.id OFFSET 0) r
CROSS JOIN LATERAL (
	(SELECT id::text AS by, coalesce(batch_id, '') AS batch FROM tidegate.requests WHERE retry_of = q.id OFFSET 0)
	UNION ALL
	(SELECT '', id FROM tidegate.batches WHERE retry_of = q.batch_id AND removed_at IS NULL AND retry -> 'took' ? r.failure OFFSET 0)
	LIMIT 1) n
WHERE q.id = ANY ($1) LIMIT 1`
	wholeRequests = `/* tidegate: whole requests */
SELECT ` + requestFields + `, q.body, true, NULL::integer, NULL::bigint, NULL::bigint, NULL::text FROM tidegate.requests q WHERE q.id = ANY ($1) ORDER BY q.id`
)

// Failed reads requests whole that ended without an answer and that nobody tries again,
// in the order in which they were accepted. Until tx ends nobody else is told so of them,
// so that a retry that is made in it is the only one. The error names one that is not
// there (ErrNotFound), has not ended, was answered, or is tried again (*RetriedError).
func Failed(ctx context.Context, tx pgx.Tx, ids []string) ([]jobs.Request, error) {
	wanted, err := parseIDs(ids)
	if err != nil {
		return nil, err
	}
	reading := func(err error) error { return fmt.Errorf("reading %d requests: %w", len(ids), err) }
	rows, err := tx.Query(ctx, lockStates, wanted)
	if err != nil {
		return nil, reading(err)
	}
	states := map[uuid.UUID]string{}
	var known uuid.UUID
	var state string
	if _, err = pgx.ForEachRow(rows, []any{&known, &state}, func() error { states[known] = state; return nil }); err != nil {
		return nil, reading(err)
	}
	for _, id := range wanted {
		if err := checkFailed(uuid.UUID(id), states); err != nil {
			return nil, err
		}
	}
	again := &RetriedError{}
	switch err := tx.QueryRow(ctx, retriedBy, wanted).Scan(&known, &again.By, &again.Batch); {
	case err == nil:
		again.Request = known.String()
		return nil, again
	case !errors.Is(err, pgx.ErrNoRows):
		return nil, reading(err)
	}
	if rows, err = tx.Query(ctx, wholeRequests, wanted); err != nil {
		return nil, reading(err)
	}
	failed, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (jobs.Request, error) {
		loaded, err := scanLoaded(row)
		return loaded.Request, err
	})
	if err != nil {
		return nil, reading(err)
	}
	return failed, nil
}

// checkFailed says why one of some requests, whose states these are, cannot be tried
// again.
func checkFailed(id uuid.UUID, states map[uuid.UUID]string) error {
	switch state, there := states[id]; {
	case !there:
		return fmt.Errorf("request %s: %w", id, ErrNotFound)
	case state == "":
		return fmt.Errorf("request %s has not ended: `tidegate why %s` says what it waits for", id, id)
	case state == string(jobs.StateAnswered):
		return fmt.Errorf("request %s has its answer: `tidegate results %s`", id, id)
	}
	return nil
}
