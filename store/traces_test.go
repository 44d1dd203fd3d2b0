package store_test

import (
	"testing"

	"tidegate/jobs"
	"tidegate/store"
)

// What says to which trace a request belongs is there for as long as the request: its
// story tells it when its event was sent long ago, and it goes with it.
func TestTraceIsKeptWithItsRequest(t *testing.T) {
	t.Parallel()
	const span = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	w := newWorld(t)
	batch := store.NewBatchID()
	of, single, other := w.accept(batch, 2), w.accept("", 1), w.accept("", 1)
	for _, r := range []jobs.Request{of[0], of[1], single[0], other[0]} {
		w.exec("INSERT INTO tidegate.traces VALUES ($1, $2)", r.ID, span)
	}
	w.exec("INSERT INTO tidegate.traces SELECT substring($1 FROM 7)::uuid, $2", batch, span) // as that of a batch that came as a file
	if got, err := w.TraceOfBatch(t.Context(), batch); err != nil || got != span {
		t.Errorf("the batch is in %q: %v", got, err)
	}
	for _, none := range []string{store.NewBatchID(), "batch_none"} {
		if got, err := w.TraceOfBatch(t.Context(), none); err != nil || got != "" {
			t.Errorf("%s is in %q: %v", none, got, err)
		}
	}
	w.aged(31, of)
	w.aged(31, single)
	for _, event := range w.owed() {
		if event.Result != nil && event.Result.Traceparent != span {
			t.Errorf("an event is in %q", event.Result.Traceparent)
		}
	}
	if story, err := w.Story(t.Context(), of[1].ID); err != nil || story.Request.Traceparent != span {
		t.Errorf("the story says %q: %v", story.Request.Traceparent, err)
	}
	held := w.lead("one")
	for _, do := range []removing{w.RemoveBatches, w.RemoveSingles} {
		w.removes(do, held, jobs.RemovalStep{Keep: month, AtMost: 100})
	}
	if n := w.number("SELECT count(*) FROM tidegate.traces"); n != 1 || w.number("SELECT count(*) FROM tidegate.requests") != 1 {
		t.Errorf("%d are left, of the one request that has not ended", n)
	}
}
