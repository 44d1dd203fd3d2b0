package store_test

import (
	"testing"
	"time"
)

// A backlog is all that has not ended on one route, and the deadline of who came last.
func TestRouteBacklog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("batch_1", 4)
	is := func(route string, n int, least, most time.Duration) {
		t.Helper()
		got, last, err := w.RouteBacklog(t.Context(), route)
		if err != nil || got != n || last < least || last > most {
			t.Errorf("%s: %d wait, the last for %s: %v; want %d and %s to %s", route, got, last, err, n, least, most)
		}
	}
	is("summaries", 0, 0, 0)
	for i := range requests[:3] {
		w.job(&requests[i], "summaries", 0, "one")
	}
	w.job(&requests[3], "labels", 0, "one")
	w.exec("UPDATE tidegate.river_job SET state = 'available', scheduled_at = now() + id * interval '1 ms' WHERE queue = 'summaries'")
	is("summaries", 0, 0, 0) // nobody is wanted by a time
	w.exec("UPDATE tidegate.requests SET deadline = now() + interval '1 hour' * (SELECT j.id FROM tidegate.river_job j WHERE j.args->>'r' = requests.id::text)")
	last := time.Duration(w.number("SELECT max(id) FROM tidegate.river_job WHERE queue = 'summaries'")) * time.Hour
	is("summaries", 3, last-time.Minute, last)
	w.exec("UPDATE tidegate.river_job SET state = 'scheduled', scheduled_at = now() + interval '1 day' WHERE queue = 'summaries'")
	is("summaries", 3, last-time.Minute, last)
	for _, state := range []string{"pending", "running"} { // for their turn on a route with fair admission, or in hand
		w.exec("UPDATE tidegate.river_job SET state = '" + state + "' WHERE queue = 'summaries'")
		is("summaries", 3, last-time.Minute, last)
	}
	w.exec("UPDATE tidegate.river_job SET state = 'completed', finalized_at = now() WHERE queue = 'summaries'")
	is("summaries", 0, 0, 0)
}
