package store_test

import (
	"testing"

	"tidegate/jobs"
)

// parked counts the jobs that wait for a time.
func (w *world) parked() int {
	w.t.Helper()
	return w.number("SELECT count(*) FROM tidegate.river_job WHERE state = 'scheduled' AND scheduled_at > now() + interval '1 minute'")
}

func (w *world) park() {
	w.t.Helper()
	w.exec("UPDATE tidegate.river_job SET state = 'scheduled', scheduled_at = now() + interval '3 days' WHERE queue <> 'running'")
}

// What waits for a target is given back, and nothing else is.
func TestUnpark(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("lead")
	if err := w.SaveRoutes(t.Context(), routesOf("summaries", "a", "b")); err != nil {
		t.Fatal(err)
	}
	if err := w.SaveRoutes(t.Context(), routesOf("labels", "c")); err != nil {
		t.Fatal(err)
	}
	requests := w.accept("batch_1", 3)
	w.job(&requests[0], "summaries", 0, "one")
	w.job(&requests[1], "labels", 0, "one")
	w.park()
	w.job(&requests[2], "summaries", 1, "one")
	for _, want := range []int{1, 0} {
		if n, err := w.Unpark(t.Context(), held, "b", 5); n != want || err != nil {
			t.Errorf("%d were given back, want %d: %v", n, want, err)
		}
	}
	expect(t, "parked of the other", w.parked(), 1)
	expect(t, "running", w.number("SELECT count(*) FROM tidegate.river_job WHERE state = 'running'"), 1)
}

// What waited for a target of a chain may go to one that is new in it.
func TestRouteThatChangesGivesBackWhatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		chain  []string
		parked int
	}{{[]string{"a"}, 1}, {[]string{"a"}, 1}, {[]string{"a", "b"}, 0}} {
		if err := w.SaveRoutes(t.Context(), routesOf("summaries", c.chain...)); err != nil {
			t.Fatal(err)
		}
		if w.number("SELECT count(*) FROM tidegate.river_job") == 0 {
			requests := w.accept("batch_1", 1)
			w.job(&requests[0], "summaries", 0, "one")
			w.park()
		}
		expect(t, "parked", w.parked(), c.parked)
	}
}

func routesOf(name string, chain ...string) []jobs.Route {
	route := jobs.Route{Name: name, Goal: "ordered"}
	for _, target := range chain {
		route.Chain = append(route.Chain, &jobs.Target{Name: target})
	}
	return []jobs.Route{route}
}
