package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// One statement, so that a group costs one round trip and one commit: results
// that are new, the attempts, what the batches count, and what is owed to NATS.
// Results and attempts are written, and batches locked, in the order of their
// ids, so that two groups that overlap cannot wait for each other. An attempt that
// a rescue took for LOST is replaced by what its worker says of it in the end.
const commitGroup = `/* tidegate: commit group */
WITH ` + commitEntries + `
)` + committed

const commitEntries = `given AS (
	SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::smallint[], $5::bytea[], $6::text[], $7::text[], $8::text[], $9::text[],
		$10::int[], $11::int[], $12::int[], $13::int[], $14::text[], $15::text[], $16::text[], $17::bigint[], $18::smallint[], $19::text[], $20::boolean[], $41::smallint[])
	AS g (request_id, id, state, status, body, target, model, provider_id, finish_reason,
		input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, class, code, message, cost_micro_usd, attempts, batch_id, unpriced, bad_answers)
), stored AS (
	INSERT INTO tidegate.results (request_id, id, state, status, body, target, model, provider_id, finish_reason,
		input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, class, code, message, cost_micro_usd, attempts, unpriced, bad_answers)
	SELECT request_id, id, state, status, body, target, model, provider_id, finish_reason,
		input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, class, code, message, cost_micro_usd, attempts, unpriced, bad_answers
	FROM given ORDER BY request_id
	ON CONFLICT (request_id) DO NOTHING
	RETURNING request_id, state
), ` + countAndOwe + `, tried AS (
	INSERT INTO tidegate.attempts AS a (request_id, at, latency_us, first_byte_us, cost_micro_usd, input_tokens, cached_input_tokens,
		output_tokens, reasoning_tokens, propensity, status, probe, blamed, route, target, class, code, message, decision, unpriced,
		` + askedFields + `)
	SELECT DISTINCT ON (1, 2) * FROM unnest($21::uuid[], $22::timestamptz[], $23::bigint[], $24::bigint[], $25::bigint[], $26::int[], $27::int[],
		$28::int[], $29::int[], $30::real[], $31::smallint[], $32::boolean[], $33::boolean[], $34::text[], $35::text[], $36::text[], $37::text[], $38::text[], $39::jsonb[], $40::boolean[],
		$42::timestamptz[], $43::timestamptz[], $44::bigint[], $45::int[], $46::smallint[], $47::boolean[], $48::text[], $49::text[], $50::text[], $51::text[])
	ORDER BY 1, 2
	ON CONFLICT (request_id, at) DO UPDATE SET latency_us = excluded.latency_us, first_byte_us = excluded.first_byte_us,
		cost_micro_usd = excluded.cost_micro_usd, input_tokens = excluded.input_tokens, cached_input_tokens = excluded.cached_input_tokens,
		output_tokens = excluded.output_tokens, reasoning_tokens = excluded.reasoning_tokens, propensity = excluded.propensity,
		status = excluded.status, probe = excluded.probe, blamed = excluded.blamed, class = excluded.class, code = excluded.code,
		message = excluded.message, decision = excluded.decision, unpriced = excluded.unpriced, arrived_at = excluded.arrived_at,
		deadline = excluded.deadline, max_cost_micro_usd = excluded.max_cost_micro_usd, body_bytes = excluded.body_bytes, priority = excluded.priority,
		awaited = excluded.awaited, tenant = excluded.tenant, goal = excluded.goal, endpoint = excluded.endpoint, waited_for = excluded.waited_for
	WHERE a.class = 'LOST' AND a.message = '` + missed + `'
	RETURNING a.request_id, a.at, a.route, a.cost_micro_usd, a.stored_at IS DISTINCT FROM now() AS late`

// committed says which results are new, and which attempts replaced others.
const committed = `
SELECT request_id, NULL::timestamptz FROM stored UNION ALL SELECT request_id, at FROM tried WHERE late`

