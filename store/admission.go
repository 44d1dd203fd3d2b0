package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const (
	// backlogMost bounds what is counted of one route and state: more makes no
	// difference.
	backlogMost = 50_000
	// tenantsMost bounds how many tenants of a route are looked at together; of
	// more, it is the turn of some, and then of the others.
	tenantsMost = 1000
	// turnsLeast is of how many requests of one tenant at least it is known in which
	// order they come.
	turnsLeast = 8
)

// The routes are hopped to in the indexes, one after the other, whatever waits.
// Calls stay in their places when they have ended, until the next one comes.
const backlogs = `/* tidegate: backlogs */
WITH RECURSIVE turns AS (
	(SELECT route FROM tidegate.waiting WHERE not_before IS NULL ORDER BY route LIMIT 1)
	UNION ALL
	SELECT (SELECT w.route FROM tidegate.waiting w WHERE w.not_before IS NULL AND w.route > t.route ORDER BY w.route LIMIT 1) FROM turns t WHERE t.route IS NOT NULL
), times AS (
	(SELECT route FROM tidegate.waiting WHERE not_before IS NOT NULL ORDER BY route LIMIT 1)
	UNION ALL
	SELECT (SELECT w.route FROM tidegate.waiting w WHERE w.not_before IS NOT NULL AND w.route > t.route ORDER BY w.route LIMIT 1) FROM times t WHERE t.route IS NOT NULL
), routes AS (
	SELECT route FROM turns WHERE route IS NOT NULL UNION SELECT route FROM times WHERE route IS NOT NULL
)
SELECT r.route,
	(SELECT count(*) FROM (SELECT FROM tidegate.river_job WHERE state = 'available' AND queue = r.route LIMIT $1) j),
	(SELECT count(*) FROM (SELECT FROM tidegate.river_job WHERE state = 'running' AND queue = r.route LIMIT $1) j),
	(SELECT count(*) FROM tidegate.calls c WHERE c.route = r.route AND NOT EXISTS (SELECT FROM tidegate.results s WHERE s.request_id = c.request_id OFFSET 0)),
	(SELECT count(*) FROM (SELECT FROM tidegate.waiting WHERE route = r.route AND not_before IS NULL LIMIT $2) w)
FROM routes r ORDER BY r.route`

