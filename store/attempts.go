package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const attemptFields = `a.at, a.target, a.class, a.status, a.code, a.message, a.latency_us, a.first_byte_us,
	a.input_tokens, a.cached_input_tokens, a.output_tokens, a.reasoning_tokens, a.cost_micro_usd, a.unpriced, a.probe, a.blamed, a.propensity, a.waited_for`

const traceOf = `/* tidegate: trace */ SELECT a.request_id, ` + attemptFields + `, a.decision FROM tidegate.attempts a WHERE a.request_id = $1 ORDER BY a.at`

// Attempts lists the calls that were made for a request, oldest first, and why
// each went where it did.
func (s *Store) Attempts(ctx context.Context, requestID string) ([]jobs.Attempt, error) {
	id, err := parseID(requestID)
	if err != nil {
		return nil, err
	}
	var made []jobs.Attempt
	err = s.eachAttempt(ctx, traceOf, id, func(_ uuid.UUID, a jobs.Attempt) { made = append(made, a) })
	if err != nil {
		return nil, fmt.Errorf("reading the attempts of %s: %w", id, err)
	}
	return made, nil
}

// The time that a request was accepted at, by its producer's clock, spares the
// days before it. The planner must not think that it would rather read them all.
const histories = `/* tidegate: histories */
SELECT q.id, ` + attemptFields + `, NULL::jsonb
FROM unnest($1::uuid[]) AS wanted (id)
JOIN tidegate.requests q ON q.id = wanted.id
CROSS JOIN LATERAL (
	SELECT * FROM tidegate.attempts t WHERE t.request_id = q.id AND t.at > q.created_at - interval '1 hour' ORDER BY t.at OFFSET 0
) a
ORDER BY q.id, a.at`

// Histories reads what calls were made for requests, oldest first, by request.
// Those without any are left out, and so is why targets were chosen. It costs a few
// times what Load does.
func (s *Store) Histories(ctx context.Context, ids []string) (map[string]jobs.Trace, error) {
	wanted, err := parseIDs(ids)
	if err != nil {
		return nil, err
	}
	made := make(map[string]jobs.Trace)
	err = s.eachAttempt(ctx, histories, wanted, func(id uuid.UUID, a jobs.Attempt) {
		made[id.String()] = append(made[id.String()], jobs.Step{Attempt: &a})
	})
	if err != nil {
		return nil, fmt.Errorf("reading the attempts of %d requests: %w", len(ids), err)
	}
	return made, nil
}

func (s *Store) eachAttempt(ctx context.Context, query string, arg any, take func(uuid.UUID, jobs.Attempt)) error {
	rows, err := s.pool.Query(ctx, query, arg)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		id, attempt, err := scanAttempt(rows)
		if err != nil {
			return err
		}
		take(id, attempt)
	}
	return rows.Err()
}

func scanAttempt(row pgx.Row) (id uuid.UUID, a jobs.Attempt, err error) {
	a, err = scanFields(row, &id)
	return id, a, err
}

// scanFields scans what is first, and attemptFields with a decision after it.
func scanFields(row pgx.Row, first any) (a jobs.Attempt, err error) {
	var status *int16
	var code, message, waitedFor *string
	var latency, cost int64
	var firstByte *int64
	err = row.Scan(first, &a.At, &a.Target, &a.Class, &status, &code, &message, &latency, &firstByte, &a.Usage.Input, &a.Usage.CachedInput,
		&a.Usage.Output, &a.Usage.Reasoning, &cost, &a.Unpriced, &a.Probe, &a.Blamed, &a.Propensity, &waitedFor, &a.Decision)
	a.Status, a.Code, a.Message, a.Cost = int(orZero(status)), orZero(code), orZero(message), jobs.MicroUSD(cost)
	a.WaitedFor = jobs.WaitedFor(orZero(waitedFor))
	a.Latency, a.FirstByte = time.Duration(latency)*time.Microsecond, time.Duration(orZero(firstByte))*time.Microsecond
	return a, err
}

// triedBefore joins t to the rows of a given g, which must name request_id and
// created_at: how many calls were made for each, and what they cost. Most have
// none, and only the days since they were accepted are looked at, as in histories.
const triedBefore = `
	CROSS JOIN LATERAL (
		SELECT least(count(*), 32767) AS attempts, coalesce(sum(a.cost_micro_usd), 0) AS cost_micro_usd, coalesce(bool_or(a.unpriced), false) AS unpriced
		FROM tidegate.attempts a WHERE a.request_id = g.request_id AND a.at > g.created_at - interval '1 hour'
	) t`
