package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// Gauges are how everything stands, as numbers for who watches all the time.
type Gauges struct {
	Fleet   jobs.Fleet
	Lead    string                  // who supervises; empty: nobody
	Batches map[jobs.BatchState]int // those that have not ended
	Counts
}

// Counts are what it takes a while to count.
type Counts struct {
	Queues []QueueCount `json:"queues"`
	Outbox int          `json:"outbox"` // events that owe a message
	// Behind is the age of the oldest of these when they were counted.
	Behind float64 `json:"behind_s"`
	// Age is how long ago it was counted, and Took how long that took.
	Age  time.Duration `json:"-"`
	Took time.Duration `json:"-"`
}

// A QueueCount is how many jobs of a queue are in a state of River's.
type QueueCount struct {
	Queue string `json:"q"` // that of a route has its name
	State string `json:"s"`
	Jobs  int    `json:"n"`
	// Oldest is the age in seconds of the oldest of those that are first in their
	// order, by priority and time.
	Oldest float64 `json:"age_s"`
}

const (
	// countsLast is how long what was counted is good enough, and countsShare says for
	// how many times as long as the counting took it is at least: so it takes a
	// hundredth of one core at most, however much waits and however many ask.
	countsLast  = 5 * time.Second
	countsShare = 100
	// countsWithin is how long counting may take.
	countsWithin = 30 * time.Second
)

const (
	gaugeLead = `/* tidegate: gauge lead */
SELECT holder FROM tidegate.leases WHERE name = 'supervisor' AND expires_at > now()`

	gaugeBatches = `/* tidegate: gauge batches */
SELECT state, count(*) FROM tidegate.batches WHERE ended_at IS NULL GROUP BY state`

	// Who measures has the lock until the transaction ends; others go on with what was.
	measured = `/* tidegate: measured */
SELECT extract(epoch FROM clock_timestamp() - at)::float8, extract(epoch FROM took)::float8, value FROM tidegate.measured WHERE name = 'queues'`

	measuring = `/* tidegate: measuring */ SELECT pg_try_advisory_xact_lock(hashtextextended('tidegate measures queues', 0))`

	// Counted is by the index that River fetches by, and nothing but the index as far as
	// vacuum has come by; the oldest are the ends of it.
	countQueues = `/* tidegate: count queues */
WITH n AS (
	SELECT queue, state, count(*) AS jobs FROM tidegate.river_job
	WHERE state IN ('available', 'pending', 'retryable', 'running', 'scheduled', 'discarded') GROUP BY queue, state
)
SELECT n.queue, n.state::text, n.jobs, coalesce((
	SELECT extract(epoch FROM now() - min(head.created_at))::float8 FROM generate_series(1, 4) AS p (priority) CROSS JOIN LATERAL (
		SELECT j.created_at FROM tidegate.river_job j WHERE j.state = n.state AND j.queue = n.queue AND j.priority = p.priority
		ORDER BY j.scheduled_at, j.id LIMIT 1
	) head
), 0) FROM n ORDER BY 1, 2`

	countOutbox = `/* tidegate: count outbox */
SELECT count(*), coalesce(extract(epoch FROM now() - (SELECT created_at FROM tidegate.outbox ORDER BY id LIMIT 1)), 0)::float8 FROM tidegate.outbox`

	keepMeasured = `/* tidegate: keep measured */
INSERT INTO tidegate.measured (name, at, took, value) VALUES ('queues', clock_timestamp() - $1::interval, $1, $2)
ON CONFLICT (name) DO UPDATE SET at = excluded.at, took = excluded.took, value = excluded.value`
)

// Gauges reads how everything stands. It is cheap, whatever waits: what it takes a while
// to count is counted by one of all who ask, and not more often than takes a hundredth
// of the time.
func (s *Store) Gauges(ctx context.Context) (Gauges, error) {
	g := Gauges{Batches: map[jobs.BatchState]int{}}
	var err error
	if g.Fleet, err = s.Fleet(ctx); err != nil {
		return g, err
	}
	err = s.pool.QueryRow(ctx, gaugeLead).Scan(&g.Lead)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return g, fmt.Errorf("reading who supervises: %w", err)
	}
	rows, err := s.pool.Query(ctx, gaugeBatches)
	if err != nil {
		return g, fmt.Errorf("counting batches: %w", err)
	}
	var state jobs.BatchState
	var n int
	if _, err = pgx.ForEachRow(rows, []any{&state, &n}, func() error {
		g.Batches[state] = n
		return nil
	}); err != nil {
		return g, fmt.Errorf("counting batches: %w", err)
	}
	g.Counts, err = s.counts(ctx)
	return g, err
}

// counts are those that somebody counted of late, or else new ones.
func (s *Store) counts(ctx context.Context) (Counts, error) {
	known, found, err := s.readCounts(ctx)
	if err != nil || found && known.Age < max(countsLast, countsShare*known.Took) {
		return known, err
	}
	fresh, mine, err := s.measure(ctx)
	switch {
	case err != nil:
		return known, err
	case mine:
		return fresh, nil
	case found: // another one counts just now
		return known, nil
	}
	fresh, _, err = s.readCounts(ctx)
	return fresh, err
}

func (s *Store) readCounts(ctx context.Context) (c Counts, found bool, err error) {
	var age, took float64
	var value []byte
	err = s.pool.QueryRow(ctx, measured).Scan(&age, &took, &value)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, false, nil
	}
	if err == nil {
		err = json.Unmarshal(value, &c)
	}
	if err != nil {
		return c, false, fmt.Errorf("reading what was counted: %w", err)
	}
	c.Age, c.Took = inSeconds(max(age, 0)), inSeconds(took)
	return c, true, nil
}

func inSeconds(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// measure counts, unless another one does: then it is not mine.
func (s *Store) measure(ctx context.Context) (c Counts, mine bool, err error) {
	err = s.within(ctx, countsWithin, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, measuring).Scan(&mine); err != nil || !mine {
			return err
		}
		began := s.now()
		rows, err := tx.Query(ctx, countQueues)
		if err != nil {
			return err
		}
		c.Queues, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (q QueueCount, err error) {
			return q, row.Scan(&q.Queue, &q.State, &q.Jobs, &q.Oldest)
		})
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, countOutbox).Scan(&c.Outbox, &c.Behind); err != nil {
			return err
		}
		value, err := json.Marshal(c)
		if err != nil {
			return err
		}
		c.Took = s.now().Sub(began)
		_, err = tx.Exec(ctx, keepMeasured, c.Took, value)
		return err
	})
	if err != nil {
		return c, false, fmt.Errorf("counting what waits: %w", err)
	}
	return c, mine, nil
}
