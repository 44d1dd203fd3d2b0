package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// A page of the index, and only then whether each of its requests has ended: a
// query that looked for so many open ones would read all that ended before them.
// OFFSET 0 has results and requests looked up one by one; the planner might read
// all of either instead, when statistics are old.
const (
	earliestDue = `SELECT q.deadline, q.id FROM tidegate.requests q
	WHERE (q.deadline, q.id) > (coalesce($2, now() - $1::interval), coalesce($3, '00000000-0000-0000-0000-000000000000'::uuid)) AND q.deadline <= now()
	ORDER BY q.deadline, q.id LIMIT `
	latestDue = `SELECT q.deadline, q.id FROM tidegate.requests q
	WHERE (q.deadline, q.id) < (coalesce($2, now()), coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)) AND q.deadline > now() - $1::interval
	ORDER BY q.deadline DESC, q.id DESC LIMIT `
	endDue = `), given AS MATERIALIZED (
	SELECT q.request_id, q.batch_id, q.created_at, q.tenant, q.route FROM due d
	CROSS JOIN LATERAL (SELECT o.id AS request_id, o.batch_id, o.created_at, o.tenant, o.route FROM tidegate.requests o WHERE o.id = d.id OFFSET 0) q
	WHERE NOT EXISTS (SELECT FROM tidegate.results r WHERE r.request_id = d.id OFFSET 0)
), ` + lackedMoney + `, stored AS (
	INSERT INTO tidegate.results (request_id, id, state, status, code, message, attempts, cost_micro_usd, unpriced)
	SELECT g.request_id, gen_random_uuid(), 'expired', 504, 'batch_expired',
		coalesce('` + jobs.ExpiredForMoney + `' || split_part(l.why, '` + jobs.BudgetGoesOn + `', 1), '` + jobs.Expired + `'), t.attempts, t.cost_micro_usd, t.unpriced
	FROM given g LEFT JOIN lacked l ON l.request_id = g.request_id` + triedBefore + ` ORDER BY g.request_id
	ON CONFLICT (request_id) DO NOTHING
	RETURNING request_id, state
), ` + countAndOwe + `, ` + dropWaiting + `
SELECT (SELECT count(*) FROM due), (SELECT count(*) FROM stored), l.deadline, l.id
FROM (SELECT) one LEFT JOIN `

	// lackedMoney is who of the given waits for a budget, and why: with its job, which is
	// available some seconds before its time, for its turn, or since nothing may begin
	// under a budget that is spent, unless it is being called. Where there are no budgets,
	// nobody is looked up.
	lackedMoney = `calling AS MATERIALIZED (
	SELECT c.request_id FROM tidegate.calls c WHERE c.request_id IS NOT NULL AND EXISTS (SELECT FROM tidegate.budgets)
		AND NOT EXISTS (SELECT FROM tidegate.attempts a WHERE a.request_id = c.request_id AND a.at = c.at)
), lacked AS MATERIALIZED (
	SELECT g.request_id, coalesce(
		(SELECT w.reason FROM tidegate.waiting w WHERE w.request_id = g.request_id AND starts_with(w.reason, '` + budgetReason + `')),
		(SELECT nullif(j.` + waitsWhy + `, '') FROM tidegate.river_job j WHERE j.args ->> 'r' = g.request_id::text AND j.state = 'scheduled' AND j.metadata ? '` + jobs.BudgetMark + `' LIMIT 1),
		(SELECT nullif(j.` + waitsWhy + `, '') FROM tidegate.river_job j WHERE j.args ->> 'r' = g.request_id::text AND j.state = 'available' AND j.metadata ? '` + jobs.BudgetMark + `' LIMIT 1),
		(SELECT '` + budgetReason + `' || b.scope || ' ' || b.name || ': it is spent' FROM tidegate.budgets b
			WHERE (b.scope, b.name) IN (('tenant', g.tenant), ('route', g.route), ('batch', g.batch_id)) AND ` + spentOut + ` ORDER BY b.id LIMIT 1)
	) AS why FROM given g WHERE EXISTS (SELECT FROM tidegate.budgets) AND g.request_id NOT IN (SELECT request_id FROM calling)
)`

	expireEarliest = `/* tidegate: expire */ WITH due AS MATERIALIZED (` + earliestDue + `$4` + endDue + `(SELECT deadline, id FROM due ORDER BY deadline DESC, id DESC LIMIT 1) l ON true`
	expireLatest   = `/* tidegate: expire back */ WITH due AS MATERIALIZED (` + latestDue + `$4` + endDue + `(SELECT deadline, id FROM due ORDER BY deadline, id LIMIT 1) l ON true`

	// Nearly always nothing is due, and to plan the statements above takes Postgres
	// thirty times as long as to look. EXISTS would have it leave out the order, and
	// read the table.
	anyEarliest = `/* tidegate: due */ SELECT count(*) > 0 FROM (` + earliestDue + `1) d`
	anyLatest   = `/* tidegate: due back */ SELECT count(*) > 0 FROM (` + latestDue + `1) d`
)

// Expire ends requests without a result as expired whose deadline passed, by the
// database's clock: those that it comes by in one sweep. Their River jobs stay: a
// worker that gets one finds the result. It returns ErrDeposed if held leads no
// more.
func (s *Store) Expire(ctx context.Context, held jobs.Lead, sweep jobs.Sweep) (swept jobs.Swept, err error) {
	anyDue, query := anyEarliest, expireEarliest
	if sweep.Latest {
		anyDue, query = anyLatest, expireLatest
	}
	var behind *uuid.UUID
	if sweep.Behind != (jobs.Due{}) {
		id, err := parseID(sweep.Behind.RequestID)
		if err != nil {
			return jobs.Swept{}, fmt.Errorf("expiring requests behind one: %w", err)
		}
		behind = &id
	}
	err = s.asLead(ctx, held, "expiring requests", func(tx pgx.Tx) error {
		var due bool
		if err := tx.QueryRow(ctx, anyDue, sweep.Ago, orNullTime(sweep.Behind.Deadline), behind).Scan(&due); err != nil || !due {
			return err
		}
		var deadline *time.Time
		var last *uuid.UUID
		if err := tx.QueryRow(ctx, query, sweep.Ago, orNullTime(sweep.Behind.Deadline), behind, sweep.AtMost).Scan(&swept.Seen, &swept.Ended, &deadline, &last); err != nil {
			return err
		}
		if last != nil {
			swept.Last = jobs.Due{Deadline: *deadline, RequestID: last.String()}
		}
		return nil
	})
	if err != nil {
		return jobs.Swept{}, err
	}
	return swept, nil
}
