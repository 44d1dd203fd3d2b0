package store

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// A LoggedFilter narrows what is read of the ledger. The zero value is all of it.
type LoggedFilter struct {
	Since, Until  time.Time // when calls began; zero: no bound. Until is none of it.
	Route, Target string
	Class         jobs.Class
}

const loggedWhere = ` WHERE a.at >= $1 AND a.at < $2
	AND ($3::text IS NULL OR a.route = $3) AND ($4::text IS NULL OR a.target = $4) AND ($5::text IS NULL OR a.class = $5)`

const (
	// loggedDay sorts one day by itself: all of them at once would be a sort of the whole
	// ledger.
	loggedDay    = `/* tidegate: logged */ SELECT ` + loggedFields + wholeDecision + ` FROM tidegate.attempts a` + loggedWhere + ` ORDER BY a.at, a.request_id`
	loggedLatest = `/* tidegate: logged latest */ SELECT ` + loggedFields + wholeDecision + ` FROM tidegate.attempts a` + loggedWhere + ` ORDER BY a.at DESC, a.request_id DESC LIMIT $6`
	// loggedDays are the days of which there are attempts, as far as that is known without
	// reading them. Those that no day was made for are few.
	loggedDays = `/* tidegate: logged days */
SELECT to_date(right(c.relname, 8), 'YYYYMMDD') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'tidegate.attempts'::regclass AND c.relname ~ '^attempts_[0-9]{8}$' AND pg_relation_size(c.oid) > 0
UNION SELECT (at AT TIME ZONE 'UTC')::date FROM tidegate.attempts_other WHERE isfinite(at)
ORDER BY 1`
	sortMemory = "64MB"
)

// Logged reads the ledger in the order of time, a day after the other, without keeping
// more than a few of the attempts.
func (s *Store) Logged(ctx context.Context, filter LoggedFilter) iter.Seq2[jobs.Logged, error] {
	return func(yield func(jobs.Logged, error) bool) {
		days, err := s.loggedDays(ctx, filter)
		for _, day := range days {
			more := true
			err = s.loggedDay(ctx, day, func(l *jobs.Logged) bool { more = yield(*l, nil); return more })
			if err != nil || !more {
				break
			}
		}
		if err != nil {
			yield(jobs.Logged{}, fmt.Errorf("reading attempts: %w", err))
		}
	}
}

// loggedDays are filters of one day each, the first one first.
func (s *Store) loggedDays(ctx context.Context, filter LoggedFilter) ([]LoggedFilter, error) {
	rows, err := s.pool.Query(ctx, loggedDays)
	if err != nil {
		return nil, err
	}
	days, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	var filters []LoggedFilter
	for _, day := range days {
		one := filter
		if one.Since.Before(day) {
			one.Since = day
		}
		if end := day.AddDate(0, 0, 1); one.Until.IsZero() || one.Until.After(end) {
			one.Until = end
		}
		if one.Since.Before(one.Until) {
			filters = append(filters, one)
		}
	}
	return filters, err
}

func (f *LoggedFilter) args() []any {
	return []any{f.Since, f.Until, orNull(f.Route), orNull(f.Target), orNull(string(f.Class))}
}

func (s *Store) loggedDay(ctx context.Context, day LoggedFilter, take func(*jobs.Logged) bool) error {
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL work_mem = '"+sortMemory+"'"); err != nil {
			return err
		}
		return readRaw(ctx, tx, loggedDay, day.args(), take)
	})
}

// Latest reads the attempts that began last, the last one first. It reads whole days, from
// the last one back, until there are as many as are wanted.
func (s *Store) Latest(ctx context.Context, filter LoggedFilter, most int) ([]jobs.Logged, error) {
	days, err := s.loggedDays(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("reading the latest attempts: %w", err)
	}
	var found []jobs.Logged
	for _, day := range slices.Backward(days) {
		if len(found) >= most {
			break
		}
		err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
			args := append(day.args(), most-len(found))
			return readRaw(ctx, tx, loggedLatest, args, func(l *jobs.Logged) bool { found = append(found, *l); return true })
		})
		if err != nil {
			return nil, fmt.Errorf("reading the latest attempts: %w", err)
		}
	}
	return found, nil
}

// Rows of a partition are spread over its day as far as anybody knows.
const loggedAbout = `/* tidegate: logged about */
SELECT coalesce(sum(c.reltuples * greatest(0, extract(epoch FROM least(d.day + interval '1 day', $2) - greatest(d.day, $1))) / 86400), 0)::bigint
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
CROSS JOIN LATERAL (SELECT to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC' AS day) d
WHERE i.inhparent = 'tidegate.attempts'::regclass AND c.relname ~ '^attempts_[0-9]{8}$' AND c.reltuples > 0`

// LoggedAbout is about how many attempts there are in a time, as far as Postgres knows
// without counting; zero: it does not.
func (s *Store) LoggedAbout(ctx context.Context, since, until time.Time) (n int64, err error) {
	if until.IsZero() {
		until = s.now()
	}
	if err := s.pool.QueryRow(ctx, loggedAbout, since, until).Scan(&n); err != nil {
		return 0, fmt.Errorf("looking how many attempts there are: %w", err)
	}
	return n, nil
}
