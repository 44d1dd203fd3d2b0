package integration

import (
	"slices"
	"testing"
	"time"

	"tidegate/cmd/app"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
)

// TestClocksAreApart: the clocks of two workers are half a minute apart, and that
// of the supervisor is the wrong one. Cooldowns that the provider asks for are
// kept to the second, one probe goes at a time, deadlines pass when they do, and
// the queue is resumed when the target is well.
func TestClocksAreApart(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]time.Duration{"ahead": 30 * time.Second, "behind": -30 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStorm(t, staging{config: oneTarget})
			const asked = 3 * time.Second
			s.down("*", down503)
			crews := s.crews(1, func(_ int, c *app.StackConfig) {
				c.Now = func() time.Time { return time.Now().Add(skew) }
			})
			fixture.Await(t, soon, "the one with the wrong clock supervises", func() bool {
				return s.count("SELECT count(*) FROM tidegate.leases WHERE holder = 'worker-1'") == 1
			})
			crews = append(crews, s.crews(1, nil)...)
			const mortal = 3 * inHand
			deadline := time.Now().Add(6 * time.Second).Truncate(time.Millisecond)
			batch := s.enqueue(2*mortal, func(i int, r *jobs.Request) {
				if i%2 == 0 {
					r.Deadline = deadline
				}
			})
			began := s.awaitAllShut(cheap, crews...)
			fixture.Await(t, soon, "the queue is paused", s.paused)
			s.clockedRight(began)
			s.down("*", simulator.Fault{Mode: simulator.Unavailable, RetryAfter: asked})
			asks := time.Now()
			s.awaitProbes(s.probes() + 3)
			calls := s.since(asks, time.Now())
			s.apart(calls[1:], asked-100*time.Millisecond, asked*11/10+latest) // the first may have met what was before
			s.awaitResults(mortal)
			s.onTime(mortal, deadline)
			s.back()
			well := time.Now()
			s.awaitResults(mortal + 1)
			if took := time.Since(well); took > asked*11/10+2*latest {
				t.Errorf("the first answer came %s after the target was well", took)
			}
			batch = s.settle(batch)
			s.onceEach(batch)
			if batch.Completed != mortal || batch.Failed != mortal || s.paused() {
				t.Errorf("%d were answered, %d were not; paused: %t", batch.Completed, batch.Failed, s.paused())
			}
			s.awaitClosed(cheap, crews...)
		})
	}
}

// clockedRight checks that what is shown of circuits and pauses is so by this
// test's clock, whoever said it.
func (s *storm) clockedRight(began time.Time) {
	s.Helper()
	now := time.Now()
	since := func(what string, t time.Time) {
		s.Helper()
		if t.Before(began.Add(-soon/2)) || t.After(now.Add(time.Second)) {
			s.Errorf("%s since %s, which is %s ago", what, t, now.Sub(t))
		}
	}
	shown := s.shownCircuits()[cheap]
	since("the circuit is open", shown.Since)
	if left := time.Until(shown.CooldownUntil); !shown.CooldownUntil.IsZero() && left > 4*time.Second {
		s.Errorf("its cooldown goes on for %s", left)
	}
	pauses, err := s.store.Pauses(s.Context())
	check(s.T, err)
	for _, p := range pauses {
		since("the route is paused", p.Since)
	}
	if !slices.Equal(s.owners(), []string{"circuit"}) {
		s.Errorf("it is paused by %v", s.owners())
	}
}
