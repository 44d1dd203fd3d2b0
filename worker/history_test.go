package worker_test

import (
	"context"
	"testing"
	"time"

	"tidegate/integration/fixture"
	"tidegate/jobs"
)

// What was called before counts when a job comes back from its queue: it was
// parked there, given back by a worker that stopped, or by one that died.
func TestEarlierCallsAreRemembered(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]func(s *site, r *jobs.Request, stop func()){
		"parked": func(s *site, _ *jobs.Request, _ func()) {
			s.awaitJobs(1, "scheduled", 0)
			s.exec("UPDATE tidegate.river_job SET state = 'available', scheduled_at = now()")
		},
		"stopped": func(s *site, r *jobs.Request, stop func()) {
			fixture.Await(s.t, soon, "the call is written down", func() bool { return len(s.attempts(r.ID)) == 1 })
			stop()
			s.start()
		},
		"rescued": func(s *site, _ *jobs.Request, stop func()) {
			s.awaitJobs(1, "scheduled", 0)
			stop()
			s.exec("UPDATE tidegate.river_job SET state = 'running', attempt = 1, scheduled_at = now(), attempted_by = '{gone}'")
			s.start()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.config.Timing.Dead, s.config.Timing.Stale = 300*time.Millisecond, 200*time.Millisecond
			s.config.Timing.Read, s.config.Timing.Beat = 50*time.Millisecond, 50*time.Millisecond
			s.config.Log = s.config.Log.Level(100) // a rescue is worth a word
			wait := time.Minute
			if name == "stopped" {
				wait = 20 * time.Second // which it waits in the worker
			}
			histories := make(chan jobs.Trace, 1)
			s.script.route = func(ctx context.Context, r *jobs.Request, h jobs.Trace) jobs.Outcome {
				if s.script.called() == 1 {
					first := attempted(jobs.Blocked, jobs.Context)
					first.Until = time.Now().Add(wait)
					return first
				}
				histories <- h
				return answer(ctx, r, h)
			}
			r := s.enqueue(1)[0]
			_, stop := s.start()
			back(s, &r, stop)
			s.awaitJobs(1, "completed", 1)
			if h := <-histories; len(h) != 1 || h[0].Attempt.Class != jobs.Context || h.Cost() != 10 {
				t.Errorf("it was called with the history %+v", h)
			}
			if got := s.result(r.ID); got.Cost != 20 || got.Attempts != 2 {
				t.Errorf("its result has a cost of %d and %d attempts", got.Cost, got.Attempts)
			}
		})
	}
}
