package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const (
	// owedMost is how many events may be owed to NATS while anything is removed: of each
	// that is removed it is looked for whether it owes one.
	owedMost = 5000
	// batchesAtOnce bounds the batches that one step marks, or removes requests of.
	batchesAtOnce = 100
	// stepMost is when a step begins nothing more.
	stepMost = 50 * time.Millisecond
)

const countOwed = `/* tidegate: owed */ SELECT count(*) FROM (SELECT FROM tidegate.outbox LIMIT $1) o`

// owesTooMuch says why nothing is removed now; empty: nothing stands against it.
func owesTooMuch(ctx context.Context, tx pgx.Tx) (string, error) {
	var owed int
	if err := tx.QueryRow(ctx, countOwed, owedMost+1).Scan(&owed); err != nil || owed <= owedMost {
		return "", err
	}
	return fmt.Sprintf("more than %d events are owed to NATS", owedMost), nil
}

const (
	// A batch that another one reads stays, and so does one of which an event is owed.
	// OFFSET 0 has that looked up for one after the other, as far as they are needed.
	mayGo = `b.ended_at < now() - $1::interval AND b.removed_at IS NULL
	AND NOT EXISTS (SELECT FROM tidegate.batches n JOIN tidegate.batch_work w ON w.batch_id = n.id
		WHERE n.retry_of = b.id AND n.state IN ('in_progress', 'cancelling') AND w.enqueued < n.total OFFSET 0)
	AND b.id <> ALL (ARRAY(SELECT o.batch_id FROM tidegate.outbox o WHERE o.batch_id IS NOT NULL
		UNION ALL SELECT q.batch_id FROM tidegate.outbox o JOIN tidegate.requests q ON q.id = o.request_id WHERE q.batch_id IS NOT NULL))`
	// Locked first, and looked at again then: who retries a batch locks it, too, and is
	// seen by the second statement.
	lockOld = `/* tidegate: lock old batches */
SELECT b.id FROM tidegate.batches b WHERE ` + mayGo + ` ORDER BY b.ended_at LIMIT $2 FOR UPDATE SKIP LOCKED`
	markOld = `/* tidegate: mark old batches */
UPDATE tidegate.batches b SET removed_at = now() WHERE b.id = ANY ($2) AND ` + mayGo
	markedBatches = `/* tidegate: marked batches */
SELECT id, ended_at FROM tidegate.batches WHERE removed_at IS NOT NULL ORDER BY removed_at, id LIMIT $1`
)

// Whatever is removed has its result: stored names it. Results and requests go together,
// so that nobody finds a request without its result, and works it again.
const removeStored = `, suspected AS (
	DELETE FROM tidegate.suspects WHERE request_id = ANY (ARRAY(SELECT request_id FROM stored))
), ` + dropWaiting + `, traced AS (
	DELETE FROM tidegate.traces WHERE request_id = ANY (ARRAY(SELECT request_id FROM stored))
), results AS (
	DELETE FROM tidegate.results WHERE request_id = ANY (ARRAY(SELECT request_id FROM stored))
), requests AS (
	DELETE FROM tidegate.requests WHERE id = ANY (ARRAY(SELECT request_id FROM stored)) RETURNING id
)
`

const (
	removeOfBatch = `/* tidegate: remove requests of a batch */
WITH page AS MATERIALIZED (
	SELECT id AS request_id FROM tidegate.requests WHERE batch_id = $1 AND id > $2 ORDER BY id LIMIT $3
), stored AS MATERIALIZED (
	SELECT request_id FROM page p WHERE EXISTS (SELECT FROM tidegate.results r WHERE r.request_id = p.request_id OFFSET 0)
)` + removeStored + `SELECT (SELECT count(*) FROM page), (SELECT count(*) FROM requests), (SELECT request_id FROM page ORDER BY request_id DESC LIMIT 1)`
	removeBatch = `/* tidegate: remove batch */
DELETE FROM tidegate.batches b WHERE id = $1 AND removed_at IS NOT NULL AND NOT EXISTS (SELECT FROM tidegate.requests q WHERE q.batch_id = b.id)`
	removeBudget = `/* tidegate: remove budget */ DELETE FROM tidegate.budgets WHERE scope = 'batch' AND name = $1`
)

