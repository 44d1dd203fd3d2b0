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

// A Story is all that is written down of one request, as it stands at one moment.
// Its times are the database's, but for those of attempts, which are the workers'.
type Story struct {
	At       time.Time
	Request  jobs.Request // without its body
	Bytes    int          // of its body
	Attempts []jobs.Attempt
	Result   *jobs.ResultEvent // nil: it has none yet
	Job      *StoryJob         // nil: River has it no more
	Call     *StoryCall        // nil: none is under way
	Crashes  int               // of workers while it was being called
	Retired  bool              // producers may not name its route any more
	Chain    []string          // of its route now; the Circuits are in its order
	Circuits []jobs.Circuit    // of those targets that workers have spoken of
	Pauses   []jobs.Pause      // of its queue
}

// A StoryJob is where River has a request.
type StoryJob struct {
	Queue       string
	State       string // in River's words
	ScheduledAt time.Time
	Worker      string // who had it last; empty: nobody yet
	// Why is what it waits for until then, as a person reads it; empty: for its turn.
	Why string
	// Waits and Skips are what it was parked with: nothing that belongs to a call.
	Waits []jobs.Wait
	Skips []jobs.Skip
}

// A StoryCall is a call that is under way.
type StoryCall struct {
	Worker string
	Target string
	Since  time.Time
}

// Story reads all there is of a request. It returns ErrNotFound if there is no such
// request. Of one that waits it looks through River's jobs, which takes a second for a
// million of them.
func (s *Store) Story(ctx context.Context, requestID string) (story Story, err error) {
	id, err := parseID(requestID)
	if err != nil {
		return story, err
	}
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, s.pool, options, func(tx pgx.Tx) error { return story.read(ctx, tx, id) })
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return story, fmt.Errorf("request %s: %w", id, err)
	}
	if story.Attempts, err = s.Attempts(ctx, requestID); err != nil {
		return story, err
	}
	for result, err := range s.Results(ctx, Filter{RequestID: requestID}) {
		if err != nil {
			return story, err
		}
		story.Result = &result
	}
	circuits, err := s.Circuits(ctx)
	story.choose(circuits)
	return story, err
}

const storyRequest = `/* tidegate: story */
SELECT now(), q.created_at, q.deadline, q.max_cost_micro_usd, q.tenant, q.route, q.endpoint, q.goal, q.batch_id, q.custom_id, octet_length(q.body), q.retry_of,
	t.name IS NULL, coalesce(t.chain, '{}'), coalesce(s.crashes + s.alone, 0), coalesce(r.state, ''), coalesce(` + spanAbove + `, '')
FROM tidegate.requests q LEFT JOIN tidegate.routes t ON t.name = q.route LEFT JOIN tidegate.suspects s ON s.request_id = q.id
	LEFT JOIN tidegate.results r ON r.request_id = q.id
WHERE q.id = $1`

func (s *Story) read(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	var deadline *time.Time
	var maxCost *int64
	var endpoint, goal, batch, custom *string
	var retryOf *uuid.UUID
	var ended string
	r := &s.Request
	err := tx.QueryRow(ctx, storyRequest, id).Scan(&s.At, &r.CreatedAt, &deadline, &maxCost, &r.Tenant, &r.Route, &endpoint, &goal, &batch, &custom, &s.Bytes, &retryOf,
		&s.Retired, &s.Chain, &s.Crashes, &ended, &r.Traceparent)
	if err != nil {
		return err
	}
	r.ID, r.Deadline, r.MaxCost = id.String(), orZero(deadline), jobs.MicroUSD(orZero(maxCost))
	r.Endpoint, r.Goal, r.BatchID, r.CustomID = endpointOf(endpoint), orZero(goal), orZero(batch), orZero(custom)
	if retryOf != nil {
		r.RetryOf = retryOf.String()
	}
	if ended != "" && ended != string(jobs.StateExpired) {
		return nil
	}
	if err := s.readJob(ctx, tx, id, ended != ""); err != nil || ended != "" {
		return err
	}
	return s.readPauses(ctx, tx)
}

