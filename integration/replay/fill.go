package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/integration/bench"
	"tidegate/jobs"
	"tidegate/migrations"
)

var columns = []string{
	"request_id", "at", "latency_us", "first_byte_us", "cost_micro_usd", "input_tokens", "output_tokens", "propensity", "status",
	"route", "target", "class", "decision", "arrived_at", "deadline", "body_bytes",
}

// fill writes the week into an empty database, and returns how many attempts it has.
func (o *order) fill(ctx context.Context, url string, t *traces) (attempts int64, err error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	if _, err := migrations.Up(ctx, pool); err != nil {
		return 0, err
	}
	start := time.Now().Add(-week).Truncate(time.Second)
	if _, err := pool.Exec(ctx, "SELECT tidegate.add_attempt_days($1::date, $2::date)", start.UTC(), time.Now().UTC()); err != nil {
		return 0, err
	}
	m := newMaker(t, start, o.requests, o.seed)
	const group = 200_000
	for from := 0; from < o.requests; from += group {
		n, err := pool.CopyFrom(ctx, pgx.Identifier{"tidegate", "attempts"}, columns, m.rows(from, min(from+group, o.requests)))
		if err != nil {
			return 0, fmt.Errorf("writing attempts: %w", err)
		}
		attempts += n
		bench.Say("%d of %d requests are in the ledger", min(from+group, o.requests), o.requests)
	}
	for _, sql := range []string{"VACUUM ANALYZE tidegate.attempts", "CHECKPOINT"} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			return 0, err
		}
	}
	return attempts, nil
}

// rows are the attempts of some requests.
func (m *maker) rows(from, to int) pgx.CopyFromSource {
	var ready [][]any
	i := from
	return pgx.CopyFromFunc(func() ([]any, error) {
		for len(ready) == 0 {
			if i == to {
				return nil, nil
			}
			err := m.request(i, func(l *jobs.Logged) error {
				row, err := rowOf(l)
				ready = append(ready, row)
				return err
			})
			if err != nil {
				return nil, err
			}
			i++
		}
		row := ready[0]
		ready = ready[1:]
		return row, nil
	})
}

func rowOf(l *jobs.Logged) ([]any, error) {
	id, err := uuid.Parse(l.RequestID)
	if err != nil {
		return nil, err
	}
	decision, err := l.Decision.AppendJSON(nil)
	return []any{
		id, l.At, l.Latency.Microseconds(), l.FirstByte.Microseconds(), int64(l.Cost), int32(l.Usage.Input), int32(l.Usage.Output), l.Propensity, int16(l.Status),
		l.Route, l.Target, string(l.Class), decision, l.Arrived, l.Deadline, int32(l.BodyBytes),
	}, err
}
