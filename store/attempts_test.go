package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

func TestHistories(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("", 4)
	want := map[string]jobs.Trace{}
	for i, r := range requests[:3] {
		for n := range i { // none for the first
			attempt := jobs.Attempt{
				At: time.Now().Add(time.Duration(n) * time.Minute).Truncate(time.Microsecond), Target: "cheap", Class: jobs.Context, Status: 400,
				Code: "too_long", Message: "no", Latency: 12 * time.Millisecond, Cost: 30, Blamed: n == 1, Propensity: 1,
			}
			step := jobs.Trace{{Attempt: &attempt}}
			w.commit(jobs.Entry{Request: &r, Trace: step})
			want[r.ID] = append(want[r.ID], step...)
		}
	}
	w.commit(answered(&requests[3]))
	got, err := w.Histories(t.Context(), []string{requests[0].ID, requests[1].ID, requests[2].ID})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
