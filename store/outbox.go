package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// Each row looks its result up by key (LATERAL with LIMIT says so): the planner,
// which has not seen a fresh table grow, would read all of requests instead.
// Rows are locked, not marked: a relay that dies leaves them as they were, and
// another one passes over those that are being sent. Rows of a kind that this
// program does not know are left to one that does.
const takeOutbox = `/* tidegate: take outbox */
SELECT o.id, o.request_id, o.event, o.batch_id, o.batch_state, o.created_at, ` + spanOwed + `,
	q.tenant, q.route, q.endpoint, q.batch_id, q.custom_id, q.metadata,
	r.id, r.stored_at, r.state, r.status, r.target, r.model, r.provider_id, r.finish_reason, r.input_tokens, r.cached_input_tokens,
	r.output_tokens, r.reasoning_tokens, r.class, r.code, r.message, r.cost_micro_usd, r.unpriced, r.attempts, r.bad_answers,
	coalesce(octet_length(r.body), 0), CASE WHEN octet_length(r.body) <= $2 THEN r.body END,
	b.tenant, b.total, b.completed, b.failed, b.created_at, b.ended_at, b.retry_of,
	coalesce(b.input_file_id, b.retry ->> 'input_file_id'), b.output_file_id, b.error_file_id
FROM (
	SELECT * FROM tidegate.outbox
	WHERE id > $3 AND (request_id IS NOT NULL OR batch_id IS NOT NULL OR event ->> 'type' IN ('circuit', 'pause', 'budget'))
	ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
) o
LEFT JOIN LATERAL (SELECT * FROM tidegate.requests WHERE id = o.request_id LIMIT 1) q ON true
LEFT JOIN LATERAL (SELECT * FROM tidegate.results WHERE request_id = o.request_id LIMIT 1) r ON true
LEFT JOIN LATERAL (SELECT * FROM tidegate.batches WHERE id = o.batch_id LIMIT 1) b ON true
ORDER BY o.id`

const dropOutbox = `/* tidegate: drop outbox */ DELETE FROM tidegate.outbox WHERE id = ANY ($1)`

// relaySilence leaves time for the events to be sent: a relay waits a few seconds
// for acknowledgements.
const relaySilence = 15 * time.Second

// Relay hands up to limit events that owe a message to send, oldest first, and
// forgets those that send says were acknowledged (one answer for each event, in
// the same order), also if send returns an error beside. What was not
// acknowledged stays for another time. Events up to the one numbered behind, and
// those that another relay has in hand, are passed over. It returns the number of
// the last event that it took, to go on behind it, and the error of send; zero:
// there are no more.
func (s *Store) Relay(ctx context.Context, behind int64, limit int, send func([]jobs.Event) ([]bool, error)) (int64, error) {
	var last int64
	var unsent error
	err := s.within(ctx, relaySilence, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, takeOutbox, limit, jobs.MaxEventBody, behind)
		if err != nil {
			return err
		}
		owed, err := pgx.CollectRows(rows, scanOwed)
		if err != nil || len(owed) == 0 {
			return err
		}
		if len(owed) == limit {
			last = owed[limit-1].id
		}
		var acknowledged []int64
		acknowledged, unsent = sendOwed(owed, send)
		_, err = tx.Exec(ctx, dropOutbox, acknowledged)
		return err
	})
	if err != nil {
		last = 0 // of a database that is away
	}
	if err = errors.Join(err, unsent); err != nil {
		return last, fmt.Errorf("relaying the outbox: %w", err)
	}
	return last, nil
}

type owedRow struct {
	id    int64
	event jobs.Event
	gone  bool // what it is about was removed: nobody can tell it any more
}

func sendOwed(owed []owedRow, send func([]jobs.Event) ([]bool, error)) ([]int64, error) {
	var ids, asked []int64
	events := make([]jobs.Event, 0, len(owed))
	for i := range owed {
		if owed[i].gone {
			ids = append(ids, owed[i].id)
			continue
		}
		events, asked = append(events, owed[i].event), append(asked, owed[i].id)
	}
	if len(events) == 0 {
		return ids, nil
	}
	sent, err := send(events)
	if len(sent) > len(events) {
		return nil, errors.New("more acknowledgements than events")
	}
	for i, ok := range sent {
		if ok {
			ids = append(ids, asked[i])
		}
	}
	return ids, err
}

