package store_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

func route(name string, chain ...string) jobs.Route {
	r := jobs.Route{Name: name, Goal: "ordered"}
	for _, target := range chain {
		r.Chain = append(r.Chain, &jobs.Target{Name: target})
	}
	return r
}

// Of two configurations the last start wins, until the other one speaks again.
func TestKeepRoutesHasTheLastWord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now, old := []jobs.Route{route("b", "cheap", "dear"), route("a", "cheap")}, []jobs.Route{route("b", "gone")}
	now[0].Deadline, now[0].Models = time.Hour, []string{"cheap-1"}
	for _, routes := range [][]jobs.Route{now, old} {
		if err := w.SaveRoutes(t.Context(), routes); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.RetireRoute(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.KeepRoutes(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(map[string][]string{"b": {"cheap", "dear"}}, w.fleet().Chains); diff != "" {
		t.Errorf("chains (-want +got):\n%s", diff)
	}
	expect(t, "rows as they were said", w.number("SELECT count(*) FROM tidegate.routes WHERE deadline = '1 hour' AND models = '{cheap-1}'"), 1)
	before := w.number("SELECT xmin::text::int FROM tidegate.routes")
	if err := w.KeepRoutes(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	expect(t, "the row, once nothing is new", w.number("SELECT xmin::text::int FROM tidegate.routes"), before)
}

// Workers that start together may have their routes in any order.
func TestSaveRoutesInAnyOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var routes []jobs.Route
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		routes = append(routes, route(name, "cheap"))
	}
	turned := slices.Clone(routes)
	slices.Reverse(turned)
	var parts sync.WaitGroup
	for _, given := range [][]jobs.Route{routes, turned, routes, turned} {
		parts.Go(func() {
			for range 50 {
				if err := w.SaveRoutes(t.Context(), given); err != nil {
					t.Error(err)
				}
			}
		})
	}
	parts.Wait()
}
