package queue_test

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/integration/fixture"
	"tidegate/jobs"
)

// What was yielded a thousand requests ago is in Postgres, not in memory.
func TestStreamNeedsLittleMemory(t *testing.T) {
	t.Parallel()
	const total, mark = 25_000, 5_000
	w := newWorld(t)
	var marked, released atomic.Int64 // bodies that are looked after, and those of them that nobody holds any more
	err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error {
		batch, err := w.StreamTx(t.Context(), tx, func(yield func(jobs.Request, error) bool) {
			for i := range total {
				body := append([]byte(nil), hello...)
				if i%mark == 0 {
					marked.Add(1)
					runtime.AddCleanup(&body[0], func(n *atomic.Int64) { n.Add(1) }, &released)
				}
				if i%mark == mark/2 {
					var stored int
					if err := tx.QueryRow(t.Context(), "SELECT count(*) FROM tidegate.requests").Scan(&stored); err != nil || i-stored > 1000 {
						t.Errorf("%d of %d requests are stored, %v", stored, i, err)
					}
					fixture.Await(t, time.Minute, "the bodies of the requests before are let go", func() bool {
						runtime.GC()
						return released.Load() == marked.Load()
					})
				}
				if !yield(jobs.Request{Route: "summaries", Body: body}, nil) {
					return
				}
			}
		})
		if batch.Total != total {
			t.Errorf("the batch counts %d of %d", batch.Total, total)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.stands("in the end", total, 1)
}

func TestStreamEndsAtItsError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	torn := errors.New("line 1502: torn")
	yields := 0
	err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error {
		_, err := w.StreamTx(t.Context(), tx, func(yield func(jobs.Request, error) bool) {
			for yields < 1501 {
				yields++
				if !yield(some(1)[0], nil) {
					return
				}
			}
			if yield(jobs.Request{}, torn) {
				t.Error("it wants more after an error")
			}
		})
		return err
	})
	if !errors.Is(err, torn) || err.Error() != torn.Error() {
		t.Errorf("it says %v", err)
	}
	w.stands("in the end", 0, 0)
}