// RemoveBatches does one step of removing batches that ended long ago, with their
// requests and results: it marks some, which nobody sees from then on, or goes on with
// those that are marked. Files of batches are copies, and live as long as they live. It
// returns ErrDeposed if held leads no more.
func (s *Store) RemoveBatches(ctx context.Context, held jobs.Lead, step jobs.RemovalStep) (done jobs.Removed, err error) {
	done.Place = step.Behind
	began := s.now()
	err = s.asLead(ctx, held, "removing batches", func(tx pgx.Tx) error {
		marked, err := s.marked(ctx, tx, step.Keep, &done)
		if err != nil {
			return err
		}
		left := step.AtMost
		for i, b := range marked {
			if left <= 0 || i > 0 && s.now().Sub(began) > stepMost {
				break
			}
			seen, whole, err := removeSome(ctx, tx, b.id, left, &done)
			if err != nil {
				return err
			}
			if left -= max(seen, 1); !whole {
				break
			}
		}
		done.More = len(marked) > 0 && (done.Requests > 0 || done.Batches > 0)
		return nil
	})
	if err != nil {
		return jobs.Removed{Place: step.Behind}, err
	}
	return done, nil
}

type markedBatch struct {
	id    string
	ended time.Time
}

// marked lists batches that are to go. It marks some if there are none.
func (s *Store) marked(ctx context.Context, tx pgx.Tx, keep time.Duration, done *jobs.Removed) ([]markedBatch, error) {
	list := func() (found []markedBatch, err error) {
		rows, err := tx.Query(ctx, markedBatches, batchesAtOnce)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, func(row pgx.CollectableRow) (b markedBatch, err error) {
			err = row.Scan(&b.id, &b.ended)
			return b, err
		})
	}
	found, err := list()
	if err == nil && len(found) == 0 {
		if err = markSome(ctx, tx, keep, done); err == nil {
			found, err = list()
		}
	}
	if len(found) > 0 {
		done.At = found[0].ended
	}
	return found, err
}

func markSome(ctx context.Context, tx pgx.Tx, keep time.Duration, done *jobs.Removed) (err error) {
	if done.Held, err = owesTooMuch(ctx, tx); err != nil || done.Held != "" {
		return err
	}
	rows, err := tx.Query(ctx, lockOld, keep, batchesAtOnce)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(ids) == 0 {
		return err
	}
	_, err = tx.Exec(ctx, markOld, keep, ids)
	return err
}

// removeSome removes requests of one batch, and the batch with the last of them.
func removeSome(ctx context.Context, tx pgx.Tx, batch string, atMost int, done *jobs.Removed) (seen int, whole bool, err error) {
	behind := uuid.Nil
	if done.Place.Name == batch {
		if behind, err = parseID(done.Place.Request); err != nil {
			return 0, false, err
		}
	}
	var gone int
	var last *uuid.UUID
	if err := tx.QueryRow(ctx, removeOfBatch, batch, behind, atMost).Scan(&seen, &gone, &last); err != nil {
		return 0, false, err
	}
	done.Requests += gone
	if last != nil {
		done.Place = jobs.RemovalPlace{Name: batch, Request: last.String()}
	}
	if seen == atMost {
		return seen, false, nil
	}
	removed, err := tx.Exec(ctx, removeBatch, batch)
	if err != nil || removed.RowsAffected() == 0 {
		return seen, true, err
	}
	done.Batches++
	if _, err = tx.Exec(ctx, removeBudget, batch); err == nil {
		_, err = tx.Exec(ctx, dropTrace, uuidOfBatch(batch))
	}
	return seen, true, err
}

