package store_test

import (
	"errors"
	"sync"
	"testing"

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
