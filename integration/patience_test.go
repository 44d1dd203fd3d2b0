package integration

import (
	"fmt"
	"testing"
	"time"

	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
)

// patientStage is one of a route that may wait, whose cheapest target is down.
func patientStage(t *testing.T, whenOpen jobs.WhenOpen) *stage {
	s := newStage(t, staging{config: func(c *config.Config) {
		c.Routes[0].WhenOpen, c.Routes[0].Goal, c.Routes[0].Deadline = string(whenOpen), "ordered", 0
	}})
	s.down("cheap", simulator.Fault{Mode: simulator.Unavailable})
	return s
}

// waits lists the decisions of requests that waited.
func (s *stage) waits() (n int) {
	s.Helper()
	return s.count(`SELECT count(*) FROM tidegate.attempts a JOIN tidegate.requests r ON r.id = a.request_id
		WHERE r.custom_id LIKE 'n-%' AND a.class = 'OK' AND (a.decision->>'extra')::bigint > 0 AND a.decision->'waits'->0->>'target' = 'sim-cheap'
			AND (a.decision->'waits'->0->>'extra_cost_micro_usd')::bigint > 0 AND a.decision->'waits'->0 ? 'worth_micro_usd'
			AND a.decision->>'why' LIKE 'waits for sim-cheap: %'`)
}

func (s *stage) answeredBy(target string) int {
	s.Helper()
	return s.count(`SELECT count(*) FROM tidegate.results t JOIN tidegate.requests r ON r.id = t.request_id
		WHERE r.custom_id LIKE 'n-%' AND t.state = 'answered' AND t.target = $1`, target)
}

// The cheap target dies and comes back: jobs wait for it, a slot each for nobody, take
// it within seconds, and nothing dear was paid. Why they waited is in their trace.
func TestJobsWaitForTheCheapTarget(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		whenOpen jobs.WhenOpen
		within   time.Duration
	}{{jobs.WhenOpenPrice, 24 * time.Hour}, {jobs.WhenOpenPrice, 0}, {jobs.WhenOpenWait, 0}} {
		t.Run(fmt.Sprintf("%s within %s", c.whenOpen, c.within), func(t *testing.T) {
			t.Parallel()
			s := patientStage(t, c.whenOpen)
			s.work(nil)
			const n = 30
			batch := s.enqueue(n, func(_ int, r *jobs.Request) {
				if c.within > 0 {
					r.Deadline = time.Now().Add(c.within)
				}
			})
			fixture.Await(t, soon, "all jobs are parked", func() bool {
				return s.count("SELECT count(*) FROM tidegate.river_job WHERE state = 'scheduled' AND scheduled_at > now() + interval '10 minutes'") == n
			})
			if got := s.results(); got != 0 {
				t.Errorf("%d results while the cheap target is down", got)
			}
			s.back()
			s.settle(batch)
			if got := s.answeredBy("sim-cheap"); got != n {
				t.Errorf("%d of %d were answered by the cheap target", got, n)
			}
			if dear := s.count("SELECT count(*) FROM tidegate.attempts WHERE target <> 'sim-cheap'"); dear != 0 {
				t.Errorf("%d calls of dearer targets", dear)
			}
			if got := s.waits(); got != n {
				t.Errorf("%d of %d say in their trace that they waited, and why", got, n)
			}
			if most := s.count("SELECT max(attempt) FROM tidegate.river_job"); most != 1 {
				t.Errorf("River counted %d attempts", most)
			}
		})
	}
}

// It does not come back: they take the dear one in time, and none expires.
func TestJobsTakeTheDearTargetInTime(t *testing.T) {
	t.Parallel()
	for _, whenOpen := range []jobs.WhenOpen{jobs.WhenOpenPrice, jobs.WhenOpenWait} {
		t.Run(string(whenOpen), func(t *testing.T) {
			t.Parallel()
			s := patientStage(t, whenOpen)
			s.work(nil)
			const n, within = 20, 40 * time.Second
			began := time.Now()
			batch := s.settle(s.enqueue(n, func(_ int, r *jobs.Request) { r.Deadline = began.Add(within) }))
			if batch.Completed != n || s.count("SELECT count(*) FROM tidegate.results WHERE state = 'expired'") != 0 {
				t.Errorf("%d of %d were answered", batch.Completed, n)
			}
			if got := n - s.answeredBy("sim-cheap"); got != n {
				t.Errorf("%d of %d were answered by a dearer target", got, n)
			}
			if late := s.count("SELECT count(*) FROM tidegate.results t JOIN tidegate.requests r ON r.id = t.request_id WHERE t.stored_at > r.deadline"); late != 0 {
				t.Errorf("%d came too late", late)
			}
			reasons := s.count("SELECT count(*) FROM tidegate.attempts WHERE class = 'OK' AND decision::text LIKE '%not waited for%'")
			if reasons != n {
				t.Errorf("%d of %d say why they waited no longer", reasons, n)
			}
		})
	}
}
