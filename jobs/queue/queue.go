package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"tidegate/jobs"
	"tidegate/jobs/expect"
	"tidegate/store"
)

// maxAttempts is how often River starts a job before it gives it up. Outages
// cost none; only a job that takes its worker down with it uses them up.
const maxAttempts = 5

// A Queue takes requests. Make one with New.
type Queue struct {
	pool  *pgxpool.Pool
	river *river.Client[pgx.Tx]
	known known
	rules expect.Cache // that a batch has one Expect for all is usual
	now   func() time.Time
	look  time.Duration // for what was lost while it was committed
}

// New returns a Queue on the database of pool, which `tidegate migrate` must
// have prepared. Every connection of pool may be used; the pool stays the
// caller's to close.
func New(pool *pgxpool.Pool) (*Queue, error) {
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema: "tidegate",
		Logger: slog.New(slog.DiscardHandler), // a client that only inserts has nothing to say
	})
	if err != nil {
		return nil, fmt.Errorf("preparing River: %w", err)
	}
	return &Queue{pool: pool, river: client, now: time.Now, look: lookFor}, nil
}

// Enqueue accepts one request in a transaction of its own and returns it as it
// was stored: with its id, and with its route's deadline if it had none. After
// an *UnknownError it may be stored or not, and the id is the one to look for;
// after any other error it is not.
func (q *Queue) Enqueue(ctx context.Context, request jobs.Request) (jobs.Request, error) {
	err := q.transact(ctx, func(tx pgx.Tx) (string, error) {
		var err error
		request, err = q.EnqueueTx(ctx, tx, request)
		return request.ID, err
	})
	return request, err
}

// EnqueueTx accepts one request in the caller's transaction: it is there when
// that commits, and was never there if it rolls back. It returns the request as
// it was stored. A request that is refused, for a field or an unknown route, does
// no harm to the transaction.
func (q *Queue) EnqueueTx(ctx context.Context, tx pgx.Tx, request jobs.Request) (jobs.Request, error) {
	if request.BatchID != "" { // its batch has counted how many there are
		return request, fmt.Errorf("batch_id: %q is closed to new requests; leave it empty, or enqueue all of a batch at once", request.BatchID)
	}
	if err := q.accept(ctx, tx, &request); err != nil {
		return request, err
	}
	if err := q.insert(ctx, tx, []jobs.Request{request}); err != nil {
		return request, err
	}
	return request, nil
}

// accept is complete for a request that is new: it must make sense, too.
func (q *Queue) accept(ctx context.Context, db store.Querier, r *jobs.Request) error {
	if err := q.complete(ctx, db, r); err != nil {
		return err
	}
	return q.checkExpects(ctx, db, r)
}

// checkExpects wants somebody to say which answers are bad, where a request says what
// becomes of them.
func (q *Queue) checkExpects(ctx context.Context, db store.Querier, r *jobs.Request) error {
	if r.Expect == nil {
		return nil
	}
	route, err := q.known.route(ctx, db, r.Route, q.now())
	if err != nil {
		return err
	}
	return jobs.ExpectError(r.Expect.CheckOn(&route))
}

// complete fills in what the producer left out and checks the whole.
func (q *Queue) complete(ctx context.Context, db store.Querier, r *jobs.Request) error {
	if r.Traceparent == "" {
		r.Traceparent = jobs.TraceparentOf(ctx)
	}
	if err := r.Validate(); err != nil {
		return err
	}
	if err := checkTexts(r); err != nil {
		return err
	}
	if _, err := q.rules.Compile(r.Expect, r.Body); err != nil {
		return jobs.ExpectError(err)
	}
	route, err := q.known.route(ctx, db, r.Route, q.now())
	if err != nil {
		return err
	}
	if err := route.Serves().Refuses(r.Route, r.Endpoint); err != nil {
		return fmt.Errorf("endpoint: %w", err)
	}
	if err := q.known.toAll(ctx, db, r.Endpoint, q.now()); err != nil {
		return err
	}
	if err := q.stamp(r); err != nil {
		return err
	}
	if r.Deadline.IsZero() && route.Deadline > 0 {
		r.Deadline = r.CreatedAt.Add(route.Deadline)
	}
	return nil
}

// stamp says whose request it is, when it came, and under which id.
func (q *Queue) stamp(r *jobs.Request) error {
	if r.Tenant == "" {
		r.Tenant = jobs.DefaultTenant
	}
	if r.CreatedAt.IsZero() {
		r.CreatedAt = q.now()
	}
	return nameID(r)
}

// nameID gives the request its id, in the one form in which it is compared.
func nameID(r *jobs.Request) error {
	if r.ID == "" {
		r.ID = uuid.Must(uuid.NewV7()).String() // fails only if the system has no randomness
		return nil
	}
	id, err := uuid.Parse(r.ID)
	if err != nil {
		return fmt.Errorf("id: %.80q is not a UUID; leave it empty to be given one", r.ID)
	}
	r.ID = id.String()
	return nil
}

// checkTexts refuses what Postgres would: so the request is named, and the
// caller's transaction goes on.
func checkTexts(r *jobs.Request) error {
	if !fits(r.Goal) {
		return errors.New("goal: " + unfit)
	}
	if !fits(r.CustomID) {
		return errors.New("custom_id: " + unfit)
	}
	for key, value := range r.Metadata {
		if !fits(key) || !fits(value) {
			return fmt.Errorf("metadata: %.80q: %s", key, unfit)
		}
	}
	return nil
}

const unfit = "is not UTF-8 text without NUL characters"

func fits(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// insert writes requests and their River jobs: available at once, or pending until
// the supervisor admits them.
func (q *Queue) insert(ctx context.Context, tx pgx.Tx, requests []jobs.Request) error {
	if len(requests) == 0 {
		return nil
	}
	if err := store.InsertRequests(ctx, tx, requests); err != nil {
		return err
	}
	direct, fair := q.known.split(requests)
	if len(fair) > 0 {
		if err := store.InsertWaiting(ctx, tx, fair, maxAttempts, q.known.tell(q.now())); err != nil {
			return err
		}
	}
	if len(direct) == 0 {
		return nil
	}
	params := make([]river.InsertManyParams, len(direct))
	for i := range direct {
		params[i] = river.InsertManyParams{
			Args:       jobs.CompletionArgs{RequestID: direct[i].ID},
			InsertOpts: &river.InsertOpts{Queue: direct[i].Route, MaxAttempts: maxAttempts, Priority: direct[i].Rank()},
		}
	}
	if _, err := q.river.InsertManyFastTx(ctx, tx, params); err != nil {
		return fmt.Errorf("inserting %d River jobs: %w", len(params), err)
	}
	return nil
}
