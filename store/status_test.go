package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tidegate/jobs"
	"tidegate/store"
)

// insertJob puts a job into River's table as River would.
const insertJob = `INSERT INTO tidegate.river_job (args, kind, max_attempts, queue, state, attempt, finalized_at)
VALUES ('{}', 'completion', 5, $1, $2::tidegate.river_job_state, $3, CASE WHEN $2 IN ('completed', 'discarded', 'cancelled') THEN now() END)`

func TestStatusOfAKnownState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.SaveRoutes(t.Context(), []jobs.Route{{Name: "summaries", Goal: "ordered"}, {Name: "labels", Goal: "ordered"}}); err != nil {
		t.Fatal(err)
	}
	for _, j := range []struct {
		queue, state string
		attempt      int
	}{
		{"summaries", "available", 0},
		{"summaries", "retryable", 1},
		{"summaries", "scheduled", 0},
		{"summaries", "running", 1},
		{"summaries", "completed", 1},
		{"summaries", "discarded", 5},
		{"elsewhere", "available", 0}, // a queue of no route
	} {
		w.exec(insertJob, j.queue, j.state, j.attempt)
	}
	w.exec("INSERT INTO tidegate.river_queue (name, paused_at, updated_at) VALUES ('labels', now(), now())")
	requests := w.accept("batch_1", 4)
	gone := w.accept("", 1)
	w.exec("UPDATE tidegate.requests SET route = 'gone' WHERE id = $1", gone[0].ID)
	w.exec(`INSERT INTO tidegate.river_job (args, kind, max_attempts, queue) VALUES (jsonb_build_object('r', $1::text), 'completion', 5, 'gone')`, gone[0].ID)
	w.commit(answered(&requests[0]), answered(&requests[1]), ended(&requests[2], jobs.StateRefused))
	failed := jobs.Attempt{At: time.Now(), Target: "cheap", Class: jobs.Timeout, Latency: time.Minute, Cost: 5}
	w.commit(jobs.Entry{Request: &requests[3], Trace: jobs.Trace{{Attempt: &failed}}})
	w.save("w", jobs.Circuit{Target: "cheap", State: jobs.CircuitClosed, Since: time.Now()})
	got, err := w.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := store.Status{
		Routes: []store.RouteStatus{
			{Route: "gone", Waiting: 1, Retired: true},
			{Route: "labels"},
			{Route: "summaries", Waiting: 3, InHand: 1, Discarded: 1},
		},
		Targets: []store.TargetStatus{{Target: "cheap", Calls: 3, Answered: 2, Cost: 65, Median: 12 * time.Millisecond, Tokens: 10}},
		Open:    1, Results: map[jobs.State]int{jobs.StateAnswered: 2, jobs.StateRefused: 1},
		Outbox: 3,
	}
	unsaid := cmp.Options{
		cmpopts.IgnoreFields(store.Status{}, "At", "Behind", "Circuits", "Batches", "Pauses", "Drills", "Workers"),
		cmpopts.EquateEmpty(),
		cmpopts.IgnoreFields(store.RouteStatus{}, "Chain", "Oldest", "PausedAt", "ServedAt"),
	}
	if diff := cmp.Diff(want, got, unsaid); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if got.Behind <= 0 || got.Behind > time.Minute || got.At.IsZero() || got.Routes[2].Oldest.IsZero() || !got.Routes[1].Oldest.IsZero() {
		t.Errorf("behind %s at %s, oldest %+v", got.Behind, got.At, got.Routes)
	}
	if labels, summaries := got.Routes[1], got.Routes[2]; labels.PausedAt.IsZero() || labels.ServedAt.IsZero() || !summaries.PausedAt.IsZero() || !summaries.ServedAt.IsZero() {
		t.Errorf("paused and served: %+v", got.Routes)
	}
	if len(got.Circuits) != 1 || len(got.Batches) != 1 || got.Batches[0].Completed != 2 {
		t.Errorf("circuits %+v, batches %+v", got.Circuits, got.Batches)
	}
	if n, err := w.AttemptsBurned(t.Context()); n != 5 || err != nil { // four beyond the first, and a job given up
		t.Errorf("%d attempts burned, %v", n, err)
	}
}

