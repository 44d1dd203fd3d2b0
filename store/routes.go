package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const saveRoute = `/* tidegate: save route */
INSERT INTO tidegate.routes (name, goal, deadline, models, chain, goals, admission, endpoints) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (name) DO UPDATE SET goal = excluded.goal, deadline = excluded.deadline, models = excluded.models, chain = excluded.chain,
	goals = excluded.goals, admission = excluded.admission, endpoints = excluded.endpoints, updated_at = now()`

// SaveRoutes tells producers which routes there are. Routes that are not named
// stay, since another worker may serve them. What waits for a target of a chain
// that changes goes back to its queue: it may find another one there.
func (s *Store) SaveRoutes(ctx context.Context, routes []jobs.Route) error {
	return s.sendRoutes(ctx, saveRoute, routes)
}

const keepRoute = `/* tidegate: keep route */
UPDATE tidegate.routes SET goal = $2, deadline = $3, models = $4, chain = $5, goals = $6, admission = $7, endpoints = $8, updated_at = now()
WHERE name = $1 AND (goal, deadline, models, chain, goals, admission, endpoints) IS DISTINCT FROM
	($2::text, $3::interval, $4::text[], $5::text[], $6::text[], $7::text, $8::text[])`

// KeepRoutes says again what SaveRoutes did, so that of workers with different
// configurations those that live have the last word. A route that was retired
// since stays so.
func (s *Store) KeepRoutes(ctx context.Context, routes []jobs.Route) error {
	return s.sendRoutes(ctx, keepRoute, routes)
}

// sendRoutes sends them in the order of their names: their rows are locked until
// the last one is written, and two workers must not wait for each other.
func (s *Store) sendRoutes(ctx context.Context, statement string, routes []jobs.Route) error {
	byName := func(a, b jobs.Route) int { return strings.Compare(a.Name, b.Name) }
	var batch pgx.Batch
	for _, r := range slices.SortedFunc(slices.Values(routes), byName) {
		batch.Queue(unparkRoute, r.Name, chainNames(r.Chain))
		batch.Queue(unparkWaitingRoute, r.Name, chainNames(r.Chain))
		batch.Queue(statement, r.Name, r.Goal, orNull(r.Deadline), append([]string{}, r.Models...), chainNames(r.Chain), append([]string{}, r.Goals...),
			cmp.Or(r.Admission, jobs.AdmissionDirect), endpointTexts(r.Serves()))
	}
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("saving %d routes: %w", len(routes), err)
	}
	return nil
}

func chainNames(chain []*jobs.Target) []string {
	names := make([]string, len(chain))
	for i, target := range chain {
		names[i] = target.Name
	}
	return names
}

const retireRoute = `/* tidegate: retire route */ DELETE FROM tidegate.routes WHERE name = $1`

const waitOnRoute = `/* tidegate: wait on route */
SELECT count(*) FROM tidegate.river_job WHERE queue = $1 AND finalized_at IS NULL`

// RetireRoute takes a route away from producers, who learn it within half a
// minute. Requests that were accepted stay, and a worker that serves the route
// works them; waiting is how many there are. A worker or a migration whose
// configuration has the route announces it again when it starts, and only then. It
// returns
// ErrNotFound if there is no such route.
func (s *Store) RetireRoute(ctx context.Context, name string) (waiting int, err error) {
	err = s.within(ctx, silence, func(tx pgx.Tx) error {
		done, err := tx.Exec(ctx, retireRoute, name)
		if err != nil {
			return err
		}
		if done.RowsAffected() == 0 {
			return ErrNotFound
		}
		return tx.QueryRow(ctx, waitOnRoute, name).Scan(&waiting)
	})
	if err != nil {
		return 0, fmt.Errorf("retiring the route %q: %w", name, err)
	}
	return waiting, nil
}

const listRoutes = `/* tidegate: routes */
SELECT name, goal, deadline, models, goals, CASE admission WHEN 'direct' THEN '' ELSE admission END,
	coalesce(endpoints, '{/v1/chat/completions}') FROM tidegate.routes ORDER BY name`

// A Querier is a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Routes lists the routes as Routes does.
func (s *Store) Routes(ctx context.Context) ([]jobs.Route, error) { return Routes(ctx, s.pool) }

// Routes lists the routes that producers may name, without their chains, which
// are the workers' business.
func Routes(ctx context.Context, db Querier) ([]jobs.Route, error) {
	rows, err := db.Query(ctx, listRoutes)
	if err != nil {
		return nil, fmt.Errorf("listing routes: %w", err)
	}
	routes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (jobs.Route, error) {
		var r jobs.Route
		var deadline *time.Duration
		var endpoints []string
		err := row.Scan(&r.Name, &r.Goal, &deadline, &r.Models, &r.Goals, &r.Admission, &endpoints)
		r.Endpoints = endpointsOf(endpoints)
		r.Deadline = orZero(deadline)
		if len(r.Goals) == 0 {
			r.Goals = nil
		}
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("listing routes: %w", err)
	}
	return routes, nil
}