// Backlogs lists the routes on which requests wait to be admitted, with what is
// before workers and in their hands already. It costs as much as that, and counts
// what waits for its turn up to most: zero counts nothing of it.
func (s *Store) Backlogs(ctx context.Context, most int) ([]jobs.Backlog, error) {
	rows, err := s.pool.Query(ctx, backlogs, backlogMost, most)
	if err != nil {
		return nil, fmt.Errorf("counting backlogs: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[jobs.Backlog])
	if err != nil {
		return nil, fmt.Errorf("counting backlogs: %w", err)
	}
	return found, nil
}

const (
	// Statistics of a queue are old as soon as they are made.
	byIndex = `/* tidegate: by index */ SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)`

	wakeWaiting = `/* tidegate: wake waiting */
UPDATE tidegate.waiting SET not_before = NULL, reason = NULL WHERE request_id IN (
	SELECT request_id FROM tidegate.waiting WHERE route = $1 AND not_before <= now() ORDER BY not_before LIMIT $2 FOR UPDATE SKIP LOCKED)`

	readShares = `/* tidegate: fair clock */ SELECT coalesce(max(finish), 0) FROM tidegate.shares WHERE route = $1 AND tenant = ''`

	// admissible leaves out those that may start nothing now, by their tenant and the
	// route $1, whatever waits of them: no row is written for it.
	admissible = `tenant <> ALL (ARRAY(SELECT b.name FROM tidegate.budgets b WHERE b.scope = 'tenant' AND ` + spentOut + `))
	AND NOT EXISTS (SELECT FROM tidegate.budgets b WHERE b.scope = 'route' AND b.name = $1 AND ` + spentOut + `)`

	// spentOut are budgets that are spent, as budgetFields say: read once for all who wait.
	spentOut = `b.out_since IS NOT NULL AND (b.out_of_total OR b.waits_day >= tidegate.today())`

	// The tenants of whom something waits for its turn, hopped to one by one: of those that
	// may start something, so many of each as may be its turns together, and a few more.
	shownTenants = `WITH RECURSIVE tenants AS (
	(SELECT w.tenant FROM tidegate.waiting w WHERE w.route = $1 AND w.not_before IS NULL AND w.tenant > $2 ORDER BY w.tenant LIMIT 1)
	UNION ALL
	SELECT (SELECT w.tenant FROM tidegate.waiting w WHERE w.route = $1 AND w.not_before IS NULL AND w.tenant > t.tenant ORDER BY w.tenant LIMIT 1)
	FROM tenants t WHERE t.tenant IS NOT NULL
), named AS MATERIALIZED (
	SELECT tenant FROM tenants WHERE tenant IS NOT NULL LIMIT $4::bigint
), edge AS (
	SELECT max(tenant) AS last FROM named HAVING count(*) = $4::bigint
), shown AS MATERIALIZED (
	SELECT tenant, least($3::bigint, greatest($5::bigint, 2 * $3::bigint / (SELECT count(*) FROM named))) AS most
	FROM named WHERE ` + admissible + `
)
`

	readTurns = `/* tidegate: turns */
` + shownTenants + `SELECT s.tenant, s.most, e.last, coalesce(c.finish, 0), h.request_id, h.work
FROM (SELECT coalesce((SELECT last FROM edge), '') AS last) e LEFT JOIN shown s ON true -- there are others, though none of these is shown
LEFT JOIN tidegate.shares c ON c.route = $1 AND c.tenant = s.tenant
LEFT JOIN LATERAL (
	SELECT w.request_id, w.work, w.priority, w.job_id FROM tidegate.waiting w
	WHERE w.route = $1 AND w.tenant = s.tenant AND w.not_before IS NULL ORDER BY w.priority, w.job_id LIMIT s.most
) h ON true
ORDER BY s.tenant, h.priority, h.job_id`

	// Of each tenant by itself: whose budget is spent has perhaps a million with near
	// deadlines, before all others.
	readNear = `/* tidegate: near deadlines */
` + shownTenants + `, near AS (
	SELECT s.tenant, h.* FROM shown s CROSS JOIN LATERAL (
		SELECT w.request_id, w.work, w.deadline, w.job_id FROM tidegate.waiting w
		WHERE w.route = $1 AND w.tenant = s.tenant AND w.not_before IS NULL AND w.deadline <= now() + $6::interval ORDER BY w.deadline LIMIT s.most
	) h ORDER BY h.deadline LIMIT $3::bigint
)
SELECT n.tenant, $3::bigint + 1, e.last, coalesce(c.finish, 0), n.request_id, n.work
FROM (SELECT coalesce((SELECT last FROM edge), '') AS last) e LEFT JOIN near n ON true -- there are others, though none of these is near
LEFT JOIN tidegate.shares c ON c.route = $1 AND c.tenant = n.tenant
ORDER BY n.tenant, n.deadline, n.job_id`

	// River hands jobs out by priority, time and id: those of all tenants have one
	// priority, and each a time of its own, in the order in which they were chosen.
	admit = `/* tidegate: admit */
WITH held AS MATERIALIZED (
	SELECT w.request_id, w.job_id, g.n FROM unnest($2::uuid[]) WITH ORDINALITY AS g (request_id, n)
	JOIN tidegate.waiting w ON w.request_id = g.request_id WHERE w.request_id = ANY ($2) FOR UPDATE OF w SKIP LOCKED
), taken AS (
	DELETE FROM tidegate.waiting WHERE request_id = ANY (ARRAY(SELECT request_id FROM held))
), moved AS (
	UPDATE tidegate.river_job j SET state = 'available', priority = 1, scheduled_at = now() + (h.n - cardinality($2)) * interval '1 microsecond'
	FROM held h WHERE j.id = h.job_id AND j.state::text = 'pending'
	RETURNING j.id
), kept AS (
	INSERT INTO tidegate.shares (route, tenant, finish) SELECT $1, * FROM unnest($3::text[], $4::float8[])
	ON CONFLICT (route, tenant) DO UPDATE SET finish = excluded.finish
)
SELECT (SELECT count(*) FROM moved), pg_notify('tidegate.river_insert', json_build_object('queue', $1::text)::text)::text`

	admitAll = `/* tidegate: admit all */
WITH held AS MATERIALIZED (
	SELECT request_id, job_id, priority FROM tidegate.waiting WHERE route = $1 LIMIT $2 FOR UPDATE SKIP LOCKED
), taken AS (
	DELETE FROM tidegate.waiting WHERE request_id = ANY (ARRAY(SELECT request_id FROM held))
), moved AS (
	UPDATE tidegate.river_job j SET state = 'available', priority = h.priority,
		scheduled_at = CASE WHEN j.scheduled_at > now() THEN j.created_at ELSE j.scheduled_at END -- of a parked one, its old place
	FROM held h WHERE j.id = ANY (ARRAY(SELECT job_id FROM held)) AND j.id = h.job_id AND j.state::text = 'pending'
)
SELECT (SELECT count(*) FROM held), pg_notify('tidegate.river_insert', json_build_object('queue', $1::text)::text)::text`
)

// Admit makes requests of a route available to workers: those that choose picks of
// the first of each tenant. Those whose time has come are among these again. It
// returns how many there are, and from where to look for other tenants; another
// supervisor goes on with the same clock. It returns ErrDeposed if lead leads no
// more.
func (s *Store) Admit(ctx context.Context, lead jobs.Lead, in jobs.Intake, choose func(jobs.Heads) jobs.Admitted) (n int, last string, err error) {
	err = s.asLead(ctx, lead, "admitting requests of "+in.Route, func(tx pgx.Tx) error {
		heads, err := readHeads(ctx, tx, in)
		if err != nil {
			return err
		}
		last = heads.Last
		chosen := choose(heads)
		if len(chosen.Requests) == 0 {
			return nil
		}
		n, err = admitChosen(ctx, tx, in.Route, chosen)
		return err
	})
	return n, last, err
}

func readHeads(ctx context.Context, tx pgx.Tx, in jobs.Intake) (heads jobs.Heads, err error) {
	var batch pgx.Batch
	batch.Queue(byIndex)
	batch.Queue(wakeWaiting, in.Route, in.AtMost)
	batch.Queue(readShares, in.Route).QueryRow(func(row pgx.Row) error { return row.Scan(&heads.Clock) })
	read := func(rows pgx.Rows) error { return scanHeads(rows, &heads) }
	if in.Near > 0 {
		batch.Queue(readNear, in.Route, in.Behind, in.AtMost, tenantsMost, turnsLeast, in.Near).Query(read)
	} else {
		batch.Queue(readTurns, in.Route, in.Behind, in.AtMost, tenantsMost, turnsLeast).Query(read)
	}
	return heads, tx.SendBatch(ctx, &batch).Close()
}

// scanHeads reads requests that stand together by tenant.
func scanHeads(rows pgx.Rows, heads *jobs.Heads) error {
	var one jobs.TenantHeads
	var name *string // nil: nobody is shown
	var most *int
	var id *uuid.UUID
	var work *float32
	_, err := pgx.ForEachRow(rows, []any{&name, &most, &heads.Last, &one.Finish, &id, &work}, func() error {
		if name == nil || id == nil {
			return nil
		}
		one.Tenant = *name
		if n := len(heads.Tenants); n == 0 || heads.Tenants[n-1].Tenant != one.Tenant {
			heads.Tenants = append(heads.Tenants, one)
		}
		tenant := &heads.Tenants[len(heads.Tenants)-1]
		tenant.Requests = append(tenant.Requests, jobs.Head{RequestID: id.String(), Work: float64(orZero(work))})
		tenant.More = len(tenant.Requests) >= orZero(most)
		return nil
	})
	return err
}

func admitChosen(ctx context.Context, tx pgx.Tx, route string, chosen jobs.Admitted) (n int, err error) {
	ids, err := parseIDs(chosen.Requests)
	if err != nil {
		return 0, err
	}
	tenants, finishes := []string{""}, []float64{chosen.Clock}
	for tenant, finish := range chosen.Finish {
		tenants, finishes = append(tenants, tenant), append(finishes, finish)
	}
	var told string
	return n, tx.QueryRow(ctx, admit, route, ids, tenants, finishes).Scan(&n, &told)
}

// AdmitAll makes some of all that waits on a route available, in the order in which
// it came, and returns how many: a route that has no fair admission any more. It
// returns ErrDeposed if lead leads no more.
func (s *Store) AdmitAll(ctx context.Context, lead jobs.Lead, route string, atMost int) (n int, err error) {
	err = s.asLead(ctx, lead, "admitting all of "+route, func(tx pgx.Tx) error {
		var told string
		return tx.QueryRow(ctx, admitAll, route, atMost).Scan(&n, &told)
	})
	return n, err
}

// What lies behind the clock says no more than the clock does.
const forgetShares = `/* tidegate: forget shares */
DELETE FROM tidegate.shares s USING tidegate.shares c WHERE s.tenant <> '' AND c.route = s.route AND c.tenant = '' AND s.finish <= c.finish`
