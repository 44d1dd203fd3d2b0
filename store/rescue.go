package store

import (
	"cmp"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// Rescue declares a worker dead and gives its jobs to others: those of requests
// that have their result are completed, all others run again, in their old
// order, with their attempts restored. Calls that were under way become attempts
// of class LOST and are held against their requests, within limits. The worker's
// probes and lease are freed. All of it is one transaction, which waits for
// calls of the worker that are being begun. It may be repeated: what it did once
// it does not do again. It returns ErrDeposed if held leads no more.
func (s *Store) Rescue(ctx context.Context, held jobs.Lead, worker string, limits jobs.RescueLimits) (jobs.Rescue, error) {
	done := jobs.Rescue{Worker: worker}
	crashes, alone := cmp.Or(limits.Crashes, 2), cmp.Or(limits.Alone, 2)
	err := s.asLead(ctx, held, "rescuing the jobs of "+worker, func(tx pgx.Tx) error {
		for _, statement := range []string{addWorker, lockWorker, markDead, suspect} {
			if _, err := tx.Exec(ctx, statement, worker); err != nil {
				return err
			}
		}
		if err := tx.QueryRow(ctx, condemn, worker, alone).Scan(&done.Poisoned, &done.LostAt); err != nil {
			return err
		}
		done.Lost = 0
		for _, n := range done.LostAt {
			done.Lost += n
		}
		if err := tx.QueryRow(ctx, giveBack, worker, crashes, jobs.QuarantineQueue).Scan(&done.Returned, &done.Quarantined); err != nil {
			return err
		}
		for _, statement := range []string{freeProbes, freeLease, dropCalls} {
			if _, err := tx.Exec(ctx, statement, worker); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return jobs.Rescue{}, err
	}
	return done, nil
}

// orphans reads the few rows that are running, by River's index on states.
const orphans = `/* tidegate: orphans */
SELECT DISTINCT w.id FROM tidegate.river_job j CROSS JOIN LATERAL (SELECT j.attempted_by[array_upper(j.attempted_by, 1)] AS id) w
WHERE j.state = 'running' AND w.id IS NOT NULL AND NOT EXISTS (SELECT FROM tidegate.workers k WHERE k.id = w.id AND k.dead_at IS NULL)`

// Orphans lists workers whose jobs are running and who are dead or not known to
// the fleet: they ended before their first beat, or work with a version that has
// none.
func (s *Store) Orphans(ctx context.Context) ([]string, error) {
	rows, err := s.pool.Query(ctx, orphans)
	if err != nil {
		return nil, fmt.Errorf("looking for orphans: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("looking for orphans: %w", err)
	}
	return found, nil
}

// A worker that nobody knows is dead, too, once its jobs are others'. The lock is
// the one that Begin waits for.
const (
	addWorker  = `/* tidegate: add dead worker */ INSERT INTO tidegate.workers (id, dead_at) VALUES ($1, now()) ON CONFLICT (id) DO NOTHING`
	lockWorker = `/* tidegate: lock worker */ SELECT id FROM tidegate.workers WHERE id = $1 FOR UPDATE`
	markDead   = `/* tidegate: mark dead */ UPDATE tidegate.workers SET dead_at = now() WHERE id = $1 AND dead_at IS NULL`
)

// mine are the jobs that a worker has in hand, found by their state, however many
// wait. A job of another kind has no request.
const mine = `mine AS MATERIALIZED (
	SELECT id, queue, CASE WHEN kind = 'completion' AND args->>'r' ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
		THEN (args->>'r')::uuid END AS request_id
	FROM tidegate.river_job
	WHERE state = 'running' AND attempted_by[cardinality(attempted_by)] = $1
	ORDER BY id FOR UPDATE
)`

// missed is what is said of them. It tells them from those that their own worker says are
// lost, of which it knows what they cost.
const missed = "its worker died"

// lost are a worker's calls whose attempts nobody wrote down.
const lost = `lost AS MATERIALIZED (
	SELECT c.request_id, c.at, c.began_at, c.route, c.target FROM tidegate.calls c
	WHERE c.worker = $1 AND NOT EXISTS (SELECT FROM tidegate.attempts a WHERE a.request_id = c.request_id AND a.at = c.at)
)`

// The planner takes both lists for short ones and would compare each row of one
// with each of the other; "IS TRUE" makes it look the calls up in a hash.
const suspect = `/* tidegate: suspect */ WITH ` + mine + `, ` + lost + `
INSERT INTO tidegate.suspects AS s (request_id, crashes, alone, last_worker, last_at)
SELECT m.request_id, CASE WHEN bool_or(m.queue = '` + jobs.QuarantineQueue + `') THEN 0 ELSE 1 END,
	CASE WHEN bool_or(m.queue = '` + jobs.QuarantineQueue + `') THEN 1 ELSE 0 END, $1, now()
FROM mine m
WHERE (m.request_id IN (SELECT request_id FROM lost)) IS TRUE AND NOT EXISTS (SELECT FROM tidegate.results r WHERE r.request_id = m.request_id)
GROUP BY m.request_id ORDER BY m.request_id
ON CONFLICT (request_id) DO UPDATE SET crashes = s.crashes + excluded.crashes, alone = s.alone + excluded.alone,
	last_worker = excluded.last_worker, last_at = excluded.last_at`

// It has the shape of a commit, so that rows are locked in the same order.
const condemn = `/* tidegate: condemn */ WITH ` + mine + `, ` + lost + `, given AS (
	SELECT q.id AS request_id, q.batch_id FROM mine m
	JOIN tidegate.suspects s ON s.request_id = m.request_id AND s.alone >= $2
	JOIN tidegate.requests q ON q.id = m.request_id
), stored AS (
	INSERT INTO tidegate.results (request_id, id, state, status, code, message, cost_micro_usd, unpriced, attempts)
	SELECT request_id, gen_random_uuid(), 'poison', 500, 'poison', 'workers died while they worked it alone',
		(SELECT coalesce(sum(cost_micro_usd), 0) FROM tidegate.attempts a WHERE a.request_id = g.request_id),
		(SELECT coalesce(bool_or(unpriced), false) FROM tidegate.attempts a WHERE a.request_id = g.request_id),
		least(32767, (SELECT count(*) FROM tidegate.attempts a WHERE a.request_id = g.request_id) + (SELECT count(*) FROM lost l WHERE l.request_id = g.request_id))
	FROM given g ORDER BY request_id
	ON CONFLICT (request_id) DO NOTHING
	RETURNING request_id, state
), ` + countAndOwe + `, tried AS (
	INSERT INTO tidegate.attempts (request_id, at, latency_us, route, target, class, message,
		arrived_at, deadline, max_cost_micro_usd, body_bytes, priority, tenant, goal, endpoint)
	SELECT DISTINCT ON (l.request_id, l.at) l.request_id, l.at, greatest(0, extract(epoch FROM now() - l.began_at) * 1000000)::bigint, l.route, l.target, 'LOST', '` + missed + `',
		q.created_at, q.deadline, q.max_cost_micro_usd, octet_length(q.body), q.priority, nullif(q.tenant, '` + jobs.DefaultTenant + `'), q.goal, q.endpoint
	FROM lost l LEFT JOIN tidegate.requests q ON q.id = l.request_id ORDER BY l.request_id, l.at
	ON CONFLICT (request_id, at) DO NOTHING
	RETURNING target
)
SELECT (SELECT count(*) FROM stored), (SELECT coalesce(jsonb_object_agg(target, n), '{}') FROM (SELECT coalesce(target, '') AS target, count(*) AS n FROM tried GROUP BY 1) t)`

// What a job was scheduled at stays, and so does its place in the queue.
const giveBack = `/* tidegate: give jobs back */ WITH ` + mine + `, fate AS (
	SELECT m.id, r.request_id IS NOT NULL AS ended, m.queue <> $3 AND coalesce(s.crashes, 0) >= $2 AS alone
	FROM mine m LEFT JOIN tidegate.results r USING (request_id) LEFT JOIN tidegate.suspects s USING (request_id)
), moved AS (
	UPDATE tidegate.river_job j SET
		state = CASE WHEN f.ended THEN 'completed' ELSE 'available' END::tidegate.river_job_state,
		finalized_at = CASE WHEN f.ended THEN now() END,
		queue = CASE WHEN f.alone AND NOT f.ended THEN $3 ELSE j.queue END,
		attempt = CASE WHEN f.ended THEN j.attempt ELSE greatest(j.attempt - 1, 0) END
	FROM fate f WHERE j.id = f.id
	RETURNING f.ended, f.alone
)
SELECT count(*) FILTER (WHERE NOT ended), count(*) FILTER (WHERE alone AND NOT ended) FROM moved`
