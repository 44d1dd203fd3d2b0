package store

import (
	"context"
	"fmt"
	"time"
)

// backlogAtMost bounds what is counted of a backlog: beyond, a request hurries in
// any case.
const backlogAtMost = 200_000

// The last of each state is the end of an index: of those that are available or wait for
// their turn, who came last; of those that are parked, who is parked for the longest. All
// may be in the hands of workers, too, where they rest before they are parked.
const routeBacklog = `/* tidegate: route backlog */
WITH last AS (
	SELECT j.args FROM unnest('{available, pending, running, scheduled}'::tidegate.river_job_state[]) AS s (state)
	CROSS JOIN LATERAL (
		SELECT o.args FROM tidegate.river_job o WHERE o.state = s.state AND o.queue = $1 ORDER BY o.priority DESC, o.scheduled_at DESC, o.id DESC LIMIT 1
	) j
), due AS (
	SELECT max(r.deadline) AS at FROM last JOIN tidegate.requests r ON r.id = (last.args->>'r')::uuid
)
SELECT extract(epoch FROM due.at - now())::float8, CASE WHEN due.at IS NULL THEN 0 ELSE (
	SELECT count(*) FROM (
		SELECT FROM tidegate.river_job WHERE queue = $1 AND state IN ('available', 'pending', 'running', 'scheduled') LIMIT $2
	) counted) END
FROM due`

// RouteBacklog counts the jobs of a route that have not ended, up to some hundred
// thousand, and says how long it is until the deadline of the last of them. Where
// that has none, nothing is counted.
func (s *Store) RouteBacklog(ctx context.Context, route string) (n int, last time.Duration, err error) {
	var seconds *float64
	if err = s.pool.QueryRow(ctx, routeBacklog, route, backlogAtMost).Scan(&seconds, &n); err != nil {
		return 0, 0, fmt.Errorf("counting what waits on the route %s: %w", route, err)
	}
	if seconds == nil {
		return 0, 0, nil
	}
	return n, time.Duration(*seconds * float64(time.Second)), nil
}
