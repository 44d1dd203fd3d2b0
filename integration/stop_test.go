package integration

import (
	"testing"
	"time"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
)

// withSlowRoute adds a route of its own for the provider that is called fast
// here, and is not.
func withSlowRoute(c *config.Config) {
	slow := c.Routes[0]
	slow.Name, slow.Chain = "slow", []string{"sim-fast"}
	c.Routes[0].Chain = []string{"sim-cheap", "sim-dear"}
	c.Routes = append(c.Routes, slow)
}

func toSlow(i int, r *jobs.Request) {
	r.Route, r.Body = "slow", body(1000+i)
}

// jobsIn counts River's jobs of a route in a state.
func (s *stage) jobsIn(state, route string) int {
	s.Helper()
	return s.count("SELECT count(*) FROM tidegate.river_job WHERE state::text = $1 AND queue = $2", state, route)
}

// TestStopGivesJobsBack: a worker that is stopped while jobs wait at the gate
// gives them back with their attempts, lets calls in flight end, and leaves the
// rest to the next worker. Nothing is asked twice.
func TestStopGivesJobsBack(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{config: withSlowRoute})
	s.prepare()
	s.down("cheap", simulator.Fault{Mode: simulator.Unavailable})
	s.down("dear", simulator.Fault{Mode: simulator.Unavailable})
	s.down("fast", simulator.Fault{Mode: simulator.Slow, Delay: time.Second})
	waiting := s.enqueue(3*inHand, nil)
	called := s.enqueue(2*inHand, toSlow)

	first := s.work(nil)
	fixture.Await(t, soon, "jobs wait at the gate, and others are in flight", func() bool {
		return first.Worker.Waiting(summaries) >= atOnce && s.sim.Calls("fast").InFlight == atOnce
	})
	first.stop()
	answered := s.count("SELECT count(*) FROM tidegate.results r JOIN tidegate.requests q ON q.id = r.request_id WHERE q.route = 'slow'")
	if answered < atOnce || answered > inHand || s.sim.Calls("fast").Total != answered {
		t.Errorf("%d calls were in flight; after the stop there are %d results, and %d calls", atOnce, answered, s.sim.Calls("fast").Total)
	}
	if n := s.jobsIn("available", summaries); n != 3*inHand {
		t.Errorf("%d of %d jobs that waited are available", n, 3*inHand)
	}
	if n := s.count("SELECT count(*) FROM tidegate.river_job WHERE state = 'available' AND attempt > 0"); n != 0 {
		t.Errorf("%d jobs came back without their attempt", n)
	}
	if n := s.count("SELECT count(*) FROM tidegate.river_job WHERE state NOT IN ('available', 'completed')"); n != 0 {
		t.Errorf("%d jobs are neither done nor available", n)
	}

	s.back()
	s.work(nil)
	called, waiting = s.settle(called), s.settle(waiting)
	if called.Completed != called.Total || waiting.Completed != waiting.Total {
		t.Errorf("answered: %d of %d, and %d of %d", called.Completed, called.Total, waiting.Completed, waiting.Total)
	}
	s.noneBurned()
	if seen := s.sim.Seen("fast"); seen.Repeated != 0 || seen.Distinct != called.Total {
		t.Errorf("a healthy provider was asked twice: %+v", seen)
	}
	minimal := s.count("SELECT count(*) FROM tidegate.attempts WHERE request_id = $1 AND class = 'OK'", jobs.NoRequest) // calls that probed for no request
	if seen := s.sim.Seen("*"); seen.AnsweredTwice != 0 || seen.Answered != called.Total+waiting.Total+minimal {
		t.Errorf("bought twice, with %d minimal calls: %+v", minimal, seen)
	}
}

// TestStopCutsWhatTakesTooLong: calls that outlast the time of a stop are cut
// off and written down as lost; their jobs go back with their attempts, and the
// next worker has them answered.
func TestStopCutsWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.down("*", simulator.Fault{Mode: simulator.Hang})
	first := s.work(func(c *app.StackConfig) { c.StopTimeout = 300 * time.Millisecond })
	batch := s.enqueue(2*inHand, nil)
	fixture.Await(t, soon, "calls hang", func() bool { return s.sim.Calls("*").InFlight == atOnce })
	first.stop()
	if n := s.jobsIn("available", summaries); n != 2*inHand {
		t.Errorf("%d of %d jobs are available", n, 2*inHand)
	}
	if n := s.calls(jobs.Lost); n != atOnce {
		t.Errorf("%d calls were cut off, and %d are written down as lost", atOnce, n)
	}
	s.back()
	s.work(nil)
	batch = s.settle(batch)
	s.onceEach(batch)
	if batch.Completed != batch.Total {
		t.Errorf("%d of %d were answered", batch.Completed, batch.Total)
	}
}

// TestManyWorkersShareTheWork: workers come and go while a batch is worked, and
// nobody works what another has.
func TestManyWorkersShareTheWork(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	crews := []*crew{s.work(nil), s.work(nil)}
	batch := s.enqueue(200, nil)
	for i := range crews {
		s.awaitResults(60 * (i + 1))
		crews[i].stop()
		s.work(nil)
	}
	batch = s.settle(batch)
	s.onceEach(batch)
	if n := s.count("SELECT count(DISTINCT attempted_by[1]) FROM tidegate.river_job"); n < 2 {
		t.Errorf("%d workers had jobs", n)
	}
	if seen := s.sim.Seen("*"); seen.Repeated != 0 {
		t.Errorf("asked twice: %+v", seen)
	}
}
