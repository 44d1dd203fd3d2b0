package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Drilled is what became of the calls and requests of some routes while one of
// their targets was drilled, and since.
type Drilled struct {
	Calls    int // to the target while the drill was on, probes apart
	Probes   int // to the target while the drill was on
	Failed   int // of both, those that the drill failed
	Answered int // requests of the routes that were answered since the drill began
	Rerouted int // of them, those answered by a target that stands behind the drilled one in the chain
	Lost     int // jobs of the routes that ended in River since the drill began, and have no result
}

// Ages are durations, so that the clocks of the machines need not agree.
const drilledCalls = `/* tidegate: drilled calls */
SELECT count(*) FILTER (WHERE NOT probe), count(*) FILTER (WHERE probe), count(*) FILTER (WHERE code = $4)
FROM tidegate.attempts WHERE target = $1 AND at BETWEEN now() - $2::interval AND now() - $3::interval`

const drilledResults = `/* tidegate: drilled results */
SELECT count(*), count(*) FILTER (WHERE array_position(t.chain, r.target) > array_position(t.chain, $1))
FROM tidegate.results r JOIN tidegate.requests q ON q.id = r.request_id JOIN tidegate.routes t ON t.name = q.route
WHERE r.stored_at >= now() - $2::interval AND r.state = 'answered' AND $1 = ANY (t.chain)`

// River's index on state and finalized_at serves it.
const drilledLost = `/* tidegate: drilled lost */
SELECT count(*) FROM tidegate.river_job j JOIN tidegate.routes t ON t.name = j.queue
WHERE j.state IN ('completed', 'cancelled', 'discarded') AND j.finalized_at >= now() - $2::interval AND $1 = ANY (t.chain)
	AND NOT EXISTS (SELECT FROM tidegate.results WHERE request_id = (j.args ->> 'r')::uuid)`

// Drilled counts what became of a drill of a target that began and ended so long
// ago. code is what its failures have for one.
func (s *Store) Drilled(ctx context.Context, target, code string, began, ended time.Duration) (Drilled, error) {
	var d Drilled
	var batch pgx.Batch
	batch.Queue(drilledCalls, target, began, ended, code).QueryRow(func(row pgx.Row) error { return row.Scan(&d.Calls, &d.Probes, &d.Failed) })
	batch.Queue(drilledResults, target, began).QueryRow(func(row pgx.Row) error { return row.Scan(&d.Answered, &d.Rerouted) })
	batch.Queue(drilledLost, target, began).QueryRow(func(row pgx.Row) error { return row.Scan(&d.Lost) })
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return Drilled{}, fmt.Errorf("counting what became of the drill of %s: %w", target, err)
	}
	return d, nil
}

const backlog = `/* tidegate: backlog */
SELECT count(*) FROM tidegate.river_job WHERE queue = ANY ($1) AND id <= $2 AND finalized_at IS NULL`

// Backlog counts the jobs of routes, up to one of them, that have not ended: those
// that wait and those that a worker has in hand.
func (s *Store) Backlog(ctx context.Context, routes []string, last int64) (int, error) {
	var n int
	if err := s.pool.QueryRow(ctx, backlog, routes, last).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting the backlog: %w", err)
	}
	return n, nil
}

const lastJob = `/* tidegate: last job */ SELECT coalesce(max(id), 0) FROM tidegate.river_job`

// LastJob is the job that was enqueued last, on whatever route.
func (s *Store) LastJob(ctx context.Context) (int64, error) {
	var id int64
	if err := s.pool.QueryRow(ctx, lastJob).Scan(&id); err != nil {
		return 0, fmt.Errorf("looking for the last job: %w", err)
	}
	return id, nil
}
