package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"tidegate/jobs"
	"tidegate/store"
)

// What happened before the drill, after it, at other targets or on other routes
// is not counted where it does not belong.
func TestDrilledCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	chain := []*jobs.Target{{Name: "a"}, {Name: "b"}}
	if err := w.SaveRoutes(t.Context(), []jobs.Route{{Name: "summaries", Goal: "ordered", Chain: chain}, {Name: "labels", Goal: "ordered", Chain: chain[1:]}}); err != nil {
		t.Fatal(err)
	}
	began, over := time.Now().Add(-time.Minute), time.Now().Add(-20*time.Second)
	requests := w.accept("", 5)
	call := func(target string, at time.Time, code string, probe bool) jobs.Step {
		return jobs.Step{Attempt: &jobs.Attempt{At: at, Target: target, Class: jobs.Overload, Code: code, Probe: probe}}
	}
	during := began.Add(10 * time.Second)
	by := func(i int, target string, trace ...jobs.Step) jobs.Entry {
		e := answered(&requests[i])
		e.Result.Target, e.Trace = target, trace
		return e
	}
	w.commit(
		by(0, "b", call("a", during, "drill", false), call("a", during.Add(time.Second), "drill", true), call("b", during.Add(2*time.Second), "", false)),
		by(1, "a", call("a", began.Add(-time.Second), "", false), call("a", during, "", false)), // a brown-out: its second call went through
		by(2, "a", call("a", over.Add(time.Second), "", false)),
		ended(&requests[3], jobs.StateExpired),
	)
	for i, state := range []string{"completed", "completed", "discarded", "available", "running"} {
		w.exec(`INSERT INTO tidegate.river_job (args, kind, max_attempts, queue, state, attempt, finalized_at)
			VALUES (jsonb_build_object('r', $1::text), 'completion', 5, 'summaries', $2::tidegate.river_job_state, 1, CASE WHEN $3 THEN now() END)`,
			requests[i].ID, state, i < 3)
	}
	w.exec(`INSERT INTO tidegate.river_job (args, kind, max_attempts, queue, state, attempt, finalized_at)
		VALUES (jsonb_build_object('r', $1::text), 'completion', 5, 'summaries', 'cancelled', 1, now()), -- nobody knows of a result
			(jsonb_build_object('r', $1::text), 'completion', 5, 'labels', 'discarded', 1, now()),
			(jsonb_build_object('r', $1::text), 'completion', 5, 'summaries', 'discarded', 1, now() - interval '1 hour')`, uuid.NewString())
	got, err := w.Drilled(t.Context(), "a", "drill", time.Since(began), time.Since(over))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "the drill", got, store.Drilled{Calls: 2, Probes: 1, Failed: 2, Answered: 3, Rerouted: 1, Lost: 1})
	last, err := w.LastJob(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.exec(`INSERT INTO tidegate.river_job (args, kind, max_attempts, queue) VALUES ('{}', 'completion', 5, 'summaries')`) // came later
	for routes, want := range map[string]int{"summaries": 2, "labels": 0} {
		if n, err := w.Backlog(t.Context(), []string{routes}, last); n != want || err != nil {
			t.Errorf("the backlog of %s is %d, %v", routes, n, err)
		}
	}
}
