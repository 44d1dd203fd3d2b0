package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const beat = `/* tidegate: beat */
INSERT INTO tidegate.workers AS w (id, beats, demand, accepted, announced, unreached, statistics, ended, endpoints, version, desk) VALUES ($1, 1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (id) DO UPDATE SET beats = w.beats + 1, beat_at = now(),
	demand = excluded.demand, accepted = excluded.accepted, announced = excluded.announced, unreached = excluded.unreached,
	statistics = excluded.statistics, ended = excluded.ended
RETURNING dead_at IS NOT NULL`

const beatAgain = `/* tidegate: beat again */
UPDATE tidegate.workers SET beats = beats + 1, beat_at = now(), demand = $2, accepted = $3, announced = $4, unreached = $5, statistics = $6, ended = $7
WHERE id = $1 RETURNING dead_at IS NOT NULL`

// Beat tells the fleet that a worker lives, and what it says of itself. It
// returns true if the worker was declared dead: it stays so, however often it
// beats, and also when the fleet has forgotten it since, as one that was frozen
// for days.
func (s *Store) Beat(ctx context.Context, b jobs.Beat) (dead bool, err error) {
	statement, args := beat, []any{b.Worker, orEmpty(b.Demand), orEmpty(b.Accepted), orEmpty(b.Announced), append([]string{}, b.Unreached...), b.Statistics, orEmpty(b.Ended)}
	if b.Again {
		statement = beatAgain
	} else {
		args = append(args, jobs.EndpointPaths(), b.Version, b.Desk)
	}
	err = s.pool.QueryRow(ctx, statement, args...).Scan(&dead)
	if errors.Is(err, pgx.ErrNoRows) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("beating for worker %s: %w", b.Worker, err)
	}
	return dead, nil
}

// orEmpty makes nil an empty map, which JSON does not write as null.
func orEmpty[V any](values map[string]V) map[string]V {
	if values == nil {
		return map[string]V{}
	}
	return values
}

const (
	freeLease  = `/* tidegate: free lease */ UPDATE tidegate.leases SET holder = '', expires_at = now() WHERE holder = $1`
	dropWorker = `/* tidegate: drop worker */ DELETE FROM tidegate.workers WHERE id = $1 AND dead_at IS NULL`
	dropCalls  = `/* tidegate: drop calls */ DELETE FROM tidegate.calls WHERE worker = $1`
	freeProbes = `/* tidegate: free probes */
WITH held AS (SELECT target FROM tidegate.circuits WHERE prober = $1 ORDER BY target FOR UPDATE)
UPDATE tidegate.circuits c SET prober = NULL, state = CASE c.state WHEN 'half-open' THEN 'open' ELSE c.state END, updated_at = now()
FROM held WHERE c.target = held.target`
)

