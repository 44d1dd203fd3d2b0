package integration

import (
	"testing"
	"time"

	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/jobs/queue"
	"tidegate/routing/simulator"
)

// fairRoute gives the route of a stage fair admission.
func fairRoute(c *config.Config) { c.Routes[0].Admission = jobs.AdmissionFair }

// waiting counts the requests that wait to be admitted.
func (s *stage) waiting() int {
	s.Helper()
	return s.count("SELECT count(*) FROM tidegate.waiting")
}

// pending counts River jobs that no worker may take yet.
func (s *stage) pending() int {
	s.Helper()
	return s.count("SELECT count(*) FROM tidegate.river_job WHERE state = 'pending'")
}

// nothingWaits checks that all that was to be admitted has been, or has ended.
func (s *stage) nothingWaits() {
	s.Helper()
	if w, p := s.waiting(), s.pending(); w != 0 || p != 0 {
		s.Errorf("%d rows wait, %d jobs are pending", w, p)
	}
}

// A tenant with ten requests comes while one with many is being worked, and the
// providers are out for a while: it is done long before the other, each request is
// answered once, and no attempt is burned.
func TestSmallTenantIsNotStarved(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{config: fairRoute, latency: 150 * time.Millisecond})
	s.work(nil)
	s.work(nil)
	big := s.enqueue(800, func(_ int, r *jobs.Request) { r.Tenant = "big" })
	s.awaitResults(30)
	s.down("*", simulator.Fault{Mode: simulator.Unavailable})
	fixture.Await(t, soon, "every circuit is open", func() bool {
		return s.count("SELECT count(*) FROM tidegate.circuits WHERE state <> 'closed'") == len(s.config.Targets)
	})
	waited := s.waiting()
	small := s.enqueue(10, func(i int, r *jobs.Request) { r.Tenant, r.Body = "small", body(10_000+i) })
	s.back()
	small = s.awaitBatch(small)
	big = s.settle(big)
	// By what is written down: whoever looks when the small one is done looks late.
	after := s.count(`SELECT count(*) FROM tidegate.results r JOIN tidegate.requests q ON q.id = r.request_id
		WHERE q.tenant = 'big' AND r.stored_at > (SELECT ended_at FROM tidegate.batches WHERE tenant = 'small')`)
	if waited < 100 || after < waited*4/5 {
		t.Errorf("of %d of the big one that waited when the small one came, %d were not done when that was", waited, after)
	}
	if small.Completed != 10 || big.Completed != 800 || s.results() != 810 {
		t.Errorf("%d and %d were answered, and there are %d results", small.Completed, big.Completed, s.results())
	}
	if seen := s.sim.Seen("*"); seen.AnsweredTwice != 0 {
		t.Errorf("%d requests were answered twice", seen.AnsweredTwice)
	}
	s.nothingWaits()
	s.noneBurned()
}

// admitterIsKilled: the worker that admits is killed in the middle of it, and so is
// the next one. The others go on, each request is answered once.
func admitterIsKilled(t *testing.T, p program) {
	f := newFleet(t, p, staging{config: fairRoute, latency: 300 * time.Millisecond})
	for range 3 {
		f.hire()
	}
	batch := f.enqueue(800, nil) // far more than is kept ready for the workers
	lost := 0
	for n := range 2 {
		f.awaitResults(40 * (n + 1))
		dies := f.awaitSupervisor()
		lost += f.killCounting(dies)
		if f.waiting() == 0 {
			t.Fatal("there is nothing left to be admitted")
		}
		f.awaitDead(dies)
		f.hire()
	}
	f.answered(batch, lost)
	f.nothingWaits()
}

