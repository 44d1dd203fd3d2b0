package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// importedColumns are those of attempts that are imported, in the order of loggedRow.
var importedColumns = []string{
	"request_id", "at", "latency_us", "first_byte_us", "cost_micro_usd", "input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens",
	"propensity", "status", "probe", "blamed", "unpriced", "route", "target", "class", "code", "decision",
	"arrived_at", "deadline", "max_cost_micro_usd", "body_bytes", "priority", "awaited", "tenant", "goal", "endpoint", "waited_for",
}

const (
	// What is no attempt of a day that there is goes to attempts_other: so its days are
	// made first.
	importDays   = `/* tidegate: import days */ SELECT tidegate.add_attempt_days($1::date, $2::date)`
	importTable  = `/* tidegate: import table */ CREATE TEMPORARY TABLE imported (LIKE tidegate.attempts INCLUDING DEFAULTS) ON COMMIT DROP; ALTER TABLE imported ALTER COLUMN stored_at DROP DEFAULT -- they are not of now`
	importMerged = `/* tidegate: import */ INSERT INTO tidegate.attempts SELECT DISTINCT ON (request_id, at) * FROM imported ORDER BY request_id, at ON CONFLICT (request_id, at) DO NOTHING`
)

// mostImportDays bounds the time from the first to the last attempt that is imported at
// once: each day of it is a table.
const mostImportDays = 400

// ImportLogged adds attempts of another ledger to this one, in one transaction, and returns
// how many were not there. Each must have the UUID of a request, a target and a class.
func (s *Store) ImportLogged(ctx context.Context, all []jobs.Logged) (added int, err error) {
	if len(all) == 0 {
		return 0, nil
	}
	first, last := all[0].At, all[0].At
	for i := range all {
		if at := all[i].At; at.Before(first) {
			first = at
		} else if at.After(last) {
			last = at
		}
	}
	if last.Sub(first) > mostImportDays*24*time.Hour {
		return 0, fmt.Errorf("importing attempts: from %s to %s are more than %d days, each of which would be a table; import them in parts",
			first.UTC().Format(time.DateOnly), last.UTC().Format(time.DateOnly), mostImportDays)
	}
	if _, err := s.pool.Exec(ctx, importDays, first.UTC(), last.UTC()); err != nil {
		return 0, fmt.Errorf("making the days of attempts from %s to %s: %w", first.UTC().Format(time.DateOnly), last.UTC().Format(time.DateOnly), err)
	}
	err = Transact(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, importTable); err != nil {
			return err
		}
		rows := pgx.CopyFromSlice(len(all), func(i int) ([]any, error) { return loggedRow(&all[i]) })
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"imported"}, importedColumns, rows); err != nil {
			return err
		}
		done, err := tx.Exec(ctx, importMerged)
		added = int(done.RowsAffected())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("importing %d attempts: %w", len(all), err)
	}
	return added, nil
}

func loggedRow(l *jobs.Logged) ([]any, error) {
	id, err := parseID(l.RequestID)
	if err != nil {
		return nil, err
	}
	decision, err := decisionOf(&l.Attempt, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("decision of an attempt: %w", err)
	}
	var awaited *bool
	if l.Awaited {
		awaited = &l.Awaited
	}
	tenant := l.Tenant
	if tenant == jobs.DefaultTenant {
		tenant = ""
	}
	u := l.Usage
	return []any{
		id, l.At, l.Latency.Microseconds(), orNull(l.FirstByte.Microseconds()), micros(l.Cost), count(u.Input), count(u.CachedInput), count(u.Output), count(u.Reasoning),
		l.Propensity, orNull(small(l.Status)), l.Probe, l.Blamed, l.Unpriced, text(l.Route), text(l.Target), string(l.Class), text(l.Code), decision,
		orNullTime(l.Arrived), orNullTime(l.Deadline), orNull(micros(l.MaxCost)), orNull(count(l.BodyBytes)), orNull(small(l.Priority)), awaited, text(tenant), text(l.Goal),
		orNullEndpoint(l.Endpoint), text(string(l.WaitedFor)),
	}, nil
}