const removeSingles = `/* tidegate: remove single requests */
WITH page AS MATERIALIZED (
	SELECT created_at, id AS request_id FROM tidegate.requests
	WHERE batch_id IS NULL AND (created_at, id) > ($2, $3) AND created_at < now() - $1::interval
	ORDER BY created_at, id LIMIT $4
), stored AS MATERIALIZED (
	SELECT request_id FROM page p
	WHERE EXISTS (SELECT FROM tidegate.results r WHERE r.request_id = p.request_id AND r.stored_at < now() - $1::interval OFFSET 0)
		AND NOT EXISTS (SELECT FROM tidegate.outbox o WHERE o.request_id = p.request_id)
)` + removeStored + `SELECT (SELECT count(*) FROM page), (SELECT count(*) FROM requests), l.created_at, l.request_id
FROM (SELECT) one LEFT JOIN (SELECT created_at, request_id FROM page ORDER BY created_at DESC, request_id DESC LIMIT 1) l ON true`

// RemoveSingles does one step of removing requests that are in no batch and ended long
// ago, with their results. It returns ErrDeposed if held leads no more.
func (s *Store) RemoveSingles(ctx context.Context, held jobs.Lead, step jobs.RemovalStep) (done jobs.Removed, err error) {
	done.Place = step.Behind
	behind := uuid.Nil
	if step.Behind.Request != "" {
		if behind, err = parseID(step.Behind.Request); err != nil {
			return done, err
		}
	}
	err = s.asLead(ctx, held, "removing requests", func(tx pgx.Tx) error {
		if done.Held, err = owesTooMuch(ctx, tx); err != nil || done.Held != "" {
			return err
		}
		var seen int
		var at *time.Time
		var last *uuid.UUID
		if err := tx.QueryRow(ctx, removeSingles, step.Keep, step.Behind.At, behind, step.AtMost).Scan(&seen, &done.Requests, &at, &last); err != nil {
			return err
		}
		if last != nil {
			done.Place, done.At = jobs.RemovalPlace{Request: last.String(), At: *at}, *at
		}
		done.More = seen == step.AtMost
		return nil
	})
	if err != nil {
		return jobs.Removed{Place: step.Behind}, err
	}
	return done, nil
}

const saveKept = `/* tidegate: save kept */
INSERT INTO tidegate.retention AS k (what, keep, reached, at, swept_at, removed, held)
VALUES ($1, $2, now() - $3::interval - $2::interval, $4, now(), $5, $6)
ON CONFLICT (what) DO UPDATE SET keep = excluded.keep, reached = coalesce(excluded.reached, CASE WHEN k.keep = excluded.keep THEN k.reached END), at = excluded.at,
	swept_at = excluded.swept_at, removed = k.removed + excluded.removed, held = excluded.held`

// SaveKept writes down how far removal is, and adds to what was removed. A sweep that
// has seen to everything says how long ago it began (whole); nil: it has not. It returns
// ErrDeposed if held leads no more.
func (s *Store) SaveKept(ctx context.Context, held jobs.Lead, kept jobs.Kept, whole *time.Duration) error {
	return s.asLead(ctx, held, "saying how far removal is", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, saveKept, kept.What, kept.Keep, whole, orNullTime(kept.At), kept.Removed, orNull(kept.Held))
		return err
	})
}

const listKept = `/* tidegate: kept */ SELECT what, keep, reached, at, swept_at, removed, coalesce(held, '') FROM tidegate.retention ORDER BY what DESC`

const keepAttempts = `/* tidegate: keep attempts */ SELECT keep FROM tidegate.retention WHERE what = '` + jobs.KeptAttempts + `'`

// KeepAttempts is how long attempts are kept, as far as a supervisor has said so; zero: for
// ever, or nobody has.
func (s *Store) KeepAttempts(ctx context.Context) (keep time.Duration, err error) {
	err = s.pool.QueryRow(ctx, keepAttempts).Scan(&keep)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("reading how long attempts are kept: %w", err)
	}
	return keep, nil
}

func readKept(ctx context.Context, tx pgx.Tx, status *Status) error {
	rows, err := tx.Query(ctx, listKept)
	if err != nil {
		return err
	}
	status.Kept, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (k jobs.Kept, err error) {
		var reached, at *time.Time
		err = row.Scan(&k.What, &k.Keep, &reached, &at, &k.SweptAt, &k.Removed, &k.Held)
		k.Reached, k.At = orZero(reached), orZero(at)
		return k, err
	})
	return err
}
