package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"tidegate/jobs"
	"tidegate/store"
)

// due writes requests of a batch whose deadlines passed that long ago.
func (w *world) due(batch string, ago ...time.Duration) []jobs.Request {
	w.t.Helper()
	requests := make([]jobs.Request, len(ago))
	for i := range requests {
		requests[i] = jobs.Request{
			ID: uuid.Must(uuid.NewV7()).String(), Tenant: "acme", Route: "summaries", BatchID: batch, CustomID: "due",
			Deadline: time.Now().Add(-ago[i]), Body: []byte(body), CreatedAt: time.Now(),
		}
	}
	w.write(batch, requests)
	return requests
}

func TestExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("one")
	w.accept("", 1) // without a deadline
	requests := w.due("batch_1", time.Minute, 5*time.Minute, 3*time.Minute)
	w.due("batch_2", 2*time.Hour, time.Second, -time.Hour) // too long ago, too lately, not yet
	w.commit(answered(&requests[2]))
	w.owed()
	for _, want := range []int{2, 0} {
		if n, err := w.Expire(t.Context(), held, time.Hour, 30*time.Second); n != want || err != nil {
			t.Errorf("%d expired, not %d: %v", n, want, err)
		}
	}
	expect(t, "expired", w.number(`SELECT count(*) FROM tidegate.results WHERE state = 'expired' AND status = 504 AND code = 'batch_expired'
		AND message = 'its deadline passed before a target could answer'`), 2)
	got := w.batch("batch_1")
	expect(t, "the batch", []any{got.State, got.Completed, got.Failed}, []any{jobs.BatchCompleted, 1, 2})
	expect(t, "the other", w.batch("batch_2").Failed, 0)
	expect(t, "owed", names(w.owed()), []string{"due", "due", "batch_1"})
	expect(t, "a late answer", w.commit(answered(&requests[0])), 0)
}

func TestExpireInPieces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("one")
	w.due("batch_1", make([]time.Duration, store.ExpireAtOnce+1)...)
	for _, want := range []int{store.ExpireAtOnce, 1} {
		if n, err := w.Expire(t.Context(), held, time.Hour, 0); n != want || err != nil {
			t.Errorf("%d expired, not %d: %v", n, want, err)
		}
	}
	expect(t, "the batch", w.batch("batch_1").State, jobs.BatchCompleted)
}
