package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"tidegate/jobs"
	"tidegate/store"
)

// age has what was written down so far be older.
func (w *world) age() {
	w.t.Helper()
	for _, table := range []string{"attempts", "results"} {
		w.exec("UPDATE tidegate." + table + " SET stored_at = stored_at - interval '3 seconds'")
	}
	w.exec("UPDATE tidegate.route_samples SET at = at - interval '3 seconds', counted_at = counted_at - interval '3 seconds'")
	w.exec("UPDATE tidegate.target_samples SET at = at - interval '3 seconds'")
	w.exec(`UPDATE tidegate.progress SET seen = jsonb_set(seen, '{counted_at}', to_jsonb((seen ->> 'counted_at')::timestamptz - interval '3 seconds'))`)
}

func (w *world) sample(held jobs.Lead) {
	w.t.Helper()
	if err := w.TakeSample(w.t.Context(), held); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) routeSamples() []jobs.RouteSample {
	w.t.Helper()
	all, err := w.RouteSamples(w.t.Context(), time.Now().Add(-30*24*time.Hour))
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func (w *world) targetSamples() []jobs.TargetSample {
	w.t.Helper()
	all, err := w.TargetSamples(w.t.Context(), time.Now().Add(-30*24*time.Hour))
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func TestSamplesSayWhatWasDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.SaveRoutes(t.Context(), []jobs.Route{{Name: "summaries", Goal: "ordered"}, {Name: "labels", Goal: "ordered"}}); err != nil {
		t.Fatal(err)
	}
	held := w.lead("one")
	w.sample(held)
	requests := w.accept("", 5)
	w.commit(answered(&requests[0]), answered(&requests[1]), ended(&requests[2], jobs.StateRefused))
	limited := jobs.Attempt{At: time.Now(), Target: "dear", Class: jobs.Rate, Latency: time.Millisecond, Cost: 7, Unpriced: true}
	w.commit(jobs.Entry{Request: &requests[3], Trace: jobs.Trace{{Attempt: &limited}}})
	w.exec(insertJob, "summaries", "available", 0)
	w.exec(insertJob, "summaries", "running", 1)
	w.age()
	w.sample(held)
	w.sample(held) // at once again: there is nothing to say
	routes := w.routeSamples()
	if len(routes) != 4 {
		t.Fatalf("samples of routes %+v", routes)
	}
	want := []jobs.RouteSample{{Route: "labels"}, {Route: "summaries", Waiting: 1, InHand: 1, Answered: 2, Failed: 1, Cost: 67}}
	if diff := cmp.Diff(want, routes[2:], cmpopts.IgnoreFields(jobs.RouteSample{}, "At", "Span", "Counted")); diff != "" {
		t.Errorf("samples of routes (-want +got):\n%s", diff)
	}
	if r := routes[3]; r.Span <= 0 || r.Span > time.Minute || r.Counted.Before(r.At) {
		t.Errorf("it is of %s, counted at %s", r.Span, r.Counted)
	}
	targets := []jobs.TargetSample{
		{Target: "cheap", Calls: 2, Answered: 2, Cost: 60, Input: 20, Output: 10, Median: 12 * time.Millisecond, Slow: 12 * time.Millisecond},
		{Target: "dear", Calls: 1, Limited: 1, Cost: 7, Unpriced: 1},
	}
	if diff := cmp.Diff(targets, w.targetSamples(), cmpopts.IgnoreFields(jobs.TargetSample{}, "At", "Span")); diff != "" {
		t.Errorf("samples of targets (-want +got):\n%s", diff)
	}
	if err := w.TakeSample(t.Context(), jobs.Lead{Worker: "nobody"}); !errors.Is(err, jobs.ErrDeposed) {
		t.Errorf("somebody who leads nothing: %v", err)
	}
}

// survey counts what waits on summaries, and writes it down.
func (w *world) survey(held jobs.Lead) {
	w.t.Helper()
	all := []jobs.Progress{{Route: "summaries"}}
	if err := errors.Join(w.CountQueues(w.t.Context(), all), w.SaveProgress(w.t.Context(), held, all)); err != nil {
		w.t.Fatal(err)
	}
}

// Very many are counted by the survey now and then; in between, what has ended is taken
// off. Who reads the status counts the first of them, and takes the sample's word for the
// rest.
func TestManyAreCountedNowAndThen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.SaveRoutes(t.Context(), []jobs.Route{{Name: "summaries", Goal: "ordered"}}); err != nil {
		t.Fatal(err)
	}
	held := w.lead("one")
	const many = 10_500
	w.exec(`INSERT INTO tidegate.river_job (args, kind, max_attempts, queue) SELECT '{}', 'completion', 5, 'summaries' FROM generate_series(1, $1)`, many)
	waiting := func() (int, time.Time) {
		status, err := w.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return status.Routes[0].Waiting, status.Routes[0].CountedAt
	}
	if n, counted := waiting(); n != many || !counted.IsZero() {
		t.Errorf("without a sample %d wait, counted at %s", n, counted)
	}
	w.sample(held)
	if n, counted := waiting(); n != many || counted.IsZero() {
		t.Errorf("%d wait, counted at %s", n, counted)
	}
	w.exec(`INSERT INTO tidegate.river_job (args, kind, max_attempts, queue) SELECT '{}', 'completion', 5, 'summaries' FROM generate_series(1, 300)`)
	requests := w.accept("", 150)
	end := func(some []jobs.Request) {
		for i := range some {
			w.commit(answered(&some[i]))
		}
		w.age()
		w.sample(held)
	}
	end(requests[:100])
	if n, _ := waiting(); n != many-100 {
		t.Errorf("after a hundred have ended, %d wait", n)
	}
	w.survey(held)
	end(nil)
	if n, _ := waiting(); n != many+300 {
		t.Errorf("counted anew, %d wait", n)
	}
	end(requests[100:])
	if n, _ := waiting(); n != many+250 {
		t.Errorf("after fifty more have ended, %d wait", n)
	}
	w.exec("DELETE FROM tidegate.river_job WHERE id > (SELECT min(id) + 41 FROM tidegate.river_job)")
	if n, counted := waiting(); n != 42 || !counted.IsZero() {
		t.Errorf("of few, %d wait, counted at %s", n, counted)
	}
}

