package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// sinceMost bounds what is counted that came since the last count, of each route, priority
// and admission: more makes little difference, and the next count has it.
const sinceMost = 20_000

// What came last is the end of River's index, of each priority by itself: what lies before
// it is not read, however much that is. A job that is parked has a time that has not come.
const countSince = `/* tidegate: count since */
WITH since AS MATERIALIZED (
	SELECT r.name, r.admission = '` + jobs.AdmissionFair + `' AS fair, p.priority, g.counted_at
	FROM unnest($1::text[], $2::timestamptz[]) AS g (name, counted_at) JOIN tidegate.routes r ON r.name = g.name CROSS JOIN generate_series(1, 4) AS p (priority)
), turns AS (
	SELECT s.name, w.tenant FROM since s CROSS JOIN LATERAL (
		SELECT j.args FROM tidegate.river_job j
		WHERE s.fair AND j.state = 'pending' AND j.queue = s.name AND j.priority = s.priority AND j.scheduled_at > s.counted_at AND j.scheduled_at <= now()
		ORDER BY j.priority, j.scheduled_at, j.id LIMIT $3) j
	CROSS JOIN LATERAL (SELECT w.tenant FROM tidegate.waiting w WHERE w.request_id = (j.args->>'r')::uuid AND w.not_before IS NULL LIMIT 1) w
)
SELECT s.name, '', s.priority, min(j.scheduled_at), max(j.scheduled_at), count(*)::int FROM since s CROSS JOIN LATERAL (
	SELECT j.scheduled_at FROM tidegate.river_job j
	WHERE NOT s.fair AND j.state = 'available' AND j.queue = s.name AND j.priority = s.priority AND j.scheduled_at > s.counted_at AND j.scheduled_at <= now()
	ORDER BY j.priority, j.scheduled_at, j.id LIMIT $3) j
GROUP BY s.name, s.priority, date_bin('1 minute', j.scheduled_at, '2000-01-01')
UNION ALL SELECT name, tenant, 0, NULL, NULL, count(*)::int FROM turns GROUP BY name, tenant
UNION ALL SELECT '', '', 0, now(), now(), 0
ORDER BY 1, 3, 4, 2`

// CountSince counts what came on routes since what waits there was counted, and waits,
// into what is known of their progress. It costs the same whatever waits, and little where
// little came. Who commits later what came before the count is known by the next one.
func (s *Store) CountSince(ctx context.Context, all []jobs.Progress) error {
	names, counted := make([]string, len(all)), make([]time.Time, len(all))
	byName := make(map[string]*jobs.Progress, len(all))
	for i := range all {
		p := &all[i]
		names[i], counted[i], byName[p.Route] = p.Route, p.CountedAt, p
		p.Since = nil
	}
	rows, err := s.pool.Query(ctx, countSince, names, counted, sinceMost)
	if err != nil {
		return fmt.Errorf("counting what came since: %w", err)
	}
	var route string
	var one jobs.Stratum
	var from, to *time.Time
	_, err = pgx.ForEachRow(rows, []any{&route, &one.Tenant, &one.Priority, &from, &to, &one.Jobs}, func() error {
		if one.From, one.To = orZero(from), orZero(to); route == "" { // the time, and no route
			for i := range all {
				all[i].SinceAt = one.From
			}
			return nil
		}
		byName[route].Since = append(byName[route].Since, one)
		return nil
	})
	if err != nil {
		return fmt.Errorf("counting what came since: %w", err)
	}
	return nil
}
