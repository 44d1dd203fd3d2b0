package worker_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/worker"
)

// newFairSite is a site whose route has fair admission, and whose workers are in
// more of a hurry.
func newFairSite(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	s.announce(jobs.AdmissionFair)
	s.config.Timing = worker.Timing{Read: 100 * time.Millisecond, Lease: time.Second}
	s.config.Concurrency = 4
	return s
}

func (s *site) announce(admission string) {
	s.t.Helper()
	route := jobs.Route{Name: "summaries", Goal: "ordered", Chain: []*jobs.Target{{Name: "cheap"}}, Admission: admission}
	if err := s.store.SaveRoutes(s.t.Context(), []jobs.Route{route}); err != nil {
		s.t.Fatal(err)
	}
}

// batch accepts n requests of a tenant as one batch.
func (s *site) batch(tenant string, n int, change func(i int, r *jobs.Request)) jobs.Batch {
	s.t.Helper()
	requests := make([]jobs.Request, n)
	for i := range requests {
		requests[i] = jobs.Request{Tenant: tenant, Route: "summaries", CustomID: fmt.Sprint(tenant, i), Body: []byte(`{"messages":[{"role":"user","content":"hi"}]}`)}
		if change != nil {
			change(i, &requests[i])
		}
	}
	batch, err := s.queue.EnqueueMany(s.t.Context(), requests)
	if err != nil {
		s.t.Fatal(err)
	}
	return batch
}

// A ledger notes whose requests were called, in their order.
type ledger struct {
	mu    sync.Mutex
	calls []string
}

func (l *ledger) note(route func(context.Context, *jobs.Request, jobs.Trace) jobs.Outcome) func(context.Context, *jobs.Request, jobs.Trace) jobs.Outcome {
	return func(ctx context.Context, r *jobs.Request, h jobs.Trace) jobs.Outcome {
		l.mu.Lock()
		l.calls = append(l.calls, r.CustomID)
		l.mu.Unlock()
		return route(ctx, r, h)
	}
}

func (l *ledger) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.calls...)
}

// count counts those of the first n calls that are of a tenant.
func (l *ledger) count(tenant string, n int) (count int) {
	for _, id := range l.list()[:n] {
		if len(id) > len(tenant) && id[:len(tenant)] == tenant {
			count++
		}
	}
	return count
}

// within answers after a while, so that a backlog stays one.
func within(while time.Duration) func(context.Context, *jobs.Request, jobs.Trace) jobs.Outcome {
	return func(ctx context.Context, r *jobs.Request, h jobs.Trace) jobs.Outcome {
		timer := time.NewTimer(while)
		defer timer.Stop()
		<-timer.C
		return answer(ctx, r, h)
	}
}

// A tenant with ten requests that comes late is done long before one with fifteen
// hundred: about the five seconds of work later that are ready when it comes, and with
// as many still to be admitted of the big one as were done.
func TestSmallTenantBesideABigOne(t *testing.T) {
	t.Parallel()
	s := newFairSite(t)
	s.batch("big", 1500, nil)
	var calls ledger
	s.script.route = calls.note(within(50 * time.Millisecond))
	_, stop := s.start()
	fixture.Await(t, soon, "the big one is being worked", func() bool { return s.script.called() >= 20 })
	small := s.batch("small", 10, nil)
	fixture.Await(t, soon, "the small one is done", func() bool {
		batch, err := s.store.Batch(t.Context(), small.ID)
		return err == nil && batch.Ended()
	})
	if n := s.number("SELECT count(*) FROM tidegate.waiting"); n < 400 {
		t.Errorf("only %d of the big one still wait", n)
	}
	stop()
	s.exec("DELETE FROM tidegate.waiting")
}

// Of two tenants that both have work all the time, the one with twice the weight
// has twice as much done.
func TestWeightsAreShares(t *testing.T) {
	t.Parallel()
	s := newFairSite(t)
	s.config.Weight = func(tenant string) float64 { return map[string]float64{"one": 1, "two": 2}[tenant] }
	s.batch("one", 400, nil)
	s.batch("two", 400, nil)
	var calls ledger
	s.script.route = calls.note(within(10 * time.Millisecond))
	s.start()
	fixture.Await(t, soon, "300 were called", func() bool { return s.script.called() >= 300 })
	if one, two := calls.count("one", 300), calls.count("two", 300); one < 90 || one > 110 || two != 300-one {
		t.Errorf("of the first 300, %d and %d are theirs, want 100 and 200", one, two)
	}
}

// Priorities order what waits of a tenant, and give it no more beside others.
func TestPrioritiesAreInsideATenant(t *testing.T) {
	t.Parallel()
	s := newFairSite(t)
	s.batch("a", 50, func(i int, r *jobs.Request) { r.Priority = 4 })
	s.batch("a", 50, func(i int, r *jobs.Request) { r.Priority, r.CustomID = 1, fmt.Sprint("urgent", i) })
	s.batch("b", 100, func(i int, r *jobs.Request) { r.Priority = 4 })
	var calls ledger
	s.script.route = calls.note(answer)
	s.config.Concurrency = 1
	s.start()
	s.awaitJobs(200, "completed", 1)
	if urgent, b := calls.count("urgent", 90), calls.count("b", 90); urgent < 40 || b < 40 {
		t.Errorf("of the first 90, %d are urgent and %d of the other tenant", urgent, b)
	}
	if early := calls.count("a", 90); early > 0 {
		t.Errorf("%d went before the urgent ones of the same tenant", early)
	}
}

