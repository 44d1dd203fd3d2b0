package worker_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"tidegate/integration/fixture"
	"tidegate/jobs"
)

// Jobs at the gate go back as they were, at once: nobody waits for StopTimeout.
func TestStopWhileJobsWait(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.config.StopTimeout = time.Hour
	s.script.hold(true)
	s.enqueue(50)
	w, stop := s.start()
	fixture.Await(t, soon, "all wait", func() bool { return w.Waiting("summaries") == 50 })
	began := time.Now()
	stop()
	if took := time.Since(began); took > soon {
		t.Errorf("it took %s to stop", took)
	}
	if n := s.jobs("available", 0); n != 50 {
		t.Errorf("%d of 50 jobs are back with their attempts", n)
	}
}

// A request that waits on its own account goes back too.
func TestStopWhileARequestIsBlocked(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.config.StopTimeout = time.Hour
	s.script.route = func(context.Context, *jobs.Request, jobs.Trace) jobs.Outcome {
		blocked := attempted(jobs.Blocked, jobs.Overload)
		blocked.Until = time.Now().Add(20 * time.Second)
		return blocked
	}
	r := s.enqueue(1)[0]
	_, stop := s.start()
	fixture.Await(t, soon, "the call is written down", func() bool { return len(s.attempts(r.ID)) == 1 })
	stop()
	if s.jobs("available", 0) != 1 {
		t.Error("the job is not back with its attempt")
	}
}

// One that would wait for long on its own account is parked in its queue until
// its time, and holds no slot.
func TestLongWaitIsASchedule(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.script.route = func(context.Context, *jobs.Request, jobs.Trace) jobs.Outcome {
		blocked := attempted(jobs.Blocked, jobs.Rate)
		blocked.Until = time.Now().Add(76 * time.Hour)
		return blocked
	}
	s.enqueue(1)
	s.start()
	s.awaitJobs(1, "scheduled", 0)
	if n := s.number("SELECT count(*) FROM tidegate.river_job WHERE scheduled_at BETWEEN now() + interval '75 hours' AND now() + interval '76 hours'"); n != 1 {
		t.Error("it is scheduled for another time")
	}
}

// A call in flight gets its time, and its answer is kept.
func TestStopWithACallInFlight(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	in, out := make(chan struct{}), make(chan struct{})
	s.script.route = func(ctx context.Context, r *jobs.Request, h jobs.Trace) jobs.Outcome {
		close(in)
		select {
		case <-out:
		case <-ctx.Done():
			t.Error("the call was cut off")
		}
		return answer(ctx, r, h)
	}
	r := s.enqueue(1)[0]
	_, stop := s.start()
	<-in
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	select {
	case <-stopped:
		t.Error("it stopped with a call in flight")
	case <-time.After(50 * time.Millisecond):
	}
	close(out)
	<-stopped
	if got := s.result(r.ID); got.State != jobs.StateAnswered || s.jobs("completed", 1) != 1 {
		t.Errorf("it ended as %+v", got.Result)
	}
}

// When StopTimeout has passed the call is cut off and written down as lost; the
// job goes back as it was.
func TestStopTimeoutPasses(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.config.StopTimeout = 50 * time.Millisecond
	s.config.Log = s.config.Log.Level(100) // River warns
	in := make(chan struct{})
	s.script.route = func(ctx context.Context, _ *jobs.Request, _ jobs.Trace) jobs.Outcome {
		close(in)
		<-ctx.Done()
		return attempted(jobs.Blocked, jobs.Lost)
	}
	r := s.enqueue(1)[0]
	_, stop := s.start()
	<-in
	stop()
	if s.jobs("available", 0) != 1 {
		t.Error("the job is not back with its attempt")
	}
	if made := s.attempts(r.ID); len(made) != 1 || made[0].Class != jobs.Lost || made[0].Cost != 10 {
		t.Errorf("the call is kept as %+v", made)
	}
}

// A minimal call that is cut off by a stop is written down, and the stop does not
// wait for what has ended before it.
func TestStopWhileItProbes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.config.Timing.Lease = time.Hour // as long as it would wait to be written down
	s.script.circuit = jobs.Circuit{Target: "cheap", State: jobs.CircuitOpen, Generation: 1, Since: time.Now()}
	s.script.hold(true)
	in := make(chan struct{})
	s.script.probe = func(ctx context.Context) *jobs.Attempt {
		close(in)
		<-ctx.Done()
		return &jobs.Attempt{At: time.Now(), Target: "cheap", Class: jobs.Lost, Probe: true, Propensity: 1}
	}
	_, stop := s.start()
	<-in
	stop()
	if made := s.attempts(jobs.NoRequest); len(made) != 1 || made[0].Class != jobs.Lost || !made[0].Probe {
		t.Errorf("the call is kept as %+v", made)
	}
	if n := s.number("SELECT count(*) FROM tidegate.circuits WHERE prober IS NOT NULL"); n != 0 {
		t.Error("the probe was not given back")
	}
}

// A host that alone cannot reach its targets leaves the jobs to others, and comes
// back by itself.
func TestHostThatIsCutOffGivesItsJobsBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.config.HoldBudget, s.config.Timing.Read = 50*time.Millisecond, 20*time.Millisecond
	s.config.Log = s.config.Log.Level(100) // it complains
	s.script.hold(true)
	s.enqueue(3)
	s.start()
	s.awaitJobs(3, "running", 1) // or else a slow one is cut off before it has any
	s.script.mu.Lock()
	s.script.circuit = jobs.Circuit{Target: "cheap", State: jobs.CircuitOpen, Local: true}
	s.script.mu.Unlock()
	fixture.Await(t, soon, "each was given back", func() bool {
		return s.number("SELECT count(*) FROM tidegate.river_job WHERE (metadata->>'snoozes')::int >= 1 AND attempt = 0 AND state = 'available'") == 3
	})
	s.script.mu.Lock()
	s.script.circuit = jobs.Circuit{}
	s.script.mu.Unlock()
	s.script.hold(false)
	s.awaitJobs(3, "completed", 1)
	if n := s.number("SELECT max((metadata->>'snoozes')::int) FROM tidegate.river_job"); n != 1 || s.script.called() != 3 {
		t.Errorf("%d times given back, %d calls", n, s.script.called())
	}
}

// Only so many are called at once; jobs that are in hand beside them go back at
// once when the worker stops.
func TestStopWhileJobsWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.config.Concurrency = 2
	var now, most atomic.Int64
	end := make(chan struct{})
	s.script.route = func(ctx context.Context, r *jobs.Request, h jobs.Trace) jobs.Outcome {
		n := now.Add(1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		defer now.Add(-1)
		<-end
		return answer(ctx, r, h)
	}
	s.enqueue(10)
	_, stop := s.start()
	s.awaitJobs(4, "running", 1) // two are called, two wait for their turn
	fixture.Await(t, soon, "two are called", func() bool { return s.script.called() == 2 })
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	s.awaitJobs(8, "available", 0) // while two are still called
	close(end)
	<-stopped
	if s.jobs("completed", 1) != 2 || s.script.called() != 2 || most.Load() != 2 {
		t.Errorf("%d calls, at most %d at once", s.script.called(), most.Load())
	}
}
