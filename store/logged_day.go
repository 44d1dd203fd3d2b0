package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// loggedMarks reads no attempts but the last one by its id, of each day. Attempts are added
// and never changed, and Postgres counts what is added; it forgets that in a crash, and the
// mark is another one then, as if something had changed. What was written is counted up to
// a second later: a mark that is read before the attempts are is never too new.
const loggedMarks = `/* tidegate: logged marks */
SELECT d.day, greatest(c.reltuples, 0)::bigint,
	concat_ws(' ', c.oid, pg_relation_filenode(c.oid), pg_relation_size(c.oid), pg_stat_get_tuples_inserted(c.oid), last.request_id,
		pg_relation_size(o.oid), pg_stat_get_tuples_inserted(o.oid), pg_stat_get_tuples_deleted(o.oid))
FROM (%s) d (day)
JOIN pg_class o ON o.oid = 'tidegate.attempts_other'::regclass
LEFT JOIN pg_class c ON c.oid = to_regclass('tidegate.attempts_' || to_char(d.day, 'YYYYMMDD'))
LEFT JOIN LATERAL (
	SELECT a.request_id FROM tidegate.attempts a WHERE a.at >= d.day::timestamp AT TIME ZONE 'UTC' AND a.at < (d.day + 1)::timestamp AT TIME ZONE 'UTC'
	ORDER BY a.request_id DESC LIMIT 1
) last ON true
ORDER BY d.day`

// LoggedDays lists the days of which there are attempts, the first one first.
func (s *Store) LoggedDays(ctx context.Context) ([]jobs.LoggedDay, error) {
	rows, err := s.pool.Query(ctx, fmt.Sprintf(loggedMarks, loggedDays))
	if err != nil {
		return nil, fmt.Errorf("looking for days with attempts: %w", err)
	}
	days, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d jobs.LoggedDay, err error) {
		err = row.Scan(&d.From, &d.About, &d.Mark)
		d.From = d.From.UTC()
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for days with attempts: %w", err)
	}
	return days, nil
}

const loggedOfDay = `/* tidegate: logged of day */ SELECT ` + loggedFields + littleDecision + ` FROM tidegate.attempts a WHERE a.at >= $1 AND a.at < $2`

// LoggedDay reads the attempts of a day, in no order, and hands them over one by one, in
// the same place. Of their decisions it reads no more than a replay needs. It ends when
// take says so.
func (s *Store) LoggedDay(ctx context.Context, day jobs.LoggedDay, take func(*jobs.Logged) bool) error {
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		// Other days are read at the same time; and who reads a day twice finds it in the same order.
		if _, err := tx.Exec(ctx, "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL synchronize_seqscans = off"); err != nil {
			return err
		}
		return readRaw(ctx, tx, loggedOfDay, []any{day.From, day.Until()}, take)
	})
	if err != nil {
		return fmt.Errorf("reading the attempts of %s: %w", day.From.Format(time.DateOnly), err)
	}
	return nil
}
