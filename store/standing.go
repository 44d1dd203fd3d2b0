package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// A Standing is a request, and where it stands.
type Standing struct {
	Request jobs.Request      // without its body, and without what it expects
	Running bool              // a call is under way
	Result  *jobs.ResultEvent // nil: it has none yet
}

// What one that has not ended does is asked of few rows: those of calls are the
// workers' places.
const (
	standingFacts = `q.id, q.created_at, q.deadline, q.max_cost_micro_usd, q.priority, q.goal,
	r.request_id IS NULL AND ` + underWay + `, ` + resultFacts
	underWay = `EXISTS (SELECT FROM tidegate.calls c JOIN tidegate.workers w ON w.id = c.worker
		WHERE c.request_id = q.id AND w.dead_at IS NULL
			AND NOT EXISTS (SELECT FROM tidegate.attempts a WHERE a.request_id = c.request_id AND a.at = c.at))`
	standingByID = `/* tidegate: standing */
SELECT ` + standingFacts + `, r.body
FROM tidegate.requests q LEFT JOIN tidegate.results r ON r.request_id = q.id WHERE q.id = $1 AND q.tenant = $2`
)

// Standing reads where a tenant's request stands. It returns ErrNotFound if the tenant
// has no such request.
func (s *Store) Standing(ctx context.Context, tenant, requestID string) (Standing, error) {
	id, err := parseID(requestID)
	if err != nil {
		return Standing{}, err
	}
	rows, err := s.pool.Query(ctx, standingByID, id, tenant)
	if err != nil {
		return Standing{}, fmt.Errorf("reading request %s: %w", id, err)
	}
	standing, err := pgx.CollectExactlyOneRow(rows, scanStanding)
	if err != nil {
		return Standing{}, fmt.Errorf("reading request %s: %w", id, noRows(err))
	}
	return standing, nil
}

func scanStanding(row pgx.CollectableRow) (Standing, error) {
	var (
		s        Standing
		result   resultRow
		deadline *time.Time
		maxCost  *int64
		priority *int16
		goal     *string
	)
	r := &s.Request
	fields := []any{&result.requestID, &r.CreatedAt, &deadline, &maxCost, &priority, &goal, &s.Running}
	if err := row.Scan(append(fields, result.fields()...)...); err != nil {
		return s, err
	}
	r.ID, r.Deadline, r.MaxCost = result.requestID.String(), orZero(deadline), jobs.MicroUSD(orZero(maxCost))
	r.Priority, r.Goal = int(orZero(priority)), orZero(goal)
	r.Endpoint = endpointOf(result.endpoint)
	r.Tenant, r.Route, r.BatchID, r.CustomID = orZero(result.tenant), orZero(result.route), orZero(result.batchID), orZero(result.customID)
	if result.metadata != nil {
		if err := json.Unmarshal(result.metadata, &r.Metadata); err != nil {
			return s, fmt.Errorf("metadata: %w", err)
		}
	}
	if result.id == nil {
		return s, nil
	}
	event, err := result.event()
	s.Result = &event
	return s, err
}
