package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tidegate/jobs"
)

const (
	dayPrefix = "attempts_"
	// otherAttempts is the day of those that no day was made for.
	otherAttempts = dayPrefix + "other"
	// removedPrefix begins the name of a day that is no part of the attempts any more.
	removedPrefix = "removed_"
	// detachWait is how long a day waits for those who read attempts: all who write them
	// wait behind it meanwhile.
	detachWait = 50 * time.Millisecond
)

// The days that are over for so long, the first one first, from one on.
const oldDays = `/* tidegate: old days */
SELECT relname FROM (
	SELECT c.relname::text AS relname, to_date(right(c.relname, 8), 'YYYYMMDD') AS day
	FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
	WHERE i.inhparent = 'tidegate.attempts'::regclass AND c.relname ~ '^attempts_[0-9]{8}$' OFFSET 0
) days
WHERE (day + 1)::timestamp AT TIME ZONE 'UTC' < now() - $1::interval AND relname >= $2
ORDER BY relname LIMIT 2`

// RemoveAttempts does one step of removing days of attempts that were over long ago: it
// looks whether a request that has not ended was called then, a part of the day at a
// time, and if not, the day goes as a whole. It returns ErrDeposed if held leads no
// more.
func (s *Store) RemoveAttempts(ctx context.Context, held jobs.Lead, step jobs.RemovalStep) (done jobs.Removed, err error) {
	if err := s.dropRemoved(ctx, held); err != nil {
		return jobs.Removed{Place: step.Behind}, err
	}
	if step.Behind.Name == otherAttempts {
		return s.removeOther(ctx, held, step)
	}
	rows, err := s.pool.Query(ctx, oldDays, step.Keep, step.Behind.Name)
	if err != nil {
		return jobs.Removed{}, fmt.Errorf("listing days of attempts: %w", err)
	}
	days, err := pgx.CollectRows(rows, pgx.RowTo[string])
	switch {
	case err != nil:
		return jobs.Removed{}, fmt.Errorf("listing days of attempts: %w", err)
	case len(days) == 0:
		return jobs.Removed{Place: jobs.RemovalPlace{Name: otherAttempts}, More: true}, nil
	}
	next := jobs.RemovalPlace{Name: otherAttempts}
	if len(days) > 1 {
		next.Name = days[1]
	}
	return s.removeDay(ctx, held, days[0], next, step)
}

const openOfDay = `/* tidegate: open requests of a day */
WITH page AS MATERIALIZED (SELECT request_id FROM tidegate.%s WHERE request_id > $1 ORDER BY request_id LIMIT $2)
SELECT (SELECT count(*) FROM page), (SELECT request_id FROM page ORDER BY request_id DESC LIMIT 1), (
	SELECT p.request_id FROM (SELECT DISTINCT request_id FROM page) p
	WHERE NOT EXISTS (SELECT FROM tidegate.results r WHERE r.request_id = p.request_id OFFSET 0)
		AND EXISTS (SELECT FROM tidegate.requests q WHERE q.id = p.request_id OFFSET 0) LIMIT 1)`

func (s *Store) removeDay(ctx context.Context, held jobs.Lead, day string, next jobs.RemovalPlace, step jobs.RemovalStep) (done jobs.Removed, err error) {
	behind := uuid.Nil
	if step.Behind.Name == day && step.Behind.Request != "" {
		if behind, err = parseID(step.Behind.Request); err != nil {
			return done, err
		}
	}
	done.At, _ = time.Parse("20060102", strings.TrimPrefix(day, dayPrefix)) // its form was looked at
	var seen int
	var last, open *uuid.UUID
	err = s.pool.QueryRow(ctx, fmt.Sprintf(openOfDay, pgx.Identifier{day}.Sanitize()), behind, step.AtMost).Scan(&seen, &last, &open)
	switch {
	case err != nil:
		return done, fmt.Errorf("looking for open requests of %s: %w", day, err)
	case open != nil:
		done.Place, done.More = next, true
		done.Held = fmt.Sprintf("%s stays: request %s was called then, and has not ended", dayText(day), open)
		return done, nil
	case seen == step.AtMost:
		done.Place, done.More = jobs.RemovalPlace{Name: day, Request: last.String()}, true
		return done, nil
	}
	err = s.detach(ctx, held, day)
	if isLockTimeout(err) {
		done.Place, done.More = jobs.RemovalPlace{Name: day}, true
		if last != nil { // it need not be read again
			done.Place.Request = last.String()
		} else if behind != uuid.Nil {
			done.Place.Request = behind.String()
		}
		done.Held, done.InTheWay = dayText(day)+" stays: somebody reads attempts all the time", true
		return done, nil
	}
	if err != nil {
		return done, err
	}
	done.Days, done.Place, done.More = 1, next, true
	return done, s.dropRemoved(ctx, held)
}

