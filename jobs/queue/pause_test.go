package queue_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// A pause is a person's, with a reason if the store was told one, and a pause
// that rolls back was none.
func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	pause := func(ctx context.Context, tx pgx.Tx) error { return w.PauseTx(ctx, tx, "summaries") }
	resume := func(ctx context.Context, tx pgx.Tx) error { return w.ResumeTx(ctx, tx, "summaries") }
	stands := func(when string, paused int, owners ...jobs.Owner) {
		t.Helper()
		if n := w.number("SELECT count(*) FROM tidegate.river_queue WHERE name = 'summaries' AND paused_at IS NOT NULL"); n != paused {
			t.Errorf("%s: %d queues are paused", when, n)
		}
		pauses, err := w.store.Pauses(ctx)
		if err != nil || len(pauses) != len(owners) || len(owners) > 0 && pauses[0].Owner != owners[0] {
			t.Errorf("%s: the pauses are %+v, %v", when, pauses, err)
		}
	}
	if err := w.store.PauseByPerson(ctx, "summaries", "lunch", pause); err != nil {
		t.Fatal(err)
	}
	stands("paused", 1, jobs.OwnerPerson)
	if _, err := w.Enqueue(ctx, some(1)[0]); err != nil {
		t.Errorf("a paused route takes nothing: %v", err)
	}
	if err := w.store.ResumeByPerson(ctx, "summaries", resume); err != nil {
		t.Fatal(err)
	}
	stands("resumed", 0)
	tx, err := w.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := pause(ctx, tx); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	stands("rolled back", 0)
	err = pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error { return w.PauseTx(ctx, tx, "nowhere") })
	if err == nil {
		t.Error("it paused a queue that there is not")
	}
}
