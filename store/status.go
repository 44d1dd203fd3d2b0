package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// A RouteStatus is how a route stands: what waits, and whether anybody works it.
// The quarantine is among them, under the name of its queue and without a chain,
// while it is paused or has jobs.
type RouteStatus struct {
	Route     string
	Chain     []string  // the names of its targets, in order
	Waiting   int       // River jobs that no worker has in hand
	InHand    int       // in a worker: called, or waiting at the gate there
	Discarded int       // given up by River: never by an outage
	Retired   bool      // producers may not name it any more; what waits stays
	PausedAt  time.Time // when River's queue was paused; zero: it is not
	ServedAt  time.Time // when a worker last said that it works it (every ServedEvery); zero: none did in the last day
	Oldest    time.Time // the oldest job that waits or is in hand, of very many the oldest of those that come first; zero: none
	CountedAt time.Time // of very many, when a supervisor counted them: what has ended since is taken off; zero: now
}

// ServedEvery is how often a worker says which routes it works: as often as
// River writes its queues down.
const ServedEvery = 10 * time.Minute

// A TargetStatus is what a target did in the last minute, as it was written down then.
type TargetStatus struct {
	Target   string
	Calls    int
	Answered int
	Cost     jobs.MicroUSD // what is known of it
	Unpriced int           // calls whose cost nobody knows
	Median   time.Duration // of the answered calls
	Tokens   int           // out, answered
}

// A Status is how everything stands at one moment.
type Status struct {
	At       time.Time // of the database
	Routes   []RouteStatus
	Waiting  []WaitingStatus // on routes with fair admission, by route, the most first
	Targets  []TargetStatus
	Circuits []jobs.Circuit
	Pauses   []jobs.Pause       // by route
	Drills   []jobs.Drill       // those that are on, by target; their times are the database's
	Workers  []WorkerStatus     // the oldest first
	Batches  []jobs.Batch       // the newest, and the oldest that go on, these last
	Open     int                // batches that go on, up to a thousand
	Budgets  []jobs.Budget      // but for those of batches that have ended
	Results  map[jobs.State]int // stored in the last minute
	Kept     []jobs.Kept        // requests, then attempts; those that a supervisor has swept
	Outbox   int                // up to 200,000
	Behind   time.Duration      // age of the oldest row of the outbox; zero: none
}

// statusBatches is how many of the newest batches a status lists, and of the oldest that go
// on.
const statusBatches = 5

// Status reads how everything stands, in one snapshot.
func (s *Store) Status(ctx context.Context) (Status, error) {
	status, err := s.standing(ctx, statusBatches, readClock, s.readRoutes, readWaiting, readTargets, readPauses, readDrills, readWorkers, readResults, readOutbox, readKept)
	if err != nil {
		return status, err
	}
	return status, s.addOpen(ctx, &status, statusBatches)
}

// standing reads some parts of a status in one snapshot, and beside it circuits, budgets and so
// many of the newest batches.
func (s *Store) standing(ctx context.Context, batches int, parts ...func(context.Context, pgx.Tx, *Status) error) (Status, error) {
	var status Status
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, s.pool, options, func(tx pgx.Tx) error {
		for _, read := range parts {
			if err := read(ctx, tx, &status); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return status, fmt.Errorf("reading the status: %w", err)
	}
	if status.Circuits, err = s.Circuits(ctx); err != nil {
		return status, err
	}
	if status.Budgets, err = s.Budgets(ctx, false); err != nil {
		return status, err
	}
	status.Batches, err = s.Batches(ctx, batches)
	return status, err
}

func readClock(ctx context.Context, tx pgx.Tx, status *Status) error {
	return tx.QueryRow(ctx, "SELECT now()").Scan(&status.At)
}

const targetStatus = `/* tidegate: target status */
SELECT target, count(*), count(*) FILTER (WHERE class = 'OK'), coalesce(sum(cost_micro_usd), 0)::bigint, count(*) FILTER (WHERE unpriced),
	coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_us) FILTER (WHERE class = 'OK'), 0)::bigint, coalesce(sum(output_tokens), 0)::bigint
FROM tidegate.attempts WHERE stored_at >= now() - interval '1 minute' AND at >= now() - interval '1 day' GROUP BY target ORDER BY target`

func readTargets(ctx context.Context, tx pgx.Tx, status *Status) error {
	rows, err := tx.Query(ctx, targetStatus)
	if err != nil {
		return err
	}
	status.Targets, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (TargetStatus, error) {
		var t TargetStatus
		var cost, median int64
		err := row.Scan(&t.Target, &t.Calls, &t.Answered, &cost, &t.Unpriced, &median, &t.Tokens)
		t.Cost, t.Median = jobs.MicroUSD(cost), time.Duration(median)*time.Microsecond
		return t, err
	})
	return err
}

const resultStatus = `/* tidegate: result status */
SELECT state, count(*) FROM tidegate.results WHERE stored_at >= now() - interval '1 minute' GROUP BY state`

func readResults(ctx context.Context, tx pgx.Tx, status *Status) error {
	rows, err := tx.Query(ctx, resultStatus)
	if err != nil {
		return err
	}
	status.Results = map[jobs.State]int{}
	var state jobs.State
	var n int
	_, err = pgx.ForEachRow(rows, []any{&state, &n}, func() error {
		status.Results[state] = n
		return nil
	})
	return err
}

const burned = `/* tidegate: attempts burned */
SELECT coalesce(sum(greatest(attempt - 1, 0)), 0) + count(*) FILTER (WHERE state = 'discarded') FROM tidegate.river_job`

// AttemptsBurned counts the River attempts beyond the first of every job, and
// the jobs that River gave up: outages and restarts cost none.
func (s *Store) AttemptsBurned(ctx context.Context) (int, error) {
	var n int
	if err := s.pool.QueryRow(ctx, burned).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting burned attempts: %w", err)
	}
	return n, nil
}
