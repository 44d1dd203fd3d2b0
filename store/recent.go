package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const (
	// latestPages and samplePages bound what is read of a day of attempts, in pages of
	// 8 kB: the end of the table, which is what was written last, and some of the rest.
	latestPages = 200
	samplePages = 100
	// recentMost is how long Postgres may take for a piece of recentPiece attempts. A piece
	// fits into the buffers of a connection: the time that we take to read it is not in there.
	recentMost  = 500 * time.Millisecond
	recentPiece = 500
)

const recentDays = `/* tidegate: recent days */
SELECT c.relname, (pg_relation_size(c.oid) / current_setting('block_size')::int)::bigint
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'tidegate.attempts'::regclass AND c.relname = ANY (ARRAY(
	SELECT 'attempts_' || to_char((now() AT TIME ZONE 'UTC')::date - n, 'YYYYMMDD') FROM generate_series(0, 1) n))
ORDER BY c.relname DESC`

// Pages are named by their place, so that no index is needed and no day is too
// large; a table is written from its beginning to its end.
const recentAttempts = `/* tidegate: recent attempts */
DECLARE recent NO SCROLL CURSOR FOR SELECT route, ` + attemptFields + `, NULL::jsonb FROM tidegate.%s a %s
WHERE a.at > now() - interval '1 day' AND a.request_id <> '` + jobs.NoRequest + `' AND %s`

// Recent reads attempts of the last day, oldest first: the latest some thousands, and
// a sample of the others, whatever the day's size. Each piece of them takes a moment, or
// it fails.
func (s *Store) Recent(ctx context.Context) ([]jobs.PastAttempt, error) {
	var found []jobs.PastAttempt
	err := s.within(ctx, silence, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d", recentMost.Milliseconds())); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, recentDays)
		if err != nil {
			return err
		}
		days, err := pgx.CollectRows(rows, pgx.RowToStructByPos[day])
		if err != nil {
			return err
		}
		latest := int64(latestPages)
		for _, d := range days {
			for _, query := range d.queries(&latest) {
				more, err := recentOf(ctx, tx, query)
				if err != nil {
					return err
				}
				found = append(found, more...)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading recent attempts: %w", err)
	}
	slices.SortStableFunc(found, func(a, b jobs.PastAttempt) int { return a.At.Compare(b.At) })
	return found, nil
}

// A day is one partition of the attempts.
type day struct {
	Name  string
	Pages int64
}

// queries read the end of a day, as far as latest pages are left to be read, and a
// sample of what is before it.
func (d day) queries(latest *int64) []string {
	from := max(0, d.Pages-*latest)
	*latest -= d.Pages - from
	name := pgx.Identifier{d.Name}.Sanitize()
	var queries []string
	if from < d.Pages {
		queries = append(queries, fmt.Sprintf(recentAttempts, name, "", fmt.Sprintf("a.ctid >= '(%d,0)'", from)))
	}
	if from > 0 {
		share := min(100, 100*float64(samplePages)/float64(from))
		queries = append(queries, fmt.Sprintf(recentAttempts, name, fmt.Sprintf("TABLESAMPLE SYSTEM (%.6f)", share), fmt.Sprintf("a.ctid < '(%d,0)'", from)))
	}
	return queries
}

const (
	nextRecent = `/* tidegate: next of recent attempts */ FETCH %d FROM recent`
	endRecent  = `/* tidegate: end of recent attempts */ CLOSE recent`
)

// recentOf reads what a query finds, piece by piece.
func recentOf(ctx context.Context, tx pgx.Tx, query string) (found []jobs.PastAttempt, err error) {
	if _, err := tx.Exec(ctx, query); err != nil {
		return nil, err
	}
	for last := recentPiece; last == recentPiece; {
		rows, err := tx.Query(ctx, fmt.Sprintf(nextRecent, recentPiece))
		if err != nil {
			return nil, err
		}
		more, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r jobs.PastAttempt, err error) {
			r.Attempt, err = scanFields(row, &r.Route)
			return r, err
		})
		if err != nil {
			return nil, err
		}
		found, last = append(found, more...), len(more)
	}
	_, err = tx.Exec(ctx, endRecent)
	return found, err
}