func dayText(day string) string {
	at, err := time.Parse("20060102", strings.TrimPrefix(day, dayPrefix))
	if err != nil {
		return day
	}
	return "the day " + at.Format(time.DateOnly)
}

// detach takes a day out of the attempts. It has to be alone with them for a moment, and
// gives up soon where it is not: CONCURRENTLY is not for a table that has a partition
// for all other days.
func (s *Store) detach(ctx context.Context, held jobs.Lead, day string) error {
	name := pgx.Identifier{day}.Sanitize()
	return s.asLead(ctx, held, "detaching "+day, func(tx pgx.Tx) error {
		for _, statement := range []string{
			fmt.Sprintf("SET LOCAL lock_timeout = %d", detachWait.Milliseconds()),
			"/* tidegate: detach day */ ALTER TABLE tidegate.attempts DETACH PARTITION tidegate." + name,
			"ALTER TABLE tidegate." + name + " RENAME TO " + pgx.Identifier{removedPrefix + day}.Sanitize(),
		} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

func isLockTimeout(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "55P03"
}

const removedDays = `/* tidegate: removed days */
SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'tidegate'::regnamespace AND c.relkind = 'r' AND c.relname ~ '^removed_attempts_[0-9]{8}$'`

// dropRemoved drops days that were taken out: nobody sees them any more, so that nobody
// waits for it however long it takes to delete their files.
func (s *Store) dropRemoved(ctx context.Context, held jobs.Lead) error {
	rows, err := s.pool.Query(ctx, removedDays)
	if err != nil {
		return fmt.Errorf("listing removed days: %w", err)
	}
	days, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("listing removed days: %w", err)
	}
	for _, day := range days {
		err := s.asLead(ctx, held, "dropping "+day, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", detachWait.Milliseconds())); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "DROP TABLE IF EXISTS tidegate."+pgx.Identifier{day}.Sanitize())
			return err
		})
		if err != nil && !isLockTimeout(err) { // somebody looks at it by its name
			return err
		}
	}
	return nil
}

const removeOther = `/* tidegate: remove other attempts */
WITH page AS MATERIALIZED (
	SELECT request_id, at FROM tidegate.attempts_other WHERE (request_id, at) > ($2, $3) ORDER BY request_id, at LIMIT $4
), gone AS (
	DELETE FROM tidegate.attempts_other o USING page p WHERE o.request_id = p.request_id AND o.at = p.at AND p.at < now() - $1::interval
		AND (EXISTS (SELECT FROM tidegate.results r WHERE r.request_id = p.request_id) OR NOT EXISTS (SELECT FROM tidegate.requests q WHERE q.id = p.request_id))
)
SELECT (SELECT count(*) FROM page), l.request_id, l.at
FROM (SELECT) one LEFT JOIN (SELECT request_id, at FROM page ORDER BY request_id DESC, at DESC LIMIT 1) l ON true`

// removeOther removes attempts that no day was made for: of a worker whose clock was
// wrong. There are few.
func (s *Store) removeOther(ctx context.Context, held jobs.Lead, step jobs.RemovalStep) (done jobs.Removed, err error) {
	done.Place = step.Behind
	behind := uuid.Nil
	if step.Behind.Request != "" {
		if behind, err = parseID(step.Behind.Request); err != nil {
			return done, err
		}
	}
	err = s.asLead(ctx, held, "removing other attempts", func(tx pgx.Tx) error {
		var seen int
		var last *uuid.UUID
		var at *time.Time
		if err := tx.QueryRow(ctx, removeOther, step.Keep, behind, step.Behind.At, step.AtMost).Scan(&seen, &last, &at); err != nil {
			return err
		}
		if done.More = seen == step.AtMost; last != nil {
			done.Place.Request, done.Place.At = last.String(), *at
		}
		return nil
	})
	return done, err
}