// countAndOwe follows the rows of stored, which must name request_id and state,
// beside a given that names the batch_id of each request_id, perhaps more than
// once. The end of a batch is owed after its last results: it counts owed for
// that alone.
const countAndOwe = `owed AS (
	INSERT INTO tidegate.outbox (request_id) SELECT request_id FROM stored
	RETURNING id
), counted AS (
	SELECT g.batch_id, count(DISTINCT s.request_id) FILTER (WHERE s.state = 'answered') AS completed,
		count(DISTINCT s.request_id) FILTER (WHERE s.state <> 'answered') AS failed
	FROM stored s JOIN given g USING (request_id)
	WHERE g.batch_id IS NOT NULL
	GROUP BY g.batch_id
), locked AS (
	SELECT id FROM tidegate.batches WHERE id IN (SELECT batch_id FROM counted) ORDER BY id FOR UPDATE
), moved AS (
	UPDATE tidegate.batches b
	SET completed = b.completed + c.completed,
		failed = b.failed + c.failed,
		state = CASE
			WHEN b.completed + c.completed + b.failed + c.failed < b.total THEN b.state
			WHEN b.state = 'cancelling' THEN 'cancelled'
			ELSE 'completed' END,
		ended_at = CASE WHEN b.completed + c.completed + b.failed + c.failed >= b.total THEN now() END
	FROM counted c, locked l
	WHERE b.id = c.batch_id AND l.id = b.id
	RETURNING b.id, b.state, b.ended_at
), ended AS (
	INSERT INTO tidegate.outbox (batch_id, batch_state) SELECT id, state FROM moved
	WHERE ended_at IS NOT NULL AND (SELECT count(*) FROM owed) > 0
)`

// Commit writes a group of entries and returns which results are new; the other
// requests had one already, and only their attempts were added. A group that Postgres refuses for what is in it is split until the
// entry at fault stands alone: those come back as refused, all others were
// written. After any other error, a lost connection say, nobody knows what was
// written, and the whole group may safely be committed again.
func (s *Store) Commit(ctx context.Context, entries []jobs.Entry) (done jobs.Committed, refused []*jobs.EntryError, err error) {
	done, err = s.commitWhole(ctx, entries)
	if err == nil || !dataError(err) {
		return done, nil, err
	}
	if len(entries) == 1 {
		return done, []*jobs.EntryError{{RequestID: entries[0].Request.ID, Err: err}}, nil
	}
	half := len(entries) / 2
	done, refused, err = s.Commit(ctx, entries[:half])
	if err != nil {
		return jobs.Committed{}, nil, err
	}
	more, worse, err := s.Commit(ctx, entries[half:])
	return jobs.Committed{Stored: append(done.Stored, more.Stored...), Late: append(done.Late, more.Late...)}, append(refused, worse...), err
}

func (s *Store) commitWhole(ctx context.Context, entries []jobs.Entry) (done jobs.Committed, err error) {
	var results resultColumns
	var attempts attemptColumns
	for i := range entries {
		if err := lay(&entries[i], &results, &attempts); err != nil {
			return done, fmt.Errorf("%w: %w", errUnfit, err)
		}
	}
	statement, args := commitGroup, slices.Concat(results.args(), attempts.args(), []any{results.badAnswers}, attempts.asked.args())
	if owners := ownersOf(entries); owners != nil {
		statement, args = commitUnderBudgets, append(args, owners.args()...)
	}
	done, err = s.commitWith(ctx, unsaved(entries), statement, args)
	if err != nil {
		return jobs.Committed{}, fmt.Errorf("committing %d entries: %w", len(entries), err)
	}
	return done, nil
}

// readCommitted reads what became of a group.
func readCommitted(rows pgx.Rows) (done jobs.Committed, err error) {
	var id uuid.UUID
	var at *time.Time // of an attempt; nil: it is of a result
	_, err = pgx.ForEachRow(rows, []any{&id, &at}, func() error {
		if at != nil {
			done.Late = append(done.Late, jobs.Call{RequestID: id.String(), At: *at})
		} else {
			done.Stored = append(done.Stored, id.String())
		}
		return nil
	})
	return done, err
}

// errUnfit says that an entry was not even sent to Postgres.
var errUnfit = errors.New("an entry that cannot be written")

// lay lays an entry out by column. An error is the entry's own fault.
func lay(entry *jobs.Entry, results *resultColumns, attempts *attemptColumns) error {
	id, err := parseID(entry.Request.ID)
	if err != nil {
		return err
	}
	if entry.Result != nil {
		if err := results.add(id, entry); err != nil {
			return err
		}
	}
	return attempts.add(id, entry)
}