func TestStatusOfAFleet(t *testing.T) {
	t.Parallel()
	g := newGated(t) // which worker "one" leads
	g.beat("one", "two")
	g.kill("three")
	g.kill("four")
	g.exec("UPDATE tidegate.workers SET beat_at = now() - interval '1 minute' WHERE id = 'two'")
	g.exec("UPDATE tidegate.workers SET dead_at = now() - interval '4 minutes' WHERE id = 'three'")
	g.exec("UPDATE tidegate.workers SET dead_at = now() - interval '6 minutes' WHERE id = 'four'")
	g.do("trip")
	g.do("pause")
	for target, lasts := range map[string]time.Duration{"a": time.Hour, "b": -time.Second} {
		if err := g.StartDrill(t.Context(), jobs.Drill{Target: target, Mode: jobs.Drill503, Rate: 0.5, Until: time.Now().Add(lasts)}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := g.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var workers []string
	for _, w := range got.Workers {
		workers = append(workers, fmt.Sprintf("%s dead %v leads %v silent %v", w.Worker, w.Dead, w.Supervises, w.Silent > 30*time.Second))
	}
	expect(t, "workers", workers, []string{"one dead false leads true silent false", "two dead false leads false silent true", "three dead true leads false silent false"})
	var pauses []string
	for _, p := range got.Pauses {
		pauses = append(pauses, fmt.Sprint(p.Route, " ", p.Owner, " ", p.Reason))
	}
	expect(t, "pauses", pauses, []string{"summaries circuit all are down", "summaries person lunch"})
	if d := got.Drills; len(d) != 1 || d[0].Target != "a" || d[0].Mode != jobs.Drill503 || d[0].Rate != 0.5 || d[0].Until.Sub(d[0].Since).Round(time.Second) != time.Hour {
		t.Errorf("drills %+v", d)
	}
}

func TestStatusOfNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, err := w.Status(t.Context())
	if err != nil || got.Outbox != 0 || got.Behind != 0 || len(got.Routes)+len(got.Results) != 0 {
		t.Errorf("status %+v, %v", got, err)
	}
	if n, err := w.AttemptsBurned(t.Context()); n != 0 || err != nil {
		t.Errorf("%d attempts burned, %v", n, err)
	}
}

// A route that is retired cannot be named any more, and what waits on it is
// still there and still seen.
func TestRetireRoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	routes := []jobs.Route{{Name: "summaries", Goal: "ordered"}, {Name: "labels", Goal: "ordered"}}
	if err := w.SaveRoutes(t.Context(), routes); err != nil {
		t.Fatal(err)
	}
	request := w.accept("", 1)[0]
	w.exec(`INSERT INTO tidegate.river_job (args, kind, max_attempts, queue) VALUES (jsonb_build_object('r', $1::text), 'completion', 5, 'summaries')`, request.ID)
	if waiting, err := w.RetireRoute(t.Context(), "summaries"); waiting != 1 || err != nil {
		t.Errorf("%d wait, %v", waiting, err)
	}
	if _, err := w.RetireRoute(t.Context(), "summaries"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a second time: %v", err)
	}
	left, err := store.Routes(t.Context(), w.pool)
	if err != nil || len(left) != 1 || left[0].Name != "labels" {
		t.Errorf("producers may name %+v, %v", left, err)
	}
	status, err := w.Status(t.Context())
	if err != nil || len(status.Routes) != 2 || !status.Routes[1].Retired || status.Routes[1].Waiting != 1 {
		t.Errorf("status %+v, %v", status.Routes, err)
	}
	if err := w.SaveRoutes(t.Context(), routes); err != nil {
		t.Fatal(err)
	}
	if status, err = w.Status(t.Context()); err != nil || status.Routes[1].Retired {
		t.Errorf("announced again: %+v, %v", status.Routes, err)
	}
}
