package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

var requestColumns = []string{
	"id", "created_at", "deadline", "max_cost_micro_usd", "priority", "tenant", "route", "endpoint", "goal", "batch_id", "custom_id", "metadata", "expect", "retry_of", "body",
}

// InsertRequests writes requests by COPY in the caller's transaction. Every
// request must have its ID, Tenant and CreatedAt.
func InsertRequests(ctx context.Context, tx pgx.Tx, requests []jobs.Request) error {
	rows := pgx.CopyFromSlice(len(requests), func(i int) ([]any, error) { return requestRow(&requests[i]) })
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"tidegate", "requests"}, requestColumns, rows); err != nil {
		return fmt.Errorf("writing %d requests: %w", len(requests), err)
	}
	var traced traces
	for i := range requests {
		traced.add(&requests[i])
	}
	return traced.insert(ctx, tx)
}

func requestRow(r *jobs.Request) ([]any, error) {
	id, err := parseID(r.ID)
	if err != nil {
		return nil, err
	}
	var metadata []byte
	if len(r.Metadata) > 0 {
		if metadata, err = json.Marshal(r.Metadata); err != nil {
			return nil, fmt.Errorf("metadata of request %s: %w", r.ID, err)
		}
	}
	var expect []byte
	if r.Expect != nil {
		if expect, err = json.Marshal(r.Expect); err != nil {
			return nil, fmt.Errorf("expect of request %s: %w", r.ID, err)
		}
	}
	var retryOf *uuid.UUID
	if r.RetryOf != "" {
		of, err := parseID(r.RetryOf)
		if err != nil {
			return nil, err
		}
		retryOf = &of
	}
	return []any{
		id, r.CreatedAt, orNullTime(r.Deadline), orNull(micros(r.MaxCost)), orNull(small(r.Priority)), r.Tenant, r.Route,
		orNullEndpoint(r.Endpoint), orNull(r.Goal), orNull(r.BatchID), orNull(r.CustomID), metadata, expect, retryOf, []byte(r.Body),
	}, nil
}

func orNullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// requestFields are a request's but for its body.
const requestFields = `q.id, q.created_at, q.deadline, q.max_cost_micro_usd, q.priority, q.tenant, q.route, q.endpoint, q.goal, q.batch_id, q.custom_id, q.metadata, q.expect, q.retry_of`

const loadRequests = `/* tidegate: load requests */
SELECT ` + requestFields + `,
	CASE WHEN r.request_id IS NULL THEN q.body END, r.request_id IS NOT NULL, b.id, b.per_day, b.total, ` + spanAbove + `
FROM unnest($1::uuid[]) AS wanted (id)
JOIN tidegate.requests q ON q.id = wanted.id
LEFT JOIN tidegate.results r ON r.request_id = q.id
LEFT JOIN tidegate.budgets b ON b.scope = 'batch' AND b.name = q.batch_id AND NOT b.closed`

// Load reads requests, and whether each has its result already. The order is
// not that of ids; an id that is not there is left out.
func (s *Store) Load(ctx context.Context, ids []string) ([]jobs.Loaded, error) {
	wanted, err := parseIDs(ids)
	if err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, loadRequests, wanted)
	if err != nil {
		return nil, fmt.Errorf("loading %d requests: %w", len(ids), err)
	}
	loaded, err := pgx.CollectRows(rows, scanLoaded)
	if err != nil {
		return nil, fmt.Errorf("loading %d requests: %w", len(ids), err)
	}
	return loaded, nil
}

func scanLoaded(row pgx.CollectableRow) (jobs.Loaded, error) {
	var (
		l                       jobs.Loaded
		id                      uuid.UUID
		deadline                *time.Time
		maxCost                 *int64
		priority                *int16
		goal, batchID, customID *string
		traceparent             *string
		endpoint                *string
		metadata, expect, body  []byte
		retryOf                 *uuid.UUID
		budget                  *int32
		perDay, total           *int64
	)
	r := &l.Request
	err := row.Scan(&id, &r.CreatedAt, &deadline, &maxCost, &priority, &r.Tenant, &r.Route, &endpoint, &goal, &batchID, &customID, &metadata, &expect, &retryOf, &body, &l.Ended,
		&budget, &perDay, &total, &traceparent)
	if err != nil {
		return l, err
	}
	r.ID, r.Deadline, r.MaxCost = id.String(), orZero(deadline), jobs.MicroUSD(orZero(maxCost))
	r.Priority, r.Endpoint = int(orZero(priority)), endpointOf(endpoint)
	r.Goal, r.BatchID, r.CustomID, r.Body = orZero(goal), orZero(batchID), orZero(customID), body
	r.Traceparent = orZero(traceparent)
	if retryOf != nil {
		r.RetryOf = retryOf.String()
	}
	if budget != nil {
		l.Budget = &jobs.Budget{
			ID: *budget, BudgetKey: jobs.BudgetKey{Scope: jobs.BudgetBatch, Name: r.BatchID},
			BudgetLimits: jobs.BudgetLimits{PerDay: jobs.MicroUSD(orZero(perDay)), Total: jobs.MicroUSD(orZero(total))},
		}
	}
	if metadata != nil {
		err = json.Unmarshal(metadata, &r.Metadata)
	}
	if expect != nil && err == nil {
		err = json.Unmarshal(expect, &r.Expect)
	}
	return l, err
}

func idTexts(ids []uuid.UUID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}

const requestsOf = `/* tidegate: requests of a batch */ SELECT id::text FROM tidegate.requests WHERE batch_id = $1 ORDER BY id`

// RequestsOf lists the ids of a batch's requests, in the order in which they were
// enqueued.
func (s *Store) RequestsOf(ctx context.Context, batch string) ([]string, error) {
	rows, err := s.pool.Query(ctx, requestsOf, batch)
	if err != nil {
		return nil, fmt.Errorf("reading the requests of batch %s: %w", batch, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("reading the requests of batch %s: %w", batch, err)
	}
	return ids, nil
}
