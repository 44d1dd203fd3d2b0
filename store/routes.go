package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const saveRoute = `/* tidegate: save route */
INSERT INTO tidegate.routes (name, goal, deadline, models) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO UPDATE SET goal = excluded.goal, deadline = excluded.deadline, models = excluded.models, updated_at = now()`

// SaveRoutes tells producers which routes there are. Routes that are not named
// stay, since another worker may serve them.
func (s *Store) SaveRoutes(ctx context.Context, routes []jobs.Route) error {
	var batch pgx.Batch
	for _, r := range routes {
		batch.Queue(saveRoute, r.Name, r.Goal, orNull(r.Deadline), append([]string{}, r.Models...))
	}
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("saving %d routes: %w", len(routes), err)
	}
	return nil
}

const listRoutes = `/* tidegate: routes */ SELECT name, goal, deadline, models FROM tidegate.routes ORDER BY name`

// A Querier is a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

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
		err := row.Scan(&r.Name, &r.Goal, &deadline, &r.Models)
		r.Deadline = orZero(deadline)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("listing routes: %w", err)
	}
	return routes, nil
}