// Leave is the orderly end of a worker that has no job left: the fleet forgets
// it, its lease, its probes and its calls. One that was declared dead stays so
// for as long as others are. It may be repeated.
func (s *Store) Leave(ctx context.Context, worker string) error {
	err := s.within(ctx, silence, func(tx pgx.Tx) error {
		for _, statement := range []string{freeLease, dropWorker, freeProbes, dropCalls} {
			if _, err := tx.Exec(ctx, statement, worker); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("leaving the fleet as %s: %w", worker, err)
	}
	return nil
}

// The worker's row is locked against a rescue, and not against its own beats: a
// rescue either sees these calls, or they are refused. Of two calls in one place
// the later one stays. A call without a request frees its place.
const begin = `/* tidegate: begin calls */
WITH given AS (
	SELECT * FROM unnest($2::int[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[]) WITH ORDINALITY AS g (slot, request_id, target, route, at, n)
), ` + beginGiven + `, placed AS (
	INSERT INTO tidegate.calls (worker, slot, request_id, target, route, at)
	SELECT alive.id, slot, request_id, target, route, at FROM begun, alive
	ON CONFLICT (worker, slot) DO UPDATE SET request_id = excluded.request_id, target = excluded.target, route = excluded.route,
		at = excluded.at, began_at = excluded.began_at, reserved = 0
)
` + sayBegun

const (
	beginGiven = `alive AS (
	SELECT id FROM tidegate.workers WHERE id = $1 AND dead_at IS NULL FOR KEY SHARE
), ended AS (
	SELECT DISTINCT r.request_id FROM given g JOIN tidegate.results r USING (request_id)
), begun AS (
	SELECT DISTINCT ON (slot) * FROM given
	WHERE request_id IS NOT NULL AND NOT EXISTS (SELECT FROM ended e WHERE e.request_id = given.request_id) ORDER BY slot, n DESC
), freed AS (
	DELETE FROM tidegate.calls c USING given g
	WHERE g.request_id IS NULL AND c.worker = $1 AND c.slot = g.slot AND NOT EXISTS (SELECT FROM begun b WHERE b.slot = g.slot)
)`
	sayBegun = `SELECT (SELECT count(*) FROM alive), ARRAY(SELECT request_id FROM ended)`
)

// Begin writes down calls that are about to be sent, and returns the ids of those
// requests among them that have their result already: these it does not write,
// and no call may be sent for them. It returns ErrDead, and writes nothing, for a
// worker that was declared dead or has not beaten yet: then no call may be sent
// at all. It may be repeated.
func (s *Store) Begin(ctx context.Context, worker string, calls []jobs.Begun) (ended []string, err error) {
	columns, err := layCalls(calls)
	if err != nil {
		return nil, fmt.Errorf("beginning %d calls: %w", len(calls), err)
	}
	ended, err = began(s.pool.QueryRow(ctx, begin, columns.args(worker)...))
	if err != nil {
		return nil, fmt.Errorf("beginning %d calls as %s: %w", len(calls), worker, err)
	}
	return ended, nil
}

// began reads what a statement that begins calls says: whose requests have ended,
// or jobs.ErrDead.
func began(row pgx.Row, more ...any) ([]string, error) {
	var alive int
	var done []uuid.UUID
	if err := row.Scan(append([]any{&alive, &done}, more...)...); err != nil {
		return nil, err
	}
	if alive == 0 {
		return nil, jobs.ErrDead
	}
	return idTexts(done), nil
}

// callColumns are calls laid out by column.
type callColumns struct {
	slots           []int32
	ids             []*[16]byte // nil: the place becomes free
	targets, routes []string
	at              []time.Time
}

func layCalls(calls []jobs.Begun) (callColumns, error) {
	c := callColumns{
		slots: make([]int32, len(calls)), ids: make([]*[16]byte, len(calls)),
		targets: make([]string, len(calls)), routes: make([]string, len(calls)), at: make([]time.Time, len(calls)),
	}
	for i, call := range calls {
		c.slots[i], c.targets[i], c.routes[i], c.at[i] = count(call.Slot), call.Target, call.Route, call.At
		if call.RequestID == "" {
			continue
		}
		id, err := parseID(call.RequestID)
		if err != nil {
			return c, err
		}
		c.ids[i] = (*[16]byte)(&id)
	}
	return c, nil
}

func (c *callColumns) args(worker string) []any {
	return []any{worker, c.slots, c.ids, c.targets, c.routes, c.at}
}

const (
	forgetWorkers  = `/* tidegate: forget workers */ DELETE FROM tidegate.workers WHERE dead_at < now() - interval '1 day'`
	forgetSuspects = `/* tidegate: forget suspects */ DELETE FROM tidegate.suspects WHERE last_at < now() - interval '7 days'`
)

// Forget drops workers that have been dead for a day, and suspects that have
// not been near a death for a week, what fair clocks need of tenants no more, and
// closes the budgets of batches that have ended. It returns ErrDeposed if lead leads no more.
func (s *Store) Forget(ctx context.Context, lead jobs.Lead) error {
	return s.asLead(ctx, lead, "forgetting the dead", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, forgetWorkers); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, forgetSuspects); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, forgetShares); err != nil {
			return err
		}
		return s.closeBudgets(ctx, tx)
	})
}
