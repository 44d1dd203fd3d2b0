package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"tidegate/integration/fixture"
	"tidegate/jobs"
)

// The dead are kept out, and who got in before has time to end what it does: a
// rescue waits for that.
func TestFence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("lead")
	fenced := func(act func() error) error {
		return pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error { return errors.Join(w.Fence(t.Context(), tx, "one"), act()) })
	}
	nothing := func() error { return nil }
	if err := fenced(nothing); !errors.Is(err, jobs.ErrDead) {
		t.Errorf("before its first beat: %v", err)
	}
	w.beat("one")
	var rescue sync.WaitGroup
	err := fenced(func() error {
		w.beat("one") // goes on meanwhile
		rescue.Go(func() { w.rescue(held, "one") })
		fixture.Await(t, soon, "the rescue waits", func() bool {
			return w.number("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
		})
		return nil
	})
	rescue.Wait()
	if err != nil {
		t.Errorf("of the living: %v", err)
	}
	if err := fenced(nothing); !errors.Is(err, jobs.ErrDead) {
		t.Errorf("of the dead: %v", err)
	}
}

// A job that another worker has by now is not held, and neither is one that waits.
func TestHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("batch_1", 3)
	w.job(&requests[0], "summaries", 1, "one")
	w.job(&requests[1], "summaries", 1, "one", "two")
	w.job(&requests[2], "summaries", 1, "one")
	w.exec("UPDATE tidegate.river_job SET state = 'available' WHERE id = (SELECT max(id) FROM tidegate.river_job)")
	first := int64(w.number("SELECT min(id) FROM tidegate.river_job"))
	err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error {
		got, err := w.Held(t.Context(), tx, "one", []int64{first, first + 1, first + 2, first + 7})
		if diff := cmp.Diff([]int64{first}, got); diff != "" {
			t.Errorf("held (-want +got):\n%s", diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A worker gives back what it has, and nothing that is another's by now.
func TestUnclaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("batch_1", 4)
	w.job(&requests[0], "summaries", 1, "one")
	w.job(&requests[1], "summaries", 2, "two", "one")
	w.job(&requests[2], "summaries", 1, "one", "two")
	w.job(&requests[3], "summaries", 1, "one")
	w.exec("UPDATE tidegate.river_job SET attempted_at = now() - CASE WHEN id = (SELECT max(id) FROM tidegate.river_job) THEN interval '1 second' ELSE interval '1 minute' END")
	claimed, err := w.Claimed(t.Context(), "one", 30*time.Second)
	if err != nil || len(claimed) != 2 {
		t.Fatalf("it has had %v for long: %v", claimed, err)
	}
	all := append(claimed, claimed[1]+1)
	n, err := w.Unclaim(t.Context(), "one", all)
	if err != nil || n != 2 {
		t.Errorf("it gave %d back: %v", n, err)
	}
	want := []string{"doc-0 available summaries 0", "doc-1 available summaries 1", "doc-2 running summaries 1", "doc-3 running summaries 1"}
	if diff := cmp.Diff(want, w.jobsNow()); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	if n, err := w.Unclaim(t.Context(), "one", all); err != nil || n != 0 {
		t.Errorf("once more, it gave %d back: %v", n, err)
	}
}
