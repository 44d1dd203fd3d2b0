package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// One statement for the jobs and what they wait for, since each needs the id of the
// other; a COPY would tell us none. The word to the supervisor is said where nothing
// waits on the route yet: with a backlog it looks each second in any case, and
// Postgres sends such words of all transactions one after the other.
const insertWaiting = `/* tidegate: insert waiting */
WITH given AS MATERIALIZED (
	SELECT nextval('tidegate.river_job_id_seq') AS job_id, g.*
	FROM unnest($1::uuid[], $2::timestamptz[], $3::real[], $4::smallint[], $5::text[], $6::text[]) AS g (request_id, deadline, work, priority, route, tenant)
), told AS (
	SELECT pg_notify('tidegate_waiting', '') FROM (SELECT DISTINCT route FROM given) r
	WHERE $8 AND NOT EXISTS (SELECT FROM tidegate.waiting w WHERE w.route = r.route AND w.not_before IS NULL)
), pending AS (
	INSERT INTO tidegate.river_job (id, state, max_attempts, priority, args, kind, queue)
	SELECT job_id, 'pending', $7, priority, jsonb_build_object('r', request_id), '` + jobs.CompletionKind + `', route FROM given
), waits AS (
	INSERT INTO tidegate.waiting (request_id, job_id, deadline, work, priority, route, tenant)
	SELECT request_id, job_id, deadline, work, priority, route, tenant FROM given
)
SELECT count(*) FROM told`

// InsertWaiting writes River jobs of requests that wait for their turn, in the
// caller's transaction, which has written the requests. With tell, the supervisor
// is told if nothing waited on one of their routes before.
func InsertWaiting(ctx context.Context, tx pgx.Tx, requests []jobs.Request, maxAttempts int, tell bool) error {
	n := len(requests)
	ids, deadlines, work := make([][16]byte, n), make([]time.Time, n), make([]float32, n)
	priorities, routes, tenants := make([]int16, n), make([]string, n), make([]string, n)
	for i := range requests {
		r := &requests[i]
		id, err := parseID(r.ID)
		if err != nil {
			return err
		}
		ids[i], deadlines[i], work[i] = id, due(r), float32(r.ExpectedWork())
		priorities[i], routes[i], tenants[i] = small(r.Rank()), r.Route, r.Tenant
	}
	var told int
	err := tx.QueryRow(ctx, insertWaiting, ids, deadlines, work, priorities, routes, tenants, maxAttempts, tell).Scan(&told)
	if err != nil {
		return fmt.Errorf("writing %d River jobs that wait for their turn: %w", n, err)
	}
	return nil
}

// withoutDeadline is after what time a request counts as one whose deadline has come
// that has none.
const withoutDeadline = 24 * time.Hour

func due(r *jobs.Request) time.Time {
	if r.Deadline.IsZero() {
		return r.CreatedAt.Add(withoutDeadline)
	}
	return r.Deadline
}

// dropWaiting has requests wait for their turn no more that have ended: those of
// stored. A worker would find their results, and nothing else to do.
//
// Here and below, rows are found by their ids whatever the planner thinks: where
// nothing was pending when it last counted, it would rather read all that is now,
// perhaps once for each id. An array and a state that it has no index of leave it
// no choice.
const dropWaiting = `unneeded AS (
	DELETE FROM tidegate.waiting WHERE request_id = ANY (ARRAY(SELECT request_id FROM stored))
	RETURNING job_id
), closed AS (
	UPDATE tidegate.river_job SET state = 'completed', finalized_at = now()
	WHERE id = ANY (ARRAY(SELECT job_id FROM unneeded)) AND state::text = 'pending'
)`

// What was admitted before has been counted, and keeps its place. River has just
// written that it is given back, with its attempt; the time is that one's.
const park = `/* tidegate: park */
WITH moved AS (
	UPDATE tidegate.river_job j SET state = 'pending'
	FROM unnest($1::bigint[], $2::text[]) AS g (job_id, reason), tidegate.routes t
	WHERE j.id = ANY ($1) AND j.id = g.job_id AND j.state::text IN ('scheduled', 'available') AND t.name = j.queue AND t.admission = '` + jobs.AdmissionFair + `'
	RETURNING j.id, (j.args->>'r')::uuid AS request_id, j.scheduled_at, g.reason
)
INSERT INTO tidegate.waiting (request_id, job_id, not_before, deadline, work, priority, route, tenant, reason)
SELECT q.id, m.id, m.scheduled_at, coalesce(q.deadline, q.created_at + $4::interval), 0, coalesce(q.priority, $3), q.route, q.tenant, m.reason
FROM moved m JOIN tidegate.requests q ON q.id = m.request_id
ON CONFLICT (request_id) DO NOTHING`

// What waits for its turn by now is taken from there first, as by all who end what
// waits. Nobody is waited for: who holds a row ends it, or hands it to a worker.
const endGivenBack = `/* tidegate: end what is given back */
WITH ended AS MATERIALIZED (
	SELECT j.id, r.request_id FROM tidegate.river_job j JOIN tidegate.results r ON r.request_id = (j.args->>'r')::uuid
	WHERE j.id = ANY ($1) AND j.state::text IN ('scheduled', 'available', 'pending')
), unneeded AS (
	DELETE FROM tidegate.waiting WHERE request_id IN (
		SELECT request_id FROM tidegate.waiting WHERE request_id = ANY (ARRAY(SELECT request_id FROM ended)) FOR UPDATE SKIP LOCKED)
	RETURNING job_id
)
UPDATE tidegate.river_job SET state = 'completed', finalized_at = now() WHERE id IN (
	SELECT id FROM tidegate.river_job
	WHERE id = ANY (ARRAY(SELECT id FROM ended)) AND (state::text <> 'pending' OR id = ANY (ARRAY(SELECT job_id FROM unneeded)))
		AND state::text IN ('scheduled', 'available', 'pending') FOR UPDATE SKIP LOCKED)`

// Park has jobs wait for their time where they hold no place of a worker or of its
// queue, in the transaction in which River gives them back: those whose route has
// fair admission. All others wait as River has it. A job whose request ended while it
// was in a worker's hands waits for nothing, and ends.
func (s *Store) Park(ctx context.Context, tx pgx.Tx, parked []jobs.Parked) error {
	ids, reasons := make([]int64, len(parked)), make([]string, len(parked))
	for i, p := range parked {
		ids[i], reasons[i] = p.JobID, p.Reason
	}
	if _, err := tx.Exec(ctx, endGivenBack, ids); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, park, ids, reasons, jobs.DefaultPriority, withoutDeadline)
	return err
}

// EndParked ends those of some jobs that are parked and whose requests have ended. Who
// parks looks when that is written, and who cancels does so, too: neither sees the
// other's before.
func (s *Store) EndParked(ctx context.Context, ids []int64) error {
	if _, err := s.pool.Exec(ctx, endGivenBack, ids); err != nil {
		return fmt.Errorf("ending what is parked and has ended: %w", err)
	}
	return nil
}
