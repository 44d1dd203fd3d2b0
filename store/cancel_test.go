package store_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/store"
)

func TestCancelRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("", 2)
	w.commit(answered(&requests[0]))
	for _, c := range []struct {
		why, id string
		want    bool
		err     error
	}{
		{"it has its answer", requests[0].ID, false, nil},
		{"it waits", requests[1].ID, true, nil},
		{"it was cancelled before", requests[1].ID, false, nil},
		{"nobody knows it", uuid.NewString(), false, store.ErrNotFound},
		{"it is no id", "doc-7", false, store.ErrNotFound},
	} {
		got, err := w.CancelRequest(t.Context(), c.id)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: cancelled %v, %v", c.why, got, err)
		}
	}
	loaded, err := w.Load(t.Context(), []string{requests[1].ID})
	if err != nil || len(loaded) != 1 || !loaded[0].Ended {
		t.Errorf("a cancelled request is loaded as %+v, %v", loaded, err)
	}
}

func TestCancelBatchThatThereIsNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.CancelBatch(t.Context(), "batch_none"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("it says %v", err)
	}
}

// A large batch is cancelled in pieces, and twice: the second finds nothing.
func TestCancelBatchInPieces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const total = 12_000
	requests := w.accept("batch_1", total)
	w.commit(answered(&requests[0]), ended(&requests[total-1], jobs.StateRefused))
	for _, want := range []int{total - 2, 0} {
		if n, err := w.CancelBatch(t.Context(), "batch_1"); err != nil || n != want {
			t.Errorf("cancelled %d of %d, %v", n, want, err)
		}
	}
	got := w.batch("batch_1")
	if got.State != jobs.BatchCancelled || got.Completed != 1 || got.Failed != total-1 || got.EndedAt.IsZero() {
		t.Errorf("the batch stands at %+v", got)
	}
	if n := w.number("SELECT count(*) FROM tidegate.outbox WHERE batch_id IS NOT NULL"); n != 1 {
		t.Errorf("the end of the batch is owed %d times", n)
	}
}

func TestCancelOfABatchThatHasEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("batch_1", 1)
	w.commit(answered(&requests[0]))
	if n, err := w.CancelBatch(t.Context(), "batch_1"); n != 0 || err != nil {
		t.Errorf("cancelled %d, %v", n, err)
	}
	if got := w.batch("batch_1"); got.State != jobs.BatchCompleted {
		t.Errorf("the batch stands at %+v", got)
	}
}

// Results come in while the batch is cancelled: every request ends in one way.
func TestCancelWhileResultsComeIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const total, workers = 6000, 3
	requests := w.accept("batch_1", total)
	order := rand.Perm(total)
	share := total / workers
	var parts sync.WaitGroup
	for i := range workers {
		mine := order[i*share : (i+1)*share]
		parts.Go(func() {
			for group := range slices.Chunk(mine, 100) {
				if _, refused, err := w.Commit(t.Context(), entries(requests, group)); err != nil || len(refused) > 0 {
					t.Errorf("refused %v: %v", refused, err)
				}
			}
		})
	}
	fixture.Await(t, time.Minute, "results have come in", func() bool { return w.batch("batch_1").Completed > 0 })
	cancelled, err := w.CancelBatch(t.Context(), "batch_1")
	if err != nil {
		t.Fatal(err)
	}
	parts.Wait()
	completed := w.number("SELECT count(*) FROM tidegate.results WHERE state = 'answered'")
	got := w.batch("batch_1")
	if got.State != jobs.BatchCancelled || got.Completed != completed || got.Completed+got.Failed != total {
		t.Errorf("the batch stands at %+v with %d answers", got, completed)
	}
	if n := w.number("SELECT count(*) FROM tidegate.results WHERE state = 'cancelled'"); n != cancelled || n == 0 {
		t.Errorf("%d requests were cancelled, and it says %d", n, cancelled)
	}
	if n := w.number("SELECT count(*) FROM tidegate.results"); n != total {
		t.Errorf("%d results of %d requests", n, total)
	}
	if n := w.number("SELECT count(*) FROM tidegate.outbox"); n != total+1 {
		t.Errorf("%d events are owed for %d results and a batch", n, total)
	}
}
