package worker_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/worker"
)

// waits is a request whose sender waits for as long as it takes.
func waits(tenant string) *jobs.Request {
	return &jobs.Request{
		ID: uuid.Must(uuid.NewV7()).String(), Tenant: tenant, Route: "summaries", Body: []byte(`{"messages":[{"role":"user","content":"hi"}]}`),
		CreatedAt: time.Now(), Deadline: time.Now().Add(time.Hour),
	}
}

// holdCalls has Postgres answer nobody who wants to write down that a call begins, until
// let.
func (s *site) holdCalls() (let func()) {
	s.t.Helper()
	tx, err := s.pool.Begin(s.t.Context())
	if err == nil {
		_, err = tx.Exec(s.t.Context(), "LOCK TABLE tidegate.calls IN ACCESS EXCLUSIVE MODE")
	}
	if err != nil {
		s.t.Fatal(err)
	}
	let = sync.OnceFunc(func() {
		if err := tx.Rollback(context.Background()); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(let)
	return let
}

// Who waits is told soon that Postgres does not let his call begin, and when to come
// again. What was handed in for him is undone, and nothing is called or kept.
func TestNobodyWaitsForPostgres(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.config.Timing = worker.Timing{Begin: 100 * time.Millisecond, Stale: time.Hour, Dead: 2 * time.Hour}
	var mu sync.Mutex
	called := map[string]bool{}
	s.script.route = func(ctx context.Context, request *jobs.Request, history jobs.Trace) jobs.Outcome {
		mu.Lock()
		defer mu.Unlock()
		called[request.ID] = true
		return answer(ctx, request, history)
	}
	w, _ := s.start()
	answers := func() bool {
		_, err := w.Answer(t.Context(), waits("acme"))
		return err == nil
	}
	fixture.Await(t, soon, "it answers", answers)
	let := s.holdCalls()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	lost := waits("acme")
	var no *jobs.NotNowError
	if _, err := w.Answer(ctx, lost); !errors.As(err, &no) || no.Lack != jobs.LackWorker || no.After <= 0 {
		t.Fatalf("it says %v", err)
	}
	let()
	fixture.Await(t, soon, "it answers again", answers)
	fixture.Await(t, soon, "his call is none", func() bool {
		return s.number("SELECT count(*) FROM tidegate.calls WHERE request_id = $1", lost.ID) == 0
	})
	mu.Lock()
	defer mu.Unlock()
	if called[lost.ID] || len(called) == 0 {
		t.Error("it was called for somebody who had been told")
	}
	if n := s.number("SELECT count(*) FROM tidegate.requests WHERE id = $1", lost.ID); n != 0 {
		t.Error("it is kept")
	}
}
