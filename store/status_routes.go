package store

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const (
	// countedHeads is how many jobs of a queue and state are counted one by one; of more,
	// the last sample says how many. agedHeads is how many of them are asked for their age.
	countedHeads = 10_000
	agedHeads    = 500
	// countHolds is for how long a sample is as good as a count.
	countHolds = 5 * time.Minute
	// countGood is for how many times as long a count of one's own is good as it took.
	countGood  = 50
	mostCounts = 1000
)

// Queues are hopped to by River's own index, state by state, and of each the first jobs are
// looked at: what that costs does not depend on how many wait behind them.
const routeStatus = `/* tidegate: route status */
WITH RECURSIVE hop AS (
	SELECT s.state, (SELECT j.queue FROM tidegate.river_job j WHERE j.state = s.state ORDER BY j.queue LIMIT 1) AS queue
	FROM unnest('{available, retryable, scheduled, pending, running, discarded}'::tidegate.river_job_state[]) s (state)
	UNION ALL
	SELECT h.state, (SELECT j.queue FROM tidegate.river_job j WHERE j.state = h.state AND j.queue > h.queue ORDER BY j.queue LIMIT 1)
	FROM hop h WHERE h.queue IS NOT NULL
), heads AS (
	SELECT h.state, h.queue, c.n, a.oldest, a.first FROM hop h CROSS JOIN LATERAL (
		SELECT count(*) AS n FROM (SELECT FROM tidegate.river_job j WHERE j.state = h.state AND j.queue = h.queue LIMIT $1) o) c
	CROSS JOIN LATERAL (
		SELECT min(o.created_at) AS oldest, min(o.id) AS first FROM (
			SELECT j.created_at, j.id FROM tidegate.river_job j WHERE j.state = h.state AND j.queue = h.queue
			ORDER BY j.priority, j.scheduled_at, j.id LIMIT $2) o) a
	WHERE h.queue IS NOT NULL
), j AS (
	SELECT queue, coalesce(sum(n) FILTER (WHERE state NOT IN ('running', 'discarded')), 0)::bigint AS waiting,
		coalesce(sum(n) FILTER (WHERE state = 'running'), 0)::bigint AS in_hand, coalesce(sum(n) FILTER (WHERE state = 'discarded'), 0)::bigint AS discarded,
		min(oldest) FILTER (WHERE state <> 'discarded') AS oldest, min(first) AS first, bool_or(n >= $1 AND state NOT IN ('running', 'discarded')) AS more
	FROM heads GROUP BY queue
), known AS (
	SELECT name, chain, false AS retired FROM tidegate.routes
	UNION ALL -- queues of requests whose route is gone
	SELECT j.queue, '{}', true FROM j JOIN tidegate.river_job first ON first.id = j.first
	JOIN tidegate.requests r ON r.id = (first.args ->> 'r')::uuid AND r.route = j.queue
	WHERE NOT EXISTS (SELECT FROM tidegate.routes WHERE name = j.queue)
	UNION ALL
	SELECT q.name, '{}', false FROM (VALUES ('` + jobs.QuarantineQueue + `')) q (name)
	WHERE EXISTS (SELECT FROM j WHERE queue = q.name) OR EXISTS (SELECT FROM tidegate.pauses WHERE route = q.name)
		OR EXISTS (SELECT FROM tidegate.river_queue WHERE name = q.name AND paused_at IS NOT NULL)
)
SELECT known.name, known.chain, coalesce(j.waiting, 0), coalesce(j.in_hand, 0), coalesce(j.discarded, 0), known.retired, q.paused_at, q.updated_at, j.oldest,
	coalesce(j.more, false)
FROM known LEFT JOIN tidegate.river_queue q ON q.name = known.name LEFT JOIN j ON j.queue = known.name
ORDER BY known.name`

// A crowd is a route on which more wait than were counted.
type crowd struct {
	RouteStatus
	more bool
}