// What waits for its turn can be cancelled while nobody works, ends when its deadline
// passes in an outage, and waits while a person pauses the route.
func TestWaitingRequestsEnd(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{config: fairRoute})
	s.prepare()
	cancelled := s.enqueue(50, nil)
	if said := s.tidegate("cancel", cancelled.ID); said.code != 0 {
		t.Fatalf("cancel: %s%s", said.out, said.errors)
	}
	if batch := s.batch(cancelled); batch.State != jobs.BatchCancelled || batch.Failed != 50 {
		t.Errorf("the batch is %+v", batch)
	}
	s.nothingWaits()

	if said := s.tidegate("pause", summaries, "--reason", "lunch"); said.code != 0 {
		t.Fatalf("pause: %s%s", said.out, said.errors)
	}
	w := s.work(nil)
	fixture.Await(t, soon, "the worker supervises", func() bool { return s.count("SELECT count(*) FROM tidegate.leases WHERE holder <> ''") == 1 })
	expires := s.enqueue(20, func(i int, r *jobs.Request) { r.Deadline, r.Body = time.Now().Add(2*time.Second), body(1000+i) })
	stays := s.enqueue(20, func(i int, r *jobs.Request) { r.Body = body(2000 + i) })
	if batch := s.awaitBatch(expires); batch.Failed != 20 {
		t.Errorf("the batch is %+v", batch)
	}
	if w, p := s.waiting(), s.pending(); w != 20 || p != 20 {
		t.Errorf("%d rows wait, %d jobs are pending", w, p)
	}
	if said := s.tidegate("resume", summaries); said.code != 0 {
		t.Fatalf("resume: %s%s", said.out, said.errors)
	}
	if batch := s.settle(stays); batch.Completed != 20 {
		t.Errorf("the batch is %+v", batch)
	}
	w.stop()
	s.nothingWaits()
	if n := s.results(); n != 90 {
		t.Errorf("%d results", n)
	}
}

// batch is how a batch stands now.
func (s *stage) batch(batch jobs.Batch) jobs.Batch {
	s.Helper()
	now, err := s.store.Batch(s.Context(), batch.ID)
	check(s.T, err)
	return now
}

// A configuration gives the route fair admission and takes it away while its jobs
// wait: all of them are answered.
func TestReloadChangesAdmission(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	w := s.work(nil)
	first := s.enqueue(200, nil)
	reload := func(admission string) {
		t.Helper()
		s.config.Routes[0].Admission = admission
		_, routes := s.config.Build()
		w.Reload(routes)
		fixture.Await(t, soon, "producers can know", func() bool {
			return s.count("SELECT count(*) FROM tidegate.routes WHERE admission = $1", admission) == 1
		})
		s.queue = s.newQueue()
	}
	reload(jobs.AdmissionFair)
	second := s.enqueue(200, func(i int, r *jobs.Request) { r.Body = body(1000 + i) })
	if s.pending() == 0 {
		t.Error("nothing waits to be admitted")
	}
	reload(jobs.AdmissionDirect)
	third := s.enqueue(50, func(i int, r *jobs.Request) { r.Body = body(2000 + i) })
	for _, batch := range []jobs.Batch{first, second, third} {
		if batch = s.settle(batch); batch.Completed != batch.Total {
			t.Errorf("the batch is %+v", batch)
		}
	}
	s.nothingWaits()
	s.noneBurned()
}

// newQueue is a producer that remembers no routes.
func (s *stage) newQueue() *queue.Queue {
	s.Helper()
	q, err := queue.New(s.Pool)
	check(s.T, err)
	return q
}

// While the cheap target is away, a route that waits for it admits nothing whose
// deadline is far: no job is taken only to be given back. It has all of them when it
// returns.
func TestFairRouteWaitsForACheapTarget(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{config: func(c *config.Config) {
		fairRoute(c)
		c.Routes[0].WhenOpen = string(jobs.WhenOpenWait)
	}})
	s.work(nil)
	batch := s.enqueue(300, nil)
	s.awaitResults(30)
	s.down("cheap", simulator.Fault{Mode: simulator.Unavailable})
	const open = "SELECT count(*) FROM tidegate.circuits WHERE target = 'sim-cheap' AND state <> 'closed'"
	fixture.Await(t, soon, "its circuit is open", func() bool { return s.count(open) == 1 })
	probes := s.calls(jobs.Overload)
	fixture.Await(t, soon, "it was probed, and whatever the supervisor was at is over", func() bool { return s.calls(jobs.Overload) > probes })
	probes, before := s.calls(jobs.Overload), s.waiting()
	fixture.Await(t, soon, "it was probed some more", func() bool { return s.calls(jobs.Overload) >= probes+3 })
	if after := s.waiting(); after == 0 || after < before-2*inHand {
		t.Errorf("%d waited when the target went, and %d do now", before, after)
	}
	s.back()
	if batch = s.settle(batch); batch.Completed != batch.Total {
		t.Errorf("the batch is %+v", batch)
	}
	if n := s.sim.Seen("fast").Answered + s.sim.Seen("dear").Answered; n != 0 {
		t.Errorf("%d were answered by dearer ones: %v", n, s.attempts())
	}
	s.nothingWaits()
	s.onceEach(batch)
}
