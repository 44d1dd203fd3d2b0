package store

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"tidegate/jobs"
)

const resultFields = resultFacts + `, r.body`

// resultFacts is all but the answer itself.
const resultFacts = `q.tenant, q.route, q.endpoint, q.batch_id, q.custom_id, q.metadata,
	r.id, r.stored_at, r.state, r.status, r.target, r.model, r.provider_id, r.finish_reason, r.input_tokens, r.cached_input_tokens,
	r.output_tokens, r.reasoning_tokens, r.class, r.code, r.message, r.cost_micro_usd, r.unpriced, r.attempts, r.bad_answers, coalesce(octet_length(r.body), 0)`

// A Filter chooses results; what is left empty does not matter.
type Filter struct {
	RequestID string
	BatchID   string
	Tenant    string
	Route     string
	State     jobs.State
	Since     time.Time // stored at this time or later
	Limit     int       // zero: all
}

// Results streams the results that filter chooses, whole, in the order in which
// their requests were accepted. It ends at the first error.
func (s *Store) Results(ctx context.Context, filter Filter) iter.Seq2[jobs.ResultEvent, error] {
	return func(yield func(jobs.ResultEvent, error) bool) {
		query, args, err := filter.query()
		if err != nil {
			yield(jobs.ResultEvent{}, err)
			return
		}
		rows, err := s.pool.Query(ctx, query, args...)
		if err != nil {
			yield(jobs.ResultEvent{}, fmt.Errorf("reading results: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			var row resultRow
			if err := rows.Scan(append([]any{&row.requestID}, row.fields()...)...); err != nil {
				yield(jobs.ResultEvent{}, fmt.Errorf("reading a result: %w", err))
				return
			}
			if event, err := row.event(); !yield(event, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(jobs.ResultEvent{}, fmt.Errorf("reading results: %w", err))
		}
	}
}

func (f Filter) query() (string, []any, error) {
	var where []string
	var args []any
	add := func(condition string, arg any) {
		args = append(args, arg)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	if f.RequestID != "" {
		id, err := parseID(f.RequestID)
		if err != nil {
			return "", nil, err
		}
		add("r.request_id = $%d::uuid", id)
	}
	if f.BatchID != "" {
		add("q.batch_id = $%d", f.BatchID)
	}
	if f.Tenant != "" {
		add("q.tenant = $%d", f.Tenant)
	}
	if f.Route != "" {
		add("q.route = $%d", f.Route)
	}
	if f.State != "" {
		add("r.state = $%d", string(f.State))
	}
	if !f.Since.IsZero() {
		add("r.stored_at >= $%d", f.Since)
	}
	query := "/* tidegate: results */ SELECT q.id, " + resultFields + " FROM tidegate.results r JOIN tidegate.requests q ON q.id = r.request_id"
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	query += " ORDER BY q.id"
	if f.Limit > 0 {
		query += fmt.Sprintf(" LIMIT %d", f.Limit)
	}
	return query, args, nil
}

const oweAgain = `/* tidegate: owe again */
INSERT INTO tidegate.outbox (request_id)
SELECT r.request_id FROM tidegate.results r JOIN tidegate.requests q ON q.id = r.request_id
WHERE NOT EXISTS (SELECT FROM tidegate.batches b WHERE b.id = q.batch_id AND b.removed_at IS NOT NULL) AND `

// Republish owes the events of a batch's results, or of one request's, to NATS
// once more, under the ids that they have, and returns how many.
func (s *Store) Republish(ctx context.Context, batchID, requestID string) (int, error) {
	condition, arg := "q.batch_id = $1", any(batchID)
	if requestID != "" {
		id, err := parseID(requestID)
		if err != nil {
			return 0, err
		}
		condition, arg = "r.request_id = $1", id
	}
	done, err := s.pool.Exec(ctx, oweAgain+condition, arg)
	if err != nil {
		return 0, fmt.Errorf("republishing results: %w", err)
	}
	return int(done.RowsAffected()), nil
}
