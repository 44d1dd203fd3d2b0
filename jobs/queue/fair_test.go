package queue_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// Requests of a route with fair admission wait for their turn, in the transaction of
// their producer; those of others, also in the same batch, are available at once.
func TestFairRoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.announce(jobs.Route{Name: "shared", Goal: "ordered", Deadline: time.Hour, Admission: jobs.AdmissionFair})
	mixed := some(4)
	mixed[1].Route, mixed[3].Route = "shared", "shared"
	mixed[2].Priority, mixed[3].Priority = 1, 3
	for i := range mixed {
		mixed[i].Tenant = "acme"
	}
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.EnqueueManyTx(t.Context(), tx, mixed); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.stands("rolled back", 0, 0)
	if err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error {
		_, err := w.EnqueueManyTx(t.Context(), tx, mixed)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	w.stands("committed", 4, 1)
	for sql, want := range map[string]int{
		"SELECT count(*) FROM tidegate.river_job WHERE state = 'available' AND queue = 'summaries'":                                                                                   2,
		"SELECT count(*) FROM tidegate.river_job WHERE state = 'available' AND priority = 1":                                                                                          1,
		"SELECT count(*) FROM tidegate.river_job WHERE state = 'available' AND priority = 2":                                                                                          1,
		"SELECT count(*) FROM tidegate.river_job j JOIN tidegate.waiting w ON w.job_id = j.id AND j.args->>'r' = w.request_id::text WHERE j.state = 'pending' AND j.queue = 'shared'": 2,
		"SELECT count(*) FROM tidegate.waiting w JOIN tidegate.requests q ON q.id = w.request_id AND (q.tenant, q.route, q.deadline) = (w.tenant, w.route, w.deadline)":               2,
		"SELECT count(*) FROM tidegate.waiting WHERE priority = 2 AND not_before IS NULL AND work > 250":                                                                              1,
		"SELECT count(*) FROM tidegate.waiting WHERE priority = 3":                                                                                                                    1,
		"SELECT count(*) FROM tidegate.requests WHERE priority IS NULL":                                                                                                               2,
	} {
		if got := w.number(sql); got != want {
			t.Errorf("%s: %d, want %d", sql, got, want)
		}
	}
	alone, err := w.Enqueue(t.Context(), jobs.Request{Route: "shared", Body: hello, Priority: 4})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.load(alone.ID); got.Priority != 4 {
		t.Errorf("it is loaded as %+v", got)
	}
}

// A producer says not too often that something waits.
func TestFairRouteTellsNowAndThen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.announce(jobs.Route{Name: "shared", Goal: "ordered", Admission: jobs.AdmissionFair})
	now := time.Now()
	w.SetNow(func() time.Time { return now })
	listener, err := w.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Release()
	if _, err := listener.Exec(t.Context(), "LISTEN tidegate_waiting; LISTEN test"); err != nil {
		t.Fatal(err)
	}
	enqueue := func() {
		t.Helper()
		if _, err := w.Enqueue(t.Context(), jobs.Request{Route: "shared", Body: hello}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.pool.Exec(t.Context(), "DELETE FROM tidegate.waiting"); err != nil {
			t.Fatal(err)
		}
	}
	enqueue()
	now = now.Add(10 * time.Millisecond)
	enqueue()
	now = now.Add(time.Second)
	enqueue()
	if _, err := w.pool.Exec(t.Context(), "SELECT pg_notify('test', '')"); err != nil {
		t.Fatal(err)
	}
	for told := 0; ; told++ {
		said, err := listener.Conn().WaitForNotification(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if said.Channel == "test" {
			if told != 2 {
				t.Errorf("it was told %d times", told)
			}
			return
		}
	}
}
