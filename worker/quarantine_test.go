package worker_test

import (
	"testing"

	"tidegate/integration/fixture"
	"tidegate/jobs"
)

// quarantined is how often the one job was sent back to the quarantine as it was.
func (s *site) quarantined() int {
	return s.number(`SELECT coalesce(max((metadata->>'snoozes')::int), 0) FROM tidegate.river_job WHERE queue = $1 AND attempt = 0`, jobs.QuarantineQueue)
}

// A worker takes the quarantine's jobs of every route, and leaves those of a route
// that it does not serve to others.
func TestQuarantineOfARouteOfOthers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := s.enqueue(1)[0]
	s.exec("UPDATE tidegate.river_job SET queue = $1", jobs.QuarantineQueue)
	s.config.Queues = []string{"others"}
	_, stop := s.start()
	fixture.Await(t, soon, "it was given back", func() bool { return s.quarantined() > 0 })
	stop()
	if n := s.number("SELECT count(*) FROM tidegate.results"); n != 0 || s.script.called() != 0 {
		t.Errorf("%d results, %d calls", n, s.script.called())
	}
	s.config.Queues = []string{"summaries"}
	s.start()
	s.awaitJobs(1, "completed", 1)
	if got := s.result(r.ID); got.State != jobs.StateAnswered {
		t.Errorf("it ended as %+v", got.Result)
	}
}

// What a person pauses does not run in quarantine either; what the circuits pause
// waits at its gate.
func TestQuarantineOfAPausedRoute(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.enqueue(1)
	s.exec("UPDATE tidegate.river_job SET queue = $1", jobs.QuarantineQueue)
	s.exec("INSERT INTO tidegate.pauses (route, owner) VALUES ('summaries', 'circuit'), ('summaries', 'person')")
	s.start()
	fixture.Await(t, soon, "it was given back", func() bool { return s.quarantined() > 0 })
	if s.script.called() != 0 {
		t.Errorf("it was called %d times", s.script.called())
	}
	s.exec("DELETE FROM tidegate.pauses WHERE owner = 'person'")
	s.awaitJobs(1, "completed", 1)
}
