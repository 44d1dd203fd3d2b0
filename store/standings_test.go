package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
	"tidegate/store"
)

// Where a request stands: it waits, a call of it is under way, it has ended.
func TestStanding(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("batch_1", 3)
	w.beat("w1")
	w.begin("w1", 0, requests[1].ID)
	w.commit(jobs.Entry{Request: &requests[2], Result: &jobs.Result{
		ID: requests[0].ID, State: jobs.StateAnswered, Status: 200, Body: []byte(body), Target: "cheap", Cost: 7, Attempts: 1,
	}})
	for i, want := range []string{"waits", "runs", "answered"} {
		standing, err := w.Standing(t.Context(), "acme", requests[i].ID)
		got := "waits"
		switch {
		case standing.Result != nil:
			got = string(standing.Result.State)
		case standing.Running:
			got = "runs"
		}
		if r := standing.Request; err != nil || got != want || r.BatchID != "batch_1" || r.CustomID != requests[i].CustomID || r.Route != "summaries" || r.Tenant != "acme" {
			t.Errorf("request %d: %s, %+v, %v", i, got, standing, err)
		}
		if standing.Result != nil && (string(standing.Result.Body) != body || standing.Result.Cost != 7) {
			t.Errorf("its result is %+v", standing.Result)
		}
		if _, err := w.Standing(t.Context(), "other", requests[i].ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("of another tenant: %v", err)
		}
	}
	for _, id := range []string{"", "x", "01a20aa4-c8ca-75b5-a7d0-750cfcc3a7fe"} {
		if _, err := w.Standing(t.Context(), "acme", id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// A page finds few of a tenant's requests among many of others', and says where it
// stopped if it did not look at all.
func TestStandingsAmongMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine := w.accept("", 3)
	w.exec(`INSERT INTO tidegate.requests (id, tenant, route, body)
		SELECT ('019fffff-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'many', 'summaries', 'x' FROM generate_series(1, 45000) n`)
	w.exec(`ANALYZE tidegate.requests`)
	for _, ascending := range []bool{false, true} {
		page, err := w.Standings(t.Context(), store.StandingFilter{Tenant: "acme", Page: store.Page{Limit: 2, Ascending: ascending}})
		if err != nil || len(page.All) != 2 || !page.More || page.Last != page.All[1].Request.ID {
			t.Fatalf("the first two, ascending %v: %+v, %v", ascending, page, err)
		}
		rest, err := w.Standings(t.Context(), store.StandingFilter{Tenant: "acme", Page: store.Page{After: page.Last, Limit: 2, Ascending: ascending}})
		if err != nil || len(rest.All) != 1 || rest.More {
			t.Errorf("the rest: %+v, %v", rest, err)
		}
		if want := map[bool]string{true: mine[2].ID, false: mine[0].ID}[ascending]; len(rest.All) == 1 && rest.All[0].Request.ID != want {
			t.Errorf("the last is %+v", rest.All[0])
		}
	}
	nothing, err := w.Standings(t.Context(), store.StandingFilter{Tenant: "many", State: jobs.StateRefused, Page: store.Page{Limit: 2}})
	if err != nil || len(nothing.All) != 0 || nothing.More {
		t.Errorf("of none: %+v, %v", nothing, err)
	}
}

// Answers come with a page as long as they are not too many bytes together; where they
// are, the page ends, and the next goes on there.
func TestStandingsWithBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("batch_1", 5)
	sizes := []int{10, 900, 10, 0, 60}
	for i := range requests {
		if i == 3 {
			continue
		}
		w.commit(jobs.Entry{Request: &requests[i], Result: &jobs.Result{
			ID: requests[i].ID, State: jobs.StateAnswered, Status: 200, Body: []byte(strings.Repeat("x", sizes[i])), Attempts: 1,
		}})
	}
	var got [][]int
	page := store.StandingPage{More: true}
	for page.More {
		var err error
		page, err = w.Standings(t.Context(), store.StandingFilter{Tenant: "acme", Batch: "batch_1", Bodies: 100, Page: store.Page{After: page.Last, Limit: 4, Ascending: true}})
		if err != nil {
			t.Fatal(err)
		}
		var some []int
		for _, s := range page.All {
			n := -1
			if s.Result != nil {
				n = len(s.Result.Body)
			}
			some = append(some, n)
		}
		got = append(got, some)
	}
	if diff := cmp.Diff([][]int{{10}, {900}, {10, -1, 60}}, got); diff != "" {
		t.Error(diff)
	}
	page, err := w.Standings(t.Context(), store.StandingFilter{Tenant: "acme", Page: store.Page{Limit: 9}})
	if err != nil || len(page.All) != 5 || page.More || page.All[0].Result.BodyBytes != 60 || page.All[0].Result.Body != nil {
		t.Errorf("without answers: %+v, %v", page, err)
	}
}
