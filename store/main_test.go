package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/store"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// body is a chat-completions body that nobody looks into.
const body = `{"messages":[{"role":"user","content":"hi"}]}`

// A world is a database of one test, and the store on it.
type world struct {
	*store.Store
	pool *pgxpool.Pool
	t    testing.TB
}

func newWorld(t testing.TB) *world {
	t.Helper()
	pool, err := store.Connect(t.Context(), fixture.Database(t), 6)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &world{Store: store.New(pool), pool: pool, t: t}
}

// accept writes n requests of one batch; an empty batch is none.
func (w *world) accept(batch string, n int) []jobs.Request {
	w.t.Helper()
	requests := make([]jobs.Request, n)
	for i := range requests {
		requests[i] = jobs.Request{
			ID: uuid.Must(uuid.NewV7()).String(), Tenant: "acme", Route: "summaries", BatchID: batch,
			CustomID: fmt.Sprintf("doc-%d", i), Body: []byte(body), CreatedAt: time.Now(),
		}
	}
	w.write(batch, requests)
	return requests
}

func (w *world) write(batch string, requests []jobs.Request) {
	w.t.Helper()
	err := pgx.BeginFunc(w.t.Context(), w.pool, func(tx pgx.Tx) error {
		if batch != "" {
			made := jobs.Batch{ID: batch, Tenant: "acme", Total: len(requests), CreatedAt: time.Now()}
			if err := store.InsertBatch(w.t.Context(), tx, made); err != nil {
				return err
			}
		}
		return store.InsertRequests(w.t.Context(), tx, requests)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// commit commits entries of which none may be refused and returns how many
// results were new.
func (w *world) commit(entries ...jobs.Entry) int {
	w.t.Helper()
	done, refused, err := w.Commit(w.t.Context(), entries)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range refused {
		w.t.Errorf("refused: %v", r)
	}
	return len(done.Stored)
}

func (w *world) batch(id string) jobs.Batch {
	w.t.Helper()
	batch, err := w.Batch(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return batch
}

// owed lets the relay empty the outbox and returns what was in it.
func (w *world) owed() []jobs.Event {
	w.t.Helper()
	var owed []jobs.Event
	for {
		last, err := w.Relay(w.t.Context(), 0, 500, func(events []jobs.Event) ([]bool, error) {
			owed = append(owed, events...)
			return all(len(events), true), nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
		if last == 0 {
			return owed
		}
	}
}

// number is what a query of one number says.
func (w *world) number(sql string, args ...any) (n int) {
	w.t.Helper()
	if err := w.pool.QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.pool.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

// answered is the entry of a request that one call answered.
func answered(r *jobs.Request) jobs.Entry {
	attempt := jobs.Attempt{
		At: time.Now(), Target: "cheap", Class: jobs.OK, Status: 200, Latency: 12 * time.Millisecond, FirstByte: 7 * time.Millisecond,
		Usage: jobs.Usage{Input: 10, CachedInput: 4, Output: 5, Reasoning: 2}, Cost: 30, Propensity: 1,
	}
	return jobs.Entry{
		Request: r, Trace: jobs.Trace{{Attempt: &attempt}},
		Result: &jobs.Result{
			ID: uuid.Must(uuid.NewV7()).String(), RequestID: r.ID, State: jobs.StateAnswered, Status: 200, Body: []byte(`{"choices":[]}`),
			Target: "cheap", Model: "cheap-1", ProviderID: "chatcmpl-1", FinishReason: "stop", Usage: attempt.Usage, Cost: 30, Attempts: 1,
		},
	}
}

// ended is the entry of a request that ended in another way, without a call.
func ended(r *jobs.Request, state jobs.State) jobs.Entry {
	return jobs.Entry{Request: r, Result: &jobs.Result{
		ID: uuid.Must(uuid.NewV7()).String(), RequestID: r.ID, State: state, Status: 502, Class: jobs.Content, Code: "no", Message: "will not",
	}}
}

func all(n int, value bool) []bool {
	out := make([]bool, n)
	for i := range out {
		out[i] = value
	}
	return out
}