// readRoutes reads how routes stand. Of those on which very many wait the last sample says
// how many; where there is none, they are counted.
func (s *Store) readRoutes(ctx context.Context, tx pgx.Tx, status *Status) error {
	read, err := readCrowds(ctx, tx)
	if err != nil {
		return err
	}
	for i := range read {
		if r := &read[i]; r.more {
			if err := s.estimate(ctx, tx, r, status.At); err != nil {
				return err
			}
		}
		status.Routes = append(status.Routes, read[i].RouteStatus)
	}
	return nil
}

// readCrowds reads how routes stand, and counts the jobs of each state up to countedHeads.
func readCrowds(ctx context.Context, tx pgx.Tx) ([]crowd, error) {
	if _, err := tx.Exec(ctx, byIndex); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, routeStatus, countedHeads, agedHeads)
	if err != nil {
		return nil, err
	}
	read, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (crowd, error) {
		var r crowd
		var paused, served, oldest *time.Time
		err := row.Scan(&r.Route, &r.Chain, &r.Waiting, &r.InHand, &r.Discarded, &r.Retired, &paused, &served, &oldest, &r.more)
		r.PausedAt, r.ServedAt, r.Oldest = orZero(paused), orZero(served), orZero(oldest)
		return r, err
	})
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, byPlan)
	return read, err
}

const byPlan = `/* tidegate: by plan */ SELECT set_config('enable_seqscan', 'on', true), set_config('enable_bitmapscan', 'on', true)`

// What has ended since the sample is taken off by the next one.
const sampledWaiting = `/* tidegate: sampled waiting */
SELECT waiting, counted_at FROM tidegate.route_samples WHERE route = $1 AND at > now() - $2::interval ORDER BY at DESC LIMIT 1`

// estimate says how many wait, as of the last sample.
func (s *Store) estimate(ctx context.Context, tx pgx.Tx, r *crowd, now time.Time) error {
	rows, err := tx.Query(ctx, sampledWaiting, r.Route, countHolds)
	if err != nil {
		return err
	}
	last, err := pgx.CollectRows(rows, pgx.RowToStructByPos[sampled])
	if err != nil {
		return err
	}
	if len(last) == 0 || last[0].Waiting < r.Waiting { // or they have come since
		return s.recount(ctx, tx, r, now)
	}
	r.Waiting, r.CountedAt = last[0].Waiting, last[0].Counted
	return nil
}

// A sampled count is how many waited, and when they were counted.
type sampled struct {
	Waiting int
	Counted time.Time
}

// counts are those that this process made itself, by route. Safe for concurrent use.
type counts struct {
	mu sync.Mutex
	of map[string]recent
}

type recent struct {
	sampled
	made time.Time // by this machine's clock
	took time.Duration
}

// recount counts what waits, unless that was done a moment ago: a count is good for fifty
// times as long as it took, so that who looks again and again costs little.
func (s *Store) recount(ctx context.Context, tx pgx.Tx, r *crowd, now time.Time) error {
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	last, known := s.counts.of[r.Route]
	if known && time.Since(last.made) < countGood*last.took && last.Waiting >= r.Waiting {
		r.Waiting, r.CountedAt = last.Waiting, last.Counted
		return nil
	}
	began := time.Now()
	if err := r.count(ctx, tx, countAll); err != nil {
		return err
	}
	if s.counts.of == nil || len(s.counts.of) >= mostCounts {
		s.counts.of = map[string]recent{}
	}
	s.counts.of[r.Route] = recent{sampled{r.Waiting, now}, time.Now(), time.Since(began)}
	return nil
}

// countSome is how many are counted by who does not wait for the end of it.
const countAll, countSome = math.MaxInt64, 1_000_000

const countWaiting = `/* tidegate: count waiting */
SELECT count(*) FROM (
	SELECT FROM tidegate.river_job WHERE state IN ('available', 'retryable', 'scheduled', 'pending') AND queue = $1 LIMIT $2) j`

// count counts what waits, so many at most.
func (r *crowd) count(ctx context.Context, tx pgx.Tx, most int64) error {
	return tx.QueryRow(ctx, countWaiting, r.Route, most).Scan(&r.Waiting)
}
