package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"tidegate/jobs"
	"tidegate/store"
)

// found lists the custom ids of the results that a filter chooses.
func (w *world) found(filter store.Filter) []string {
	w.t.Helper()
	var out []string
	for event, err := range w.Results(w.t.Context(), filter) {
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, event.CustomID)
	}
	return out
}

func TestResultsByFilter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.accept("batch_a", 3), w.accept("batch_b", 2)
	other := []jobs.Request{{ID: uuid.Must(uuid.NewV7()).String(), Tenant: "umbrella", Route: "labels", CustomID: "theirs", Body: []byte(body), CreatedAt: time.Now()}}
	b[0].CustomID, b[1].CustomID = "b-0", "b-1" // in memory only
	w.write("", other)
	w.commit(answered(&other[0]), answered(&a[2]), ended(&a[0], jobs.StateRefused), answered(&b[1]))
	w.exec("UPDATE tidegate.results SET stored_at = stored_at - interval '1 hour' WHERE request_id = $1", a[2].ID)
	for _, c := range []struct {
		name   string
		filter store.Filter
		want   []string
	}{
		{"all, as they were accepted", store.Filter{}, []string{"doc-0", "doc-2", "doc-1", "theirs"}},
		{"request", store.Filter{RequestID: a[2].ID}, []string{"doc-2"}},
		{"request that waits", store.Filter{RequestID: a[1].ID}, nil},
		{"batch", store.Filter{BatchID: "batch_a"}, []string{"doc-0", "doc-2"}},
		{"tenant", store.Filter{Tenant: "umbrella"}, []string{"theirs"}},
		{"route", store.Filter{Route: "summaries"}, []string{"doc-0", "doc-2", "doc-1"}},
		{"state", store.Filter{State: jobs.StateRefused}, []string{"doc-0"}},
		{"since", store.Filter{Since: time.Now().Add(-time.Minute)}, []string{"doc-0", "doc-1", "theirs"}},
		{"limit", store.Filter{Limit: 2}, []string{"doc-0", "doc-2"}},
		{"several at once", store.Filter{BatchID: "batch_a", State: jobs.StateAnswered, Tenant: "acme", Limit: 9}, []string{"doc-2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, w.found(c.filter)); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
		})
	}
}

func TestResultsAreWholeAndStreamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const total = 50
	requests := w.accept("", total)
	large := make([]byte, 2*jobs.MaxEventBody)
	for i := range requests {
		entry := answered(&requests[i])
		entry.Result.Body = large
		w.commit(entry)
	}
	seen := 0
	for event, err := range w.Results(t.Context(), store.Filter{}) {
		if err != nil || len(event.Body) != len(large) || event.CustomID != fmt.Sprint("doc-", seen) {
			t.Fatalf("result %d is %s with %d bytes, %v", seen, event.CustomID, len(event.Body), err)
		}
		if seen++; seen == 3 {
			break // and gives the connection back
		}
	}
	if n := w.pool.Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections are still in use", n)
	}
}

func TestResultsEndAtTheFirstError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	times := 0
	for _, err := range w.Results(t.Context(), store.Filter{RequestID: "doc-7"}) {
		if times++; !errors.Is(err, store.ErrNotFound) {
			t.Errorf("it says %v", err)
		}
	}
	if times != 1 {
		t.Errorf("it ends after %d errors", times)
	}
}

func TestRepublish(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("batch_1", 3)
	w.commit(answered(&requests[0]), answered(&requests[1]))
	before := map[string]string{}
	for _, event := range w.owed() {
		before[event.Result.CustomID] = event.Result.ID
	}
	if n, err := w.Republish(t.Context(), "batch_1", ""); n != 2 || err != nil {
		t.Errorf("the batch owes %d, %v", n, err)
	}
	if n, err := w.Republish(t.Context(), "", requests[1].ID); n != 1 || err != nil {
		t.Errorf("the request owes %d, %v", n, err)
	}
	if n, err := w.Republish(t.Context(), "", requests[2].ID); n != 0 || err != nil {
		t.Errorf("a request without a result owes %d, %v", n, err)
	}
	owed := w.owed()
	if len(owed) != 3 {
		t.Errorf("%d events", len(owed))
	}
	for _, event := range owed {
		if event.Result.ID != before[event.Result.CustomID] {
			t.Errorf("%s has the id %s now, and had %s", event.Result.CustomID, event.Result.ID, before[event.Result.CustomID])
		}
	}
	if _, err := w.Republish(t.Context(), "", "doc-7"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("it says %v", err)
	}
}