// While the circuits of a chain are open, nothing is admitted; when they close, all
// of it is.
func TestNothingIsAdmittedInAnOutage(t *testing.T) {
	t.Parallel()
	s := newFairSite(t)
	s.script.hold(true)
	s.script.circuit = jobs.Circuit{Target: "cheap", State: jobs.CircuitOpen, Generation: 1, Since: time.Now(), DownSince: time.Now(), CooldownUntil: time.Now().Add(time.Hour)}
	w, _ := s.start()
	fixture.Await(t, soon, "the fleet knows of the circuit", func() bool { // later, the worker would have it open again
		return s.number("SELECT count(*) FROM tidegate.circuits WHERE state = 'open'") == 1
	})
	s.batch("a", 20, nil)
	s.awaitRounds(w, 5)
	if s.jobs("pending", 0) != 20 {
		t.Errorf("%d are pending", s.jobs("pending", 0))
	}
	s.exec("UPDATE tidegate.circuits SET state = 'closed', cooldown_until = NULL, down_since = NULL, generation = 2")
	s.script.hold(false)
	s.awaitJobs(20, "completed", 1)
}

// awaitRounds waits until the supervisor has done some more rounds: each renews its
// lease.
func (s *site) awaitRounds(w *worker.Worker, n int) {
	s.t.Helper()
	for range n {
		var before time.Time
		read := func() (at time.Time) {
			_ = s.pool.QueryRow(context.Background(), "SELECT coalesce(max(expires_at), 'epoch') FROM tidegate.leases WHERE holder <> ''").Scan(&at)
			return at
		}
		before = read()
		w.Wake()
		fixture.Await(s.t, soon, "another round", func() bool { return read().After(before) })
	}
}

// Where only what has a near deadline may start, that starts, and no other.
func TestNearDeadlinesStart(t *testing.T) {
	t.Parallel()
	s := newFairSite(t)
	var all atomic.Bool
	s.config.Starts = func(route string, backlog int) (bool, time.Duration) {
		if route != "summaries" || backlog > 5 {
			t.Errorf("it is asked for %s with %d", route, backlog)
		}
		return all.Load(), time.Hour
	}
	s.batch("a", 5, func(i int, r *jobs.Request) { r.Deadline = time.Now().Add(time.Duration(i+1) * 25 * time.Minute) })
	w, _ := s.start()
	s.awaitJobs(2, "completed", 1)
	s.awaitRounds(w, 5)
	if s.jobs("pending", 0) != 3 {
		t.Errorf("%d are pending", s.jobs("pending", 0))
	}
	all.Store(true)
	s.awaitJobs(5, "completed", 1)
}

// A route may be given fair admission and lose it again while its jobs wait: all of
// them are done.
func TestAdmissionOfARouteChanges(t *testing.T) {
	t.Parallel()
	s := newFairSite(t)
	s.script.route = within(10 * time.Millisecond)
	s.announce(jobs.AdmissionDirect)
	s.accept(jobs.Request{}) // the queue remembers that it is direct
	s.announce(jobs.AdmissionFair)
	s.batch("a", 100, nil)
	if n := s.jobs("available", 0); n != 101 {
		t.Fatalf("%d are available", n)
	}
	fair := s.newQueue()
	s.queue = fair
	s.batch("b", 300, nil)
	if n := s.jobs("pending", 0); n != 300 {
		t.Fatalf("%d are pending", n)
	}
	s.start()
	fixture.Await(t, soon, "some of them were admitted", func() bool { return s.jobs("pending", 0) < 300 })
	s.announce(jobs.AdmissionDirect)
	s.batch("c", 50, nil) // the queue remembers that it is fair
	s.awaitJobs(451, "completed", 1)
	if n := s.number("SELECT count(*) FROM tidegate.waiting"); n != 0 {
		t.Errorf("%d wait", n)
	}
}

// A request that has to wait for long after it was taken waits among those that
// wait for their turn, with the reason, its attempt and its place.
func TestParkedOnAFairRoute(t *testing.T) {
	t.Parallel()
	s := newFairSite(t)
	var dear atomic.Bool
	dear.Store(true)
	s.script.route = func(ctx context.Context, r *jobs.Request, h jobs.Trace) jobs.Outcome {
		if dear.Load() {
			return jobs.Outcome{Verdict: jobs.Blocked, Until: time.Now().Add(time.Hour), Reason: "it is dear"}
		}
		return answer(ctx, r, h)
	}
	s.batch("a", 3, nil)
	_, stop := s.start()
	const parked = "SELECT count(*) FROM tidegate.waiting w JOIN tidegate.river_job j ON j.id = w.job_id WHERE w.reason = 'no target that fits it may be called' AND w.not_before > now() AND j.state = 'pending' AND j.attempt = 0"
	fixture.Await(t, soon, "all are parked", func() bool { return s.number(parked) == 3 })
	dear.Store(false)
	s.exec("UPDATE tidegate.waiting SET not_before = now()")
	s.awaitJobs(3, "completed", 1)
	stop()
}

// A single request on an idle route is taken at once, and not at the next round.
func TestIdleRouteTakesARequestAtOnce(t *testing.T) {
	t.Parallel()
	s := newFairSite(t)
	s.config.Timing = worker.Timing{Read: time.Hour, Lease: 10 * time.Hour} // no round comes by itself
	w, _ := s.start()
	s.awaitRounds(w, 1)
	s.batch("a", 1, nil)
	w.Enqueued()
	s.awaitJobs(1, "completed", 1)
}