// River knows the request by its job's arguments alone, which have no index. A job that
// is about to be worked again is available before its time. That of a request whose
// deadline passed may be done, or not yet: it has what was waited for in vain.
const storyJob = `/* tidegate: story job */
SELECT j.queue, j.state, coalesce(w.not_before, j.scheduled_at), coalesce(j.attempted_by[array_upper(j.attempted_by, 1)], ''),
	coalesce(CASE WHEN j.state = 'scheduled' OR j.state = 'available' AND j.scheduled_at > now() THEN j.metadata #>> '{` + jobs.BudgetMark + `,why}'
		WHEN j.state = 'pending' THEN w.reason END, ''),
	j.metadata -> '` + jobs.WaitsMark + `', j.metadata -> '` + jobs.SkipsMark + `'
FROM tidegate.river_job j LEFT JOIN tidegate.waiting w ON w.request_id = $2 AND w.job_id = j.id
WHERE j.kind = '` + jobs.CompletionKind + `' AND (j.finalized_at IS NULL OR $3) AND j.args ->> 'r' = $1 ORDER BY j.id DESC LIMIT 1`

const storyCall = `/* tidegate: story call */
SELECT c.worker, c.target, c.began_at FROM tidegate.calls c JOIN tidegate.workers w ON w.id = c.worker
WHERE c.request_id = $1 AND w.dead_at IS NULL
	AND NOT EXISTS (SELECT FROM tidegate.attempts a WHERE a.request_id = c.request_id AND a.at = c.at)
ORDER BY c.began_at DESC LIMIT 1`

func (s *Story) readJob(ctx context.Context, tx pgx.Tx, id uuid.UUID, done bool) error {
	var job StoryJob
	var waits, skips []byte
	err := tx.QueryRow(ctx, storyJob, id.String(), id, done).Scan(&job.Queue, &job.State, &job.ScheduledAt, &job.Worker, &job.Why, &waits, &skips)
	if err == nil {
		// What cannot be read, of another version, is no reason to tell nothing.
		_, _ = json.Unmarshal(waits, &job.Waits), json.Unmarshal(skips, &job.Skips)
		s.Job = &job
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	var call StoryCall
	err = tx.QueryRow(ctx, storyCall, id).Scan(&call.Worker, &call.Target, &call.Since)
	if err == nil {
		s.Call = &call
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	return nil
}

func (s *Story) readPauses(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, listPauses)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, scanPause)
	queue := s.Request.Route
	if s.Job != nil {
		queue = s.Job.Queue
	}
	for _, p := range all {
		if p.Route == queue {
			s.Pauses = append(s.Pauses, p)
		}
	}
	return err
}

// choose keeps the circuits of the chain, in its order.
func (s *Story) choose(circuits []jobs.Circuit) {
	for _, target := range s.Chain {
		for _, c := range circuits {
			if c.Target == target {
				s.Circuits = append(s.Circuits, c)
			}
		}
	}
}

const named = `/* tidegate: named */
SELECT id FROM tidegate.requests WHERE batch_id = $1 AND custom_id = $2 ORDER BY id LIMIT 2`

// ErrSeveral is that a name does not say which of several things is meant.
var ErrSeveral = errors.New("stands more than once")

// Named finds the request of a batch by its producer's own name for it. It returns
// ErrNotFound if there is none, and ErrSeveral if there are several.
func (s *Store) Named(ctx context.Context, batchID, customID string) (string, error) {
	rows, err := s.pool.Query(ctx, named, batchID, customID)
	if err != nil {
		return "", fmt.Errorf("looking for %q in batch %s: %w", customID, batchID, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	switch {
	case err != nil:
		return "", fmt.Errorf("looking for %q in batch %s: %w", customID, batchID, err)
	case len(ids) == 0:
		return "", fmt.Errorf("request %q of batch %s: %w", customID, batchID, ErrNotFound)
	case len(ids) > 1:
		return "", fmt.Errorf("custom_id %q %w in batch %s: name the request by its id, as `tidegate results --batch %s --json` shows it", customID, ErrSeveral, batchID, batchID)
	}
	return ids[0].String(), nil
}
