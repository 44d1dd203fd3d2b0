package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
	"tidegate/store"
)

// What waits is counted by who goes first and when it came; what is seen is kept as it is.
func TestProgressIsCountedAndKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.SaveRoutes(t.Context(), []jobs.Route{{Name: "summaries"}, {Name: "fair", Admission: jobs.AdmissionFair}}); err != nil {
		t.Fatal(err)
	}
	requests := w.accept("batch_1", 6)
	for i := range requests {
		w.job(&requests[i], "summaries", 0, "one")
	}
	w.exec("UPDATE tidegate.river_job SET state = 'available', priority = 2, scheduled_at = '2026-03-01 12:00:10' WHERE id IN (SELECT id FROM tidegate.river_job ORDER BY id LIMIT 2)")
	w.exec("UPDATE tidegate.river_job SET state = 'available', priority = 1, scheduled_at = '2026-03-01 12:05:00' WHERE id = (SELECT max(id) FROM tidegate.river_job)")
	w.exec("UPDATE tidegate.river_job SET state = 'scheduled' WHERE id = (SELECT max(id) - 1 FROM tidegate.river_job)")
	for _, tenant := range []string{"large", "large", "small"} {
		w.exec("INSERT INTO tidegate.waiting (request_id, job_id, deadline, work, priority, route, tenant) VALUES (gen_random_uuid(), 1, now(), 1, 2, 'fair', '" + tenant + "')")
	}
	looks, err := w.Looks(t.Context())
	if err != nil || len(looks) != 2 || !looks[0].Waits || !looks[1].Waits || looks[1].InHand != 2 || looks[1].Calling != 0 || looks[1].Served {
		t.Errorf("a look says %+v, %v", looks, err)
	}
	all := []jobs.Progress{{Route: "fair"}, {Route: "summaries"}}
	if err := w.CountQueues(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	early, late := time.Date(2026, 3, 1, 12, 0, 10, 0, time.UTC), time.Date(2026, 3, 1, 12, 5, 0, 0, time.UTC)
	for i, want := range [][]jobs.Stratum{
		{{Tenant: "large", Jobs: 2}, {Tenant: "small", Jobs: 1}},
		{{Priority: 1, From: late, To: late, Jobs: 1}, {Priority: 2, From: early, To: early, Jobs: 2}},
	} {
		if diff := cmp.Diff(want, all[i].Strata, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); diff != "" || all[i].CountedAt.IsZero() {
			t.Errorf("%s: %s", all[i].Route, diff)
		}
	}
	if all[1].Parked != 1 || all[1].Waiting() != 4 {
		t.Errorf("%d are parked, %d wait", all[1].Parked, all[1].Waiting())
	}
	held := w.lead("one")
	all[1].At, all[1].Served = late, true
	all[1].Speed.See(late, 5*time.Second, 7, jobs.Busy)
	if err := w.SaveProgress(t.Context(), held, all); err != nil {
		t.Fatal(err)
	}
	kept, err := w.Progress(t.Context())
	if diff := cmp.Diff(all[1], kept[1], cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); diff != "" || err != nil {
		t.Errorf("%s, %v", diff, err)
	}
	if err := w.SaveProgress(t.Context(), held, all[:1]); err != nil {
		t.Fatal(err)
	}
	if kept, err = w.Progress(t.Context()); len(kept) != 1 || err != nil {
		t.Errorf("a route that is gone: %+v, %v", kept, err)
	}
	if err := w.SaveProgress(t.Context(), jobs.Lead{Worker: "two"}, all); err == nil {
		t.Error("somebody who leads no fleet wrote down its progress")
	}
}

// A batch stands where its last request does, on the routes of all of them.
func TestBatchTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("batch_1", 40)
	w.exec("UPDATE tidegate.requests SET route = 'labels' WHERE id > (SELECT id FROM tidegate.requests ORDER BY id OFFSET 19 LIMIT 1)")
	w.exec("UPDATE tidegate.requests SET deadline = created_at + interval '1 hour', priority = 3 WHERE id = '" + requests[39].ID + "'")
	batch, err := w.Batch(t.Context(), "batch_1")
	if err != nil {
		t.Fatal(err)
	}
	batch.Completed = 15
	turn, err := w.BatchTurn(t.Context(), &batch)
	if err != nil || turn.Own != 25 || turn.Priority != 3 || turn.Deadline.Sub(turn.Last) != time.Hour || turn.Tenant != "acme" || !cmp.Equal(turn.Routes, []string{"labels", "summaries"}) {
		t.Errorf("%+v, %v", turn, err)
	}
	if turn, err := w.BatchTurn(t.Context(), &jobs.Batch{ID: "batch_none"}); err != nil || len(turn.Routes) != 0 {
		t.Errorf("of none: %+v, %v", turn, err)
	}
	w.accept("batch_2", 3)
	other, err := w.Batch(t.Context(), "batch_2")
	if err != nil {
		t.Fatal(err)
	}
	turns, err := w.BatchTurns(t.Context(), []*jobs.Batch{&other, {ID: "batch_none"}, &batch})
	if err != nil || len(turns) != 3 || turns[0].Own != 3 || len(turns[0].Routes) != 1 || len(turns[1].Routes) != 0 {
		t.Fatalf("of several: %+v, %v", turns, err)
	}
	if diff := cmp.Diff(turn, turns[2]); diff != "" {
		t.Errorf("asked of together (-alone +together):\n%s", diff)
	}
}

