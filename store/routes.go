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
INSERT INTO tidegate.routes AS r (name, goal, deadline, models, chain, goals, admission, plan, endpoints) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (name) DO UPDATE SET goal = excluded.goal, deadline = excluded.deadline, models = excluded.models, chain = excluded.chain,
	goals = excluded.goals, admission = excluded.admission, plan = excluded.plan, endpoints = excluded.endpoints,
	planned_at = CASE WHEN r.plan IS DISTINCT FROM excluded.plan THEN now() ELSE r.planned_at END, updated_at = now()`

// justPlanned is how long after a plan changed a worker that starts gives back what
// waits: those that it follows may have worked by another plan up to their end.
const justPlanned = 15 * time.Minute

// SaveRoutes tells producers which routes there are. Routes that are not named
// stay, since another worker may serve them. What waits on one whose plan changes, or
// has just changed, goes back to its queue: it may be another matter now.
func (s *Store) SaveRoutes(ctx context.Context, routes []jobs.Route) error {
	return s.sendRoutes(ctx, saveRoute, justPlanned, routes)
}

const keepRoute = `/* tidegate: keep route */
UPDATE tidegate.routes r SET goal = $2, deadline = $3, models = $4, chain = $5, goals = $6, admission = $7, plan = $8, endpoints = $9,
	planned_at = CASE WHEN r.plan IS DISTINCT FROM $8::text THEN now() ELSE r.planned_at END, updated_at = now()
WHERE name = $1 AND (goal, deadline, models, chain, goals, admission, plan, endpoints) IS DISTINCT FROM
	($2::text, $3::interval, $4::text[], $5::text[], $6::text[], $7::text, $8::text, $9::text[])`

// KeepRoutes says again what SaveRoutes did, so that of workers with different
// configurations those that live have the last word. A route that was retired
// since stays so.
func (s *Store) KeepRoutes(ctx context.Context, routes []jobs.Route) error {
	return s.sendRoutes(ctx, keepRoute, 0, routes)
}

// An older program says chains and no plans.
const otherPlans = `/* tidegate: routes with other plans */
SELECT coalesce(array_agg(name), '{}') FROM tidegate.routes r JOIN unnest($1::text[], $2::text[], $3::text[]) AS g (name, plan, chain) USING (name)
WHERE r.plan IS DISTINCT FROM g.plan OR array_to_string(r.chain, ' ') <> g.chain OR r.planned_at > now() - $4::interval`

// sendRoutes sends them in the order of their names: their rows are locked until
// the last one is written, and two workers must not wait for each other. Before it
// says another plan it gives back what waits: who does not come so far does it again.
func (s *Store) sendRoutes(ctx context.Context, statement string, fresh time.Duration, routes []jobs.Route) error {
	if err := s.unparkPlanned(ctx, fresh, routes); err != nil {
		return err
	}
	byName := func(a, b jobs.Route) int { return strings.Compare(a.Name, b.Name) }
	var batch pgx.Batch
	for _, r := range slices.SortedFunc(slices.Values(routes), byName) {
		batch.Queue(statement, r.Name, r.Goal, orNull(r.Deadline), append([]string{}, r.Models...), chainNames(r.Chain), append([]string{}, r.Goals...),
			cmp.Or(r.Admission, jobs.AdmissionDirect), r.Plan(), endpointTexts(r.Serves()))
	}
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("saving %d routes: %w", len(routes), err)
	}
	return nil
}

// unparkPlanned gives back what waits on those routes whose plan is another one than
// was said last, or was for less than that.
func (s *Store) unparkPlanned(ctx context.Context, fresh time.Duration, routes []jobs.Route) error {
	names, plans, chains := make([]string, len(routes)), make([]string, len(routes)), make([]string, len(routes))
	for i := range routes {
		names[i], plans[i], chains[i] = routes[i].Name, routes[i].Plan(), strings.Join(chainNames(routes[i].Chain), " ")
	}
	var changed []string
	if err := s.pool.QueryRow(ctx, otherPlans, names, plans, chains, fresh).Scan(&changed); err != nil {
		return fmt.Errorf("looking for routes that change: %w", err)
	}
	if len(changed) == 0 {
		return nil
	}
	_, err := s.UnparkRoutes(ctx, changed)
	return err
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
