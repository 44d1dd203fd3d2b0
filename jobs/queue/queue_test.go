package queue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/jobs/queue"
)

// Every way in, committed and rolled back: the request and its job are there
// together or not at all.
func TestOneTransaction(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name              string
		requests, batches int
		enqueue           func(*world, pgx.Tx) error
	}{
		{"EnqueueTx", 1, 0, func(w *world, tx pgx.Tx) error {
			_, err := w.EnqueueTx(w.t.Context(), tx, some(1)[0])
			return err
		}},
		{"EnqueueManyTx", 5, 1, func(w *world, tx pgx.Tx) error {
			_, err := w.EnqueueManyTx(w.t.Context(), tx, some(5))
			return err
		}},
		{"StreamTx", 2100, 1, func(w *world, tx pgx.Tx) error {
			_, err := w.StreamTx(w.t.Context(), tx, func(yield func(jobs.Request, error) bool) {
				for _, r := range some(2100) {
					if !yield(r, nil) {
						return
					}
				}
			})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tx, err := w.pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := c.enqueue(w, tx); err != nil {
				t.Fatal(err)
			}
			w.stands("before it commits", 0, 0)
			if err := tx.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.stands("rolled back", 0, 0)
			if err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error { return c.enqueue(w, tx) }); err != nil {
				t.Fatal(err)
			}
			w.stands("committed", c.requests, c.batches)
		})
	}
}

func TestEnqueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	w.SetNow(func() time.Time { return at })
	got, err := w.Enqueue(t.Context(), jobs.Request{Route: "summaries", Body: hello, Metadata: map[string]string{"a": "b"}, MaxCost: 7, CustomID: "c"})
	if err != nil {
		t.Fatal(err)
	}
	want := jobs.Request{
		ID: got.ID, Tenant: jobs.DefaultTenant, Route: "summaries", Body: hello, Metadata: map[string]string{"a": "b"}, MaxCost: 7, CustomID: "c",
		CreatedAt: at, Deadline: at.Add(24 * time.Hour),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("accepted (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(got, w.load(got.ID), cmpopts.EquateApproxTime(0)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if id, err := uuid.Parse(got.ID); err != nil || id.Version() != 7 {
		t.Errorf("its id is %s, %v", got.ID, err)
	}
	var args, kind, queue, state string
	var attempt, most int
	row := w.pool.QueryRow(t.Context(), "SELECT args::text, kind, queue, state::text, attempt, max_attempts FROM tidegate.river_job")
	if err := row.Scan(&args, &kind, &queue, &state, &attempt, &most); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(`{"r": %q}`, got.ID); args != want || kind != "completion" || queue != "summaries" || state != "available" || attempt != 0 || most != 5 {
		t.Errorf("the job is %s %s of %s, %s, attempt %d of %d", kind, args, queue, state, attempt, most)
	}
}

func TestWhatTheProducerSaysStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := time.Now().Truncate(time.Microsecond)
	id := uuid.NewString()
	given := jobs.Request{
		ID: "{" + strings.ToUpper(id) + "}", Tenant: "acme", Route: "labels", Goal: "cost", Body: hello, CreatedAt: at.Add(-time.Hour), Deadline: at.Add(time.Hour),
	}
	got, err := w.Enqueue(t.Context(), given)
	if err != nil {
		t.Fatal(err)
	}
	given.ID = id // a job names it as the database does
	if diff := cmp.Diff(given, got); diff != "" {
		t.Errorf("accepted (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(given, w.load(id)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if n := w.number("SELECT count(*) FROM tidegate.river_job WHERE args->>'r' = $1", id); n != 1 {
		t.Errorf("%d jobs name it", n)
	}
	if plain, err := w.Enqueue(t.Context(), jobs.Request{Route: "labels", Body: hello}); err != nil || !plain.Deadline.IsZero() {
		t.Errorf("a route without a deadline gives %s, %v", plain.Deadline, err)
	}
}

func TestEnqueueMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := some(3)
	requests[1].Route = "labels" // a batch may go several ways
	batch, err := w.EnqueueMany(t.Context(), requests)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(batch.ID, "batch_") || batch.Total != 3 || batch.Tenant != jobs.DefaultTenant || batch.State != jobs.BatchInProgress {
		t.Errorf("the batch is %+v", batch)
	}
	stored, err := w.store.Batch(t.Context(), batch.ID)
	if diff := cmp.Diff(batch, stored, cmpopts.EquateApproxTime(time.Microsecond)); diff != "" || err != nil {
		t.Errorf("%v, stored (-want +got):\n%s", err, diff)
	}
	if n := w.number("SELECT count(*) FROM tidegate.requests WHERE batch_id = $1", batch.ID); n != 3 {
		t.Errorf("%d requests are of it", n)
	}
	if n := w.number("SELECT count(*) FROM tidegate.river_job WHERE queue = 'labels'"); n != 1 {
		t.Errorf("%d jobs wait for labels", n)
	}
	if requests[0].ID != "" || requests[0].BatchID != "" {
		t.Error("the caller's own requests were changed")
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		name  string
		spoil func(*jobs.Request)
		want  []string
	}{
		{"no route", func(r *jobs.Request) { r.Route = "" }, []string{"route: "}},
		{"unknown route", func(r *jobs.Request) { r.Route = "sumaries" }, []string{`route: "sumaries"`, "labels, summaries"}},
		{"tenant", func(r *jobs.Request) { r.Tenant = "a.b" }, []string{"tenant: "}},
		{"body", func(r *jobs.Request) { r.Body = []byte(`{}`) }, []string{"body.messages: "}},
		{"id", func(r *jobs.Request) { r.ID = "7" }, []string{`id: "7"`, "leave it empty"}},
		{"custom_id", func(r *jobs.Request) { r.CustomID = "\xff" }, []string{"custom_id: ", "UTF-8"}},
		{"goal", func(r *jobs.Request) { r.Goal = "\x00" }, []string{"goal: ", "NUL"}},
		{"metadata", func(r *jobs.Request) { r.Metadata = map[string]string{"a": "\xff"} }, []string{"metadata: ", `"a"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			requests := some(4)
			c.spoil(&requests[2])
			_, alone := w.Enqueue(t.Context(), requests[2])
			_, among := w.EnqueueMany(t.Context(), requests)
			for _, want := range c.want {
				if alone == nil || !strings.Contains(alone.Error(), want) {
					t.Errorf("alone: %v; it does not say %q", alone, want)
				}
				if among == nil || !strings.Contains(among.Error(), want) || !strings.Contains(among.Error(), "request 2: ") {
					t.Errorf("among others: %v; it does not say %q of request 2", among, want)
				}
			}
		})
	}
	w.stands("in the end", 0, 0)
}

// A refusal leaves the producer's transaction as it was.
func TestRefusalLeavesTheTransaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error {
		bad := jobs.Request{Route: "summaries", Body: hello, CustomID: "\xff"}
		if _, err := w.EnqueueTx(t.Context(), tx, bad); err == nil {
			t.Error("it was accepted")
		}
		_, err := w.EnqueueTx(t.Context(), tx, some(1)[0])
		return err
	})
	if err != nil {
		t.Error(err)
	}
	w.stands("after it", 1, 0)
}

func TestUnknownRouteWhenThereIsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.pool.Exec(t.Context(), "DELETE FROM tidegate.routes"); err != nil {
		t.Fatal(err)
	}
	_, err := w.Enqueue(t.Context(), some(1)[0])
	var unknown *queue.UnknownRouteError
	if !errors.As(err, &unknown) || unknown.Route != "summaries" || len(unknown.Known) != 0 || !strings.Contains(err.Error(), "tidegate migrate") {
		t.Errorf("it says %v", err)
	}
}

func TestBatchesOfSeveralTenantsAndOfNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mixed := some(3)
	mixed[0].Tenant, mixed[1].Tenant, mixed[2].Tenant = "acme", "acme", "umbrella"
	if _, err := w.EnqueueMany(t.Context(), mixed); err == nil || !strings.Contains(err.Error(), "request 2: ") || !strings.Contains(err.Error(), `"acme"`) {
		t.Errorf("two tenants: %v", err)
	}
	if _, err := w.EnqueueMany(t.Context(), nil); !errors.Is(err, queue.ErrEmpty) {
		t.Errorf("nothing: %v", err)
	}
	w.stands("in the end", 0, 0)
}

// A batch that was counted must not grow: it would never end, or end twice.
func TestBatchIsClosedToSingleRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	batch, err := w.EnqueueMany(t.Context(), some(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Enqueue(t.Context(), jobs.Request{Route: "summaries", Body: hello, BatchID: batch.ID}); err == nil || !strings.Contains(err.Error(), "batch_id: ") {
		t.Errorf("it says %v", err)
	}
	w.stands("in the end", 1, 1)
}

func TestChangedRouteIsSeenWithinAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	w.SetNow(func() time.Time { return now })
	deadline := func() time.Duration {
		t.Helper()
		got, err := w.Enqueue(t.Context(), some(1)[0])
		if err != nil {
			t.Fatal(err)
		}
		return got.Deadline.Sub(got.CreatedAt)
	}
	if got := deadline(); got != 24*time.Hour {
		t.Errorf("at first the deadline is %s", got)
	}
	w.announce(jobs.Route{Name: "summaries", Goal: "ordered", Deadline: time.Hour})
	now = now.Add(time.Second)
	if got := deadline(); got != 24*time.Hour {
		t.Errorf("a second later it asked the database again, and got %s", got)
	}
	now = now.Add(time.Minute)
	if got := deadline(); got != time.Hour {
		t.Errorf("a minute later the deadline is %s", got)
	}
}

func TestNewRouteIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.Enqueue(t.Context(), some(1)[0]); err != nil {
		t.Fatal(err)
	}
	w.announce(jobs.Route{Name: "new", Goal: "ordered"})
	if _, err := w.Enqueue(t.Context(), jobs.Request{Route: "new", Body: hello}); err != nil {
		t.Error(err)
	}
}

// A producer's connection may look for tables wherever it likes.
func TestSearchPathOfTheProducer(t *testing.T) {
	t.Parallel()
	w := newWorldAt(t, fixture.Database(t))
	err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "CREATE SCHEMA shop; CREATE TABLE shop.requests (); CREATE TABLE shop.river_job (); SET search_path = shop"); err != nil {
			return err
		}
		if _, err := w.EnqueueTx(t.Context(), tx, some(1)[0]); err != nil {
			return err
		}
		_, err := w.EnqueueManyTx(t.Context(), tx, some(2))
		return err
	})
	if err != nil {
		t.Error(err)
	}
	w.stands("in the end", 3, 1)
}
