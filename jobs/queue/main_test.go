package queue_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/jobs/queue"
	"tidegate/store"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// hello is a body that is good enough.
var hello = json.RawMessage(`{"messages":[{"role":"user","content":"hi"}]}`)

// A world is a database of one test with a queue on it, and a worker's
// announcement of the routes "summaries", which has a deadline, and "labels".
type world struct {
	*queue.Queue
	store *store.Store
	pool  *pgxpool.Pool
	t     testing.TB
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldAt(t, fixture.Database(t))
}

func newWorldAt(t testing.TB, url string) *world {
	t.Helper()
	pool, err := store.Connect(t.Context(), url, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	q, err := queue.New(pool)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Queue: q, store: store.New(pool), pool: pool, t: t}
	w.announce(jobs.Route{Name: "summaries", Goal: "ordered", Deadline: 24 * time.Hour}, jobs.Route{Name: "labels", Goal: "speed"})
	return w
}

func (w *world) announce(routes ...jobs.Route) {
	w.t.Helper()
	if err := w.store.SaveRoutes(w.t.Context(), routes); err != nil {
		w.t.Fatal(err)
	}
}

// load reads a request as a worker does.
func (w *world) load(id string) jobs.Request {
	w.t.Helper()
	loaded, err := w.store.Load(w.t.Context(), []string{id})
	if err != nil || len(loaded) != 1 {
		w.t.Fatalf("request %s: %d found, %v", id, len(loaded), err)
	}
	return loaded[0].Request
}

func (w *world) number(sql string, args ...any) (n int) {
	w.t.Helper()
	if err := w.pool.QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// stands checks how many requests, River jobs and batches there are.
func (w *world) stands(when string, requests, batches int) {
	w.t.Helper()
	for table, want := range map[string]int{"requests": requests, "river_job": requests, "batches": batches} {
		if got := w.number("SELECT count(*) FROM tidegate." + table); got != want {
			w.t.Errorf("%s: %d rows in %s, not %d", when, got, table, want)
		}
	}
}

// some are n good requests.
func some(n int) []jobs.Request {
	out := make([]jobs.Request, n)
	for i := range out {
		out[i] = jobs.Request{Route: "summaries", Body: hello}
	}
	return out
}