func TestSamplesAreThinned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("one")
	w.exec(`INSERT INTO tidegate.route_samples SELECT date_trunc('minute', now() - interval '5 hours') + n * interval '10 seconds', 'summaries', 10, n, 1, 2, 1, 5, now() FROM generate_series(1, 12) n`)
	w.exec(`INSERT INTO tidegate.target_samples SELECT date_trunc('minute', now() - interval '5 hours') + n * interval '10 seconds', 'cheap', 10, 3, 2, 1, 5, 0, 10, 20, 1000 * n, 5000 * n FROM generate_series(1, 12) n`)
	w.exec(`INSERT INTO tidegate.route_samples SELECT now() - n * interval '1 day', 'old', 60, 0, 0, 0, 0, 0, now() FROM generate_series(7, 10) n`)
	w.exec(`INSERT INTO tidegate.transitions (at, kind, name, state) SELECT now() - n * interval '1 day', 'circuit', 'cheap', 'open' FROM generate_series(7, 10) n`)
	w.exec(`INSERT INTO tidegate.route_samples SELECT now() - interval '1 hour', 'new', 10, 0, 0, 0, 0, 0, now()`)
	for range 2 { // it may be repeated
		if err := w.ThinSamples(t.Context(), held); err != nil {
			t.Fatal(err)
		}
	}
	var got []jobs.RouteSample
	for _, r := range w.routeSamples() {
		if r.Route == "summaries" {
			got = append(got, r)
		}
	}
	want := []jobs.RouteSample{
		{Span: time.Minute, Route: "summaries", Waiting: 6, InHand: 1, Answered: 12, Failed: 6, Cost: 30},
		{Span: time.Minute, Route: "summaries", Waiting: 12, InHand: 1, Answered: 12, Failed: 6, Cost: 30},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(jobs.RouteSample{}, "At", "Counted")); diff != "" {
		t.Errorf("minutes (-want +got):\n%s", diff)
	}
	targets := w.targetSamples()
	if len(targets) != 2 || targets[0].Calls != 18 || targets[0].Median != 3500*time.Microsecond || targets[0].Slow != 30*time.Millisecond {
		t.Errorf("minutes of targets %+v", targets)
	}
	if n := w.number("SELECT count(*) FROM tidegate.route_samples WHERE route IN ('old', 'new')"); n != 2 {
		t.Errorf("%d of the old and new ones are left", n)
	}
	if all, err := w.Transitions(t.Context(), time.Now().Add(-30*24*time.Hour)); len(all) != 1 || err != nil {
		t.Errorf("transitions %+v, %v", all, err)
	}
}