// A look reads as little where a million wait as where nothing does.
func TestLooksReadFewRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.SaveRoutes(t.Context(), []jobs.Route{{Name: "summaries"}, {Name: "empty"}}); err != nil {
		t.Fatal(err)
	}
	w.exec(`INSERT INTO tidegate.river_job (args, kind, max_attempts, queue, state, priority, scheduled_at)
		SELECT jsonb_build_object('r', gen_random_uuid()), 'completion', 5, 'summaries', 'available', 2, now() FROM generate_series(1, 50000) n`)
	w.exec("VACUUM ANALYZE tidegate.river_job")
	if pages, how := w.reads(store.RouteLooks, 1000, time.Minute); pages > 100 {
		t.Errorf("it read %d pages:\n%s", pages, how)
	}
	if whole, _ := w.reads("SELECT count(args) FROM tidegate.river_job"); whole < 500 {
		t.Errorf("the whole table is %d pages: the test would let anything pass", whole)
	}
}

// What came since the count is counted by itself, and nothing else of what waits is read
// for it, however much that is.
func TestWhatCameSinceIsCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.SaveRoutes(t.Context(), []jobs.Route{{Name: "summaries"}, {Name: "fair", Admission: jobs.AdmissionFair}}); err != nil {
		t.Fatal(err)
	}
	came := func(queue, state string, priority, n int) {
		w.exec(fmt.Sprintf(`INSERT INTO tidegate.river_job (args, kind, max_attempts, queue, state, priority, scheduled_at)
			SELECT jsonb_build_object('r', gen_random_uuid()), 'completion', 5, '%s', '%s', %d, clock_timestamp() FROM generate_series(1, %d) n`, queue, state, priority, n))
	}
	turns := func(tenant string) {
		w.exec(`INSERT INTO tidegate.waiting (request_id, job_id, deadline, work, priority, route, tenant)
			SELECT (args->>'r')::uuid, id, now(), 1, 2, 'fair', '` + tenant + `' FROM tidegate.river_job WHERE state = 'pending' ON CONFLICT DO NOTHING`)
	}
	came("summaries", "available", 2, 50_000)
	came("fair", "pending", 2, 50_000)
	turns("large")
	w.exec("VACUUM ANALYZE tidegate.river_job, tidegate.waiting")
	all := []jobs.Progress{{Route: "fair"}, {Route: "summaries"}, {Route: "gone"}}
	if err := w.CountQueues(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	counted := all[1].CountedAt
	came("summaries", "available", 1, 2)
	came("summaries", "available", 2, 3)
	came("summaries", "running", 2, 4)   // a worker has them
	came("summaries", "scheduled", 2, 5) // they wait for a time
	came("fair", "pending", 2, 6)
	turns("small")
	came("fair", "pending", 3, 1)
	turns("large")
	came("fair", "available", 1, 7) // it was their turn: they were counted before
	if err := w.CountSince(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]jobs.Stratum{{{Tenant: "large", Jobs: 1}, {Tenant: "small", Jobs: 6}}, {{Priority: 1, Jobs: 2}, {Priority: 2, Jobs: 3}}, nil} {
		for j := range all[i].Since {
			if s := &all[i].Since[j]; s.Tenant == "" && (!s.From.After(counted) || s.To.Before(s.From) || s.To.After(all[i].SinceAt)) {
				t.Errorf("%s: they came from %v to %v, and were counted at %v", all[i].Route, s.From, s.To, all[i].SinceAt)
			}
			all[i].Since[j].From, all[i].Since[j].To = time.Time{}, time.Time{}
		}
		if diff := cmp.Diff(want, all[i].Since); diff != "" || !all[i].SinceAt.After(counted) {
			t.Errorf("%s: %s", all[i].Route, diff)
		}
	}
	names, times := []string{"fair", "summaries"}, []time.Time{counted, counted}
	if pages, how := w.reads(store.CountSinceSQL, names, times, 20_000); pages > 150 {
		t.Errorf("it read %d pages:\n%s", pages, how)
	}
	if whole, _ := w.reads("SELECT count(args) FROM tidegate.river_job"); whole < 1000 {
		t.Errorf("the whole table is %d pages: the test would let anything pass", whole)
	}
	if err := w.CountSince(t.Context(), all); err != nil || len(all[0].Since) != 2 {
		t.Errorf("counted again it is %+v, %v", all[0].Since, err)
	}
}