func scanOwed(row pgx.CollectableRow) (owedRow, error) {
	var (
		owed      owedRow
		requestID *uuid.UUID
		fact      []byte
		batch     batchRow
		files     batchFiles
		result    resultRow
		createdAt time.Time
		traced    *string
	)
	fields := append(append([]any{&owed.id, &requestID, &fact, &batch.id, &batch.state, &createdAt, &traced}, result.fields()...), batch.fields()...)
	err := row.Scan(append(fields, files.fields()...)...)
	if err != nil {
		return owed, err
	}
	if fact != nil {
		owed.event = readFact(fact)
		return owed, nil
	}
	if requestID == nil {
		if owed.gone = batch.tenant == nil; owed.gone {
			return owed, nil
		}
		b := batch.value()
		b.Order = files.order()
		owed.event.Batch = &jobs.BatchEvent{Batch: b, Traceparent: orZero(traced)}
		return owed, nil
	}
	if owed.gone = result.id == nil; owed.gone {
		return owed, nil
	}
	result.requestID = *requestID
	event, err := result.event()
	event.Traceparent = orZero(traced)
	owed.event.Result = &event
	return owed, err
}

// batchFiles are what an event says of a batch that came as a file, or tries another
// one again.
type batchFiles struct{ input, output, faults *string }

func (f *batchFiles) fields() []any { return []any{&f.input, &f.output, &f.faults} }

// order is nil of a batch without files.
func (f *batchFiles) order() *jobs.BatchOrder {
	if f.input == nil && f.output == nil && f.faults == nil {
		return nil
	}
	return &jobs.BatchOrder{InputFile: orZero(f.input), OutputFile: orZero(f.output), ErrorFile: orZero(f.faults)}
}

// resultRow is a request and its result as a query returns them; a batch's row
// has neither.
type resultRow struct {
	requestID                                      uuid.UUID
	tenant, route, endpoint, batchID, customID     *string
	metadata                                       []byte
	id                                             *uuid.UUID
	storedAt                                       *time.Time
	state, target, model, providerID, finishReason *string
	status, attempts, badAnswers                   *int16
	input, cached, output, reasoning               *int32
	class, code, message                           *string
	cost                                           *int64
	unpriced                                       *bool
	bodyBytes                                      int
	body                                           []byte
}

func (r *resultRow) fields() []any {
	return []any{
		&r.tenant, &r.route, &r.endpoint, &r.batchID, &r.customID, &r.metadata,
		&r.id, &r.storedAt, &r.state, &r.status, &r.target, &r.model, &r.providerID, &r.finishReason, &r.input, &r.cached,
		&r.output, &r.reasoning, &r.class, &r.code, &r.message, &r.cost, &r.unpriced, &r.attempts, &r.badAnswers, &r.bodyBytes, &r.body,
	}
}

func (r *resultRow) event() (jobs.ResultEvent, error) {
	e := jobs.ResultEvent{
		Tenant: orZero(r.tenant), Route: orZero(r.route), Endpoint: endpointOf(r.endpoint), BatchID: orZero(r.batchID), CustomID: orZero(r.customID), BodyBytes: r.bodyBytes,
	}
	e.Result = jobs.Result{
		ID: orZero(r.id).String(), RequestID: r.requestID.String(), State: jobs.State(orZero(r.state)), Status: int(orZero(r.status)),
		Body: r.body, Target: orZero(r.target), Model: orZero(r.model), ProviderID: orZero(r.providerID), FinishReason: orZero(r.finishReason),
		Usage: jobs.Usage{Input: int(orZero(r.input)), CachedInput: int(orZero(r.cached)), Output: int(orZero(r.output)), Reasoning: int(orZero(r.reasoning))},
		Class: jobs.Class(orZero(r.class)), Code: orZero(r.code), Message: orZero(r.message),
		Cost: jobs.MicroUSD(orZero(r.cost)), Unpriced: orZero(r.unpriced), Attempts: int(orZero(r.attempts)), BadAnswers: int(orZero(r.badAnswers)), StoredAt: orZero(r.storedAt),
	}
	if r.metadata == nil {
		return e, nil
	}
	return e, json.Unmarshal(r.metadata, &e.Metadata)
}
