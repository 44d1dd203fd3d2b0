package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// handsMost bounds what is counted of a route that workers have in hand.
const handsMost = 50_000

// Calls stay in their places when they have ended, until the next one comes. The orders
// have what is looked for found by River's index: where much waits on one route, the
// planner would read all of it to find nothing on another.
const routeLooks = `/* tidegate: looks */
WITH calling AS (
	SELECT c.route, count(*) AS n FROM tidegate.calls c
	WHERE NOT EXISTS (SELECT FROM tidegate.results s WHERE s.request_id = c.request_id OFFSET 0) GROUP BY c.route
)
SELECT r.name, now(),
	(SELECT true FROM tidegate.river_job WHERE state = 'available' AND queue = r.name ORDER BY priority, scheduled_at, id LIMIT 1) IS NOT NULL
		OR EXISTS (SELECT FROM tidegate.waiting w WHERE w.route = r.name AND w.not_before IS NULL),
	(SELECT count(*) FROM (SELECT FROM tidegate.river_job WHERE state = 'running' AND queue = r.name ORDER BY priority, scheduled_at, id LIMIT $1) j),
	coalesce(c.n, 0), q.paused_at IS NOT NULL, coalesce(q.updated_at > now() - $2::interval, false)
FROM tidegate.routes r LEFT JOIN calling c ON c.route = r.name LEFT JOIN tidegate.river_queue q ON q.name = r.name ORDER BY r.name`

// Looks says of each route whether there is work, in one round trip that costs the same
// whatever waits.
func (s *Store) Looks(ctx context.Context) ([]jobs.RouteLook, error) {
	rows, err := s.pool.Query(ctx, routeLooks, handsMost, 2*ServedEvery)
	if err != nil {
		return nil, fmt.Errorf("looking at the routes: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[jobs.RouteLook])
	if err != nil {
		return nil, fmt.Errorf("looking at the routes: %w", err)
	}
	return found, nil
}

const (
	// countAtMost is how long a count of what waits may take. Beyond, the last one stands.
	countAtMost = 20 * time.Second
	// strataMost bounds how many strata of a route are kept, and tenantsKept of how many
	// tenants it is known what they have.
	strataMost, tenantsKept = 64, 200
)

// Both are read from an index alone where its table was vacuumed.
const (
	countDirect = `/* tidegate: count strata */
SELECT queue, '', priority::int, min(scheduled_at), max(scheduled_at), count(*)::int FROM tidegate.river_job
WHERE state = 'available' AND queue = ANY ($1) GROUP BY queue, priority, date_bin('1 minute', scheduled_at, '2000-01-01') ORDER BY 1, 3, 4`
	countTurns = `/* tidegate: count turns */
SELECT route, tenant, 0, NULL::timestamptz, NULL::timestamptz, count(*)::int FROM tidegate.waiting
WHERE not_before IS NULL AND route = ANY ($1) GROUP BY route, tenant ORDER BY 1, 6 DESC, 2`
	countParked = `/* tidegate: count parked */
SELECT queue, count(*)::int FROM (
	SELECT queue FROM tidegate.river_job WHERE state IN ('scheduled', 'retryable') AND queue = ANY ($1)
	UNION ALL SELECT route FROM tidegate.waiting WHERE not_before IS NOT NULL AND route = ANY ($1)) p GROUP BY queue`
)

// CountQueues counts what waits on routes, in strata, into what is known of their
// progress. It reads an entry of an index for each job: a second for some millions.
func (s *Store) CountQueues(ctx context.Context, all []jobs.Progress) error {
	names := make([]string, len(all))
	byName := make(map[string]*jobs.Progress, len(all))
	for i := range all {
		names[i], byName[all[i].Route] = all[i].Route, &all[i]
	}
	err := s.within(ctx, silence, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d", countAtMost.Milliseconds())); err != nil {
			return err
		}
		var now time.Time
		if err := tx.QueryRow(ctx, readNow).Scan(&now); err != nil {
			return err
		}
		strata, parked := map[string][]jobs.Stratum{}, map[string]int{}
		for _, query := range []string{countDirect, countTurns} {
			if err := readStrata(ctx, tx, query, names, strata); err != nil {
				return err
			}
		}
		if err := readCounts(ctx, tx, countParked, names, parked); err != nil {
			return err
		}
		for name, p := range byName {
			p.CountedAt, p.Strata, p.Parked = now, jobs.MergeStrata(strata[name], strataMost, tenantsKept), parked[name]
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("counting what waits: %w", err)
	}
	return nil
}

func readStrata(ctx context.Context, tx pgx.Tx, query string, names []string, into map[string][]jobs.Stratum) error {
	rows, err := tx.Query(ctx, query, names)
	if err != nil {
		return err
	}
	var route string
	var one jobs.Stratum
	var from, to *time.Time
	_, err = pgx.ForEachRow(rows, []any{&route, &one.Tenant, &one.Priority, &from, &to, &one.Jobs}, func() error {
		one.From, one.To = orZero(from), orZero(to)
		into[route] = append(into[route], one)
		return nil
	})
	return err
}

func readCounts(ctx context.Context, tx pgx.Tx, query string, names []string, into map[string]int) error {
	rows, err := tx.Query(ctx, query, names)
	if err != nil {
		return err
	}
	var route string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&route, &n}, func() error {
		into[route] = n
		return nil
	})
	return err
}