func TestTransitionsAreNoted(t *testing.T) {
	t.Parallel()
	g := newGated(t)
	g.save("w", jobs.Circuit{Target: "a", State: jobs.CircuitClosed, Generation: 1, Since: time.Now()})
	g.save("w", jobs.Circuit{Target: "a", State: jobs.CircuitOpen, Generation: 2, Reason: "5 failures in a row", Since: time.Now()})
	g.save("w", jobs.Circuit{Target: "a", State: jobs.CircuitHalfOpen, Generation: 2, Since: time.Now()})
	g.do("trip")
	g.do("pause")
	g.do("resume")
	if err := g.SetCircuit(t.Context(), "a", jobs.CircuitClosed, 0, "paid"); err != nil {
		t.Fatal(err)
	}
	got, err := g.Transitions(t.Context(), time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	want := []jobs.Transition{
		{Target: "a", State: "open", Reason: "5 failures in a row"},
		{Route: "summaries", State: "paused", Owner: jobs.OwnerCircuit, Reason: "all are down"},
		{Route: "summaries", State: "paused", Owner: jobs.OwnerPerson, Reason: "lunch", Person: true},
		{Route: "summaries", State: "resumed", Owner: jobs.OwnerCircuit, Reason: "all are down"},
		{Route: "summaries", State: "resumed", Owner: jobs.OwnerPerson, Reason: "lunch", Person: true},
		{Target: "a", State: "closed", Reason: "paid", Person: true},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(jobs.Transition{}, "At")); diff != "" {
		t.Errorf("transitions (-want +got):\n%s", diff)
	}
}

// Where very many wait for their turn, not all of a tenant's are counted, and that is said;
// where they are few, it is the same as ever.
func TestWaitingIsCountedForLittle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for tenant, n := range map[string]int{"big": 300, "small": 2} {
		w.exec(`INSERT INTO tidegate.waiting (request_id, job_id, deadline, work, priority, route, tenant) SELECT gen_random_uuid(), g, now(), 1, 1, r, $1
			FROM generate_series(1, $2) g, unnest('{labels, summaries}'::text[]) r`, tenant, n)
	}
	w.exec(`INSERT INTO tidegate.waiting (request_id, job_id, deadline, work, priority, route, tenant, not_before, reason)
		SELECT gen_random_uuid(), 1, now(), 1, 1, 'labels', 'big', now() + interval '1 hour', 'its budget is spent' FROM generate_series(1, 3)`)
	exact, err := w.WaitingOver(t.Context(), 10_000, 100)
	if err != nil {
		t.Fatal(err)
	}
	rough, err := w.WaitingOver(t.Context(), 500, 100)
	if err != nil {
		t.Fatal(err)
	}
	want := []store.WaitingStatus{
		{Route: "labels", Tenant: "big", Requests: 300},
		{Route: "labels", Tenant: "big", Reason: "its budget is spent", Requests: 3},
		{Route: "labels", Tenant: "small", Requests: 2},
		{Route: "summaries", Tenant: "big", Requests: 300},
		{Route: "summaries", Tenant: "small", Requests: 2},
	}
	unsaid := cmpopts.IgnoreFields(store.WaitingStatus{}, "Until")
	if diff := cmp.Diff(want, exact, unsaid); diff != "" {
		t.Errorf("of few (-want +got):\n%s", diff)
	}
	for _, i := range []int{0, 3} {
		want[i].Requests, want[i].More = 100, true
	}
	if diff := cmp.Diff(want, rough, unsaid); diff != "" || rough[1].Until.IsZero() {
		t.Errorf("of many (-want +got):\n%s", diff)
	}
}

// Where nobody writes samples, who looks again and again counts now and then.
func TestCountsOfOnesOwnAreGoodForAWhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.SaveRoutes(t.Context(), []jobs.Route{{Name: "summaries", Goal: "ordered"}}); err != nil {
		t.Fatal(err)
	}
	const more = `INSERT INTO tidegate.river_job (args, kind, max_attempts, queue) SELECT '{}', 'completion', 5, 'summaries' FROM generate_series(1, $1)`
	w.exec(more, 10_500)
	look := func() (int, time.Time) {
		status, err := w.Glance(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		return status.Routes[0].Waiting, status.Routes[0].CountedAt
	}
	if n, at := look(); n != 10_500 || !at.IsZero() {
		t.Errorf("counted, %d wait, at %s", n, at)
	}
	w.CountTook(time.Hour) // so that it is good for two days
	w.exec(more, 100)
	if n, at := look(); n != 10_500 || at.IsZero() {
		t.Errorf("of a moment ago, %d wait, at %s", n, at)
	}
	w.CountTook(0)
	if n, at := look(); n != 10_600 || !at.IsZero() {
		t.Errorf("counted anew, %d wait, at %s", n, at)
	}
}

// What comes from another ledger was not done here and now.
func TestSamplesLeaveImportsOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("one")
	made := jobs.Logged{RequestID: uuid.NewString(), Route: "summaries", Attempt: jobs.Attempt{At: time.Now(), Target: "cheap", Class: jobs.OK, Latency: time.Second, Propensity: 1}}
	if n, err := w.ImportLogged(t.Context(), []jobs.Logged{made}); n != 1 || err != nil {
		t.Fatalf("%d imported, %v", n, err)
	}
	if n := w.number("SELECT count(*) FROM tidegate.attempts WHERE stored_at IS NULL"); n != 1 {
		t.Errorf("%d are not of now", n)
	}
	w.age()
	w.sample(held)
	if all := w.targetSamples(); len(all) != 0 {
		t.Errorf("samples of targets %+v", all)
	}
	if status, err := w.Status(t.Context()); err != nil || len(status.Targets) != 0 {
		t.Errorf("the last minute %+v, %v", status.Targets, err)
	}
}