const (
	saveProgress = `/* tidegate: save progress */
INSERT INTO tidegate.progress (route, at, seen) SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::jsonb[])
ON CONFLICT (route) DO UPDATE SET at = excluded.at, seen = excluded.seen`
	dropProgress = `/* tidegate: drop progress */ DELETE FROM tidegate.progress WHERE route <> ALL ($1)`
	listProgress = `/* tidegate: progress */ SELECT route, at, seen FROM tidegate.progress ORDER BY route`
)

// SaveProgress writes down what is known of the progress of all routes. It returns
// ErrDeposed if lead leads no more.
func (s *Store) SaveProgress(ctx context.Context, lead jobs.Lead, all []jobs.Progress) error {
	names, at, seen := make([]string, len(all)), make([]time.Time, len(all)), make([]*jobs.Progress, len(all))
	for i := range all {
		names[i], at[i], seen[i] = all[i].Route, all[i].At, &all[i]
	}
	return s.asLead(ctx, lead, "writing down the progress", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, saveProgress, names, at, seen); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, dropProgress, names)
		return err
	})
}

// Progress reads what a supervisor has seen of all routes.
func (s *Store) Progress(ctx context.Context) ([]jobs.Progress, error) {
	rows, err := s.pool.Query(ctx, listProgress)
	if err != nil {
		return nil, fmt.Errorf("reading the progress: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p jobs.Progress, err error) {
		var route string
		var at time.Time
		err = row.Scan(&route, &at, &p)
		p.Route, p.At = route, at
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the progress: %w", err)
	}
	return all, nil
}

const (
	placeProbes = 8 // requests of a batch that are looked at to know its routes

	// A version 7 UUID begins with its time: between the first and the last of a batch,
	// some are looked for at even distances.
	firstOfBatch = `/* tidegate: first of batch */ SELECT id FROM tidegate.requests WHERE batch_id = $1 ORDER BY batch_id, id LIMIT 1`
	lastOfBatch  = `/* tidegate: last of batch */
SELECT id, created_at, coalesce(priority, $2), deadline FROM tidegate.requests WHERE batch_id = $1 ORDER BY batch_id DESC, id DESC LIMIT 1`
	routesOfBatch = `/* tidegate: routes of batch */
SELECT DISTINCT q.route FROM unnest($2::uuid[]) AS p (id) CROSS JOIN LATERAL (
	SELECT route FROM tidegate.requests WHERE batch_id = $1 AND id >= p.id ORDER BY batch_id, id LIMIT 1) q ORDER BY 1`
	enqueuedOfBatch = `/* tidegate: enqueued of batch */ SELECT (SELECT enqueued FROM tidegate.batch_work WHERE batch_id = $1)`
)

// BatchTurn says where a batch stands in its queues: a look at some of its requests by
// an index, whatever its size. Of one without requests it has no route.
func (s *Store) BatchTurn(ctx context.Context, batch *jobs.Batch) (jobs.Turn, error) {
	turns, err := s.BatchTurns(ctx, []*jobs.Batch{batch})
	if err != nil {
		return jobs.Turn{}, err
	}
	return turns[0], nil
}

// BatchTurns says it of many batches, in their order, with two questions for all of them.
func (s *Store) BatchTurns(ctx context.Context, batches []*jobs.Batch) ([]jobs.Turn, error) {
	turns := make([]jobs.Turn, len(batches))
	err := s.within(ctx, silence, func(tx pgx.Tx) error {
		ends, err := readEndsOf(ctx, tx, batches, turns)
		if err != nil {
			return err
		}
		return readRoutesOf(ctx, tx, ends, turns)
	})
	if err != nil {
		return nil, fmt.Errorf("looking where batches stand: %w", err)
	}
	return turns, nil
}

// batchEnds are the first and the last request of a batch.
type batchEnds struct {
	batch       string
	first, last uuid.UUID
	known       bool
}

// readEndsOf reads all of turns but their routes.
func readEndsOf(ctx context.Context, tx pgx.Tx, batches []*jobs.Batch, turns []jobs.Turn) ([]batchEnds, error) {
	ends := make([]batchEnds, len(batches))
	var asked pgx.Batch
	for i, b := range batches {
		turn, end := &turns[i], &ends[i]
		*turn, end.batch = jobs.Turn{Tenant: b.Tenant, Own: b.Total - b.Completed - b.Failed}, b.ID
		asked.Queue(enqueuedOfBatch, b.ID).QueryRow(func(row pgx.Row) error {
			var enqueued *int
			err := row.Scan(&enqueued)
			if enqueued != nil { // it came as a file, or tries another one again
				turn.Unqueued = max(0, b.Total-*enqueued)
			}
			return err
		})
		asked.Queue(firstOfBatch, b.ID).Query(func(rows pgx.Rows) error {
			_, err := pgx.ForEachRow(rows, []any{&end.first}, func() error { end.known = true; return nil })
			return err
		})
		asked.Queue(lastOfBatch, b.ID, jobs.DefaultPriority).Query(func(rows pgx.Rows) error {
			var deadline *time.Time
			_, err := pgx.ForEachRow(rows, []any{&end.last, &turn.Last, &turn.Priority, &deadline}, func() error { return nil })
			turn.Deadline = orZero(deadline)
			return err
		})
	}
	return ends, tx.SendBatch(ctx, &asked).Close()
}

// readRoutesOf reads on which routes the requests between the first and the last of each
// batch are.
func readRoutesOf(ctx context.Context, tx pgx.Tx, ends []batchEnds, turns []jobs.Turn) error {
	var asked pgx.Batch
	for i := range ends {
		if end := &ends[i]; end.known {
			asked.Queue(routesOfBatch, end.batch, between(end.first, end.last, placeProbes)).Query(func(rows pgx.Rows) (err error) {
				turns[i].Routes, err = pgx.CollectRows(rows, pgx.RowTo[string])
				return err
			})
		}
	}
	return tx.SendBatch(ctx, &asked).Close()
}

// between are ids at even distances, with the first and the last.
func between(first, last uuid.UUID, n int) [][16]byte {
	low, high := binary.BigEndian.Uint64(first[:8]), binary.BigEndian.Uint64(last[:8])
	ids := [][16]byte{first, last}
	for i := 1; i < n-1 && high > low; i++ {
		var id [16]byte
		binary.BigEndian.PutUint64(id[:8], low+(high-low)/uint64(n-1)*uint64(i))
		ids = append(ids, id)
	}
	return ids
}
