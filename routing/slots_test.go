package routing

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/jobs"
)

// free fails the test unless every place of a target is free.
func (s *story) free(target string) *story {
	s.t.Helper()
	if n := s.targets[target].pace.snapshot().InFlight; n != 0 {
		s.t.Fatalf("%d places of %s have leaked", n, target)
	}
	return s
}

// fill takes n places of a target.
func (s *story) fill(target string, n int) *story {
	s.t.Helper()
	for range n {
		if ok, _, why := s.targets[target].pace.take(0); !ok {
			s.t.Fatalf("%s has no place left: %s", target, why)
		}
	}
	return s
}

func TestSlotsAreFreedHoweverATryEnds(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) *story {
		return chainOf(t, &jobs.Target{Name: "a", Limits: jobs.Limits{Concurrency: 2}})
	}
	t.Run("answered", func(t *testing.T) {
		t.Parallel()
		begin(t).routes(5).to("a").free("a")
	})
	t.Run("failed", func(t *testing.T) {
		t.Parallel()
		begin(t).down("a").routes(20).held().free("a")
	})
	t.Run("no permit", func(t *testing.T) {
		t.Parallel()
		s := begin(t)
		opened(t, s.targets["a"].circuit)
		s.passes(time.Second)
		probe := acquire(t, s.targets["a"].circuit)
		if p, _ := s.targets["a"].admit(0); p.target != nil {
			t.Fatal("admitted beside a probe")
		}
		s.free("a")
		probe.Done(Success, "")
	})
	t.Run("a panic", func(t *testing.T) {
		t.Parallel()
		s := begin(t)
		opened(t, s.targets["a"].circuit)
		s.passes(time.Second)
		s.provider.during = func(context.Context, string, []byte) *jobs.Error { panic("a bug") }
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			s.routes(1)
		}()
		s.provider.during = nil
		s.free("a").circuit("a", open).flows(0).passes(2*time.Second).flows(1).routes(1).to("a").circuit("a", closed)
	})
}

func TestSlotsBoundTheCallsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := chainOf(t, &jobs.Target{Name: "a", Limits: jobs.Limits{Concurrency: 7}})
		var now, most atomic.Int64
		s.provider.during = func(context.Context, string, []byte) *jobs.Error {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(time.Second / 4) // of the bubble's clock
			now.Add(-1)
			return nil
		}
		began := time.Now()
		inParallel(70, func() { insist(t, s, func(string) time.Duration { return time.Second / 4 }) })
		if most.Load() != 7 || time.Since(began) > 4*time.Second { // it begins with four, and who asks just before a place is free asks again later
			t.Errorf("at most %d at once, done in %s; want 7 and 2.5s to 4s", most.Load(), time.Since(began))
		}
		s.free("a")
	})
}

func TestProbeNeedsNoPlace(t *testing.T) {
	t.Parallel()
	s := chainOf(t, &jobs.Target{Name: "a", Limits: jobs.Limits{Concurrency: 1}}).fill("a", 1)
	s.routes(1).held().calls("a", 0)
	opened(t, s.targets["a"].circuit)
	s.passes(time.Second).routes(1).to("a").circuit("a", closed).routes(1).held()
	s.targets["a"].pace.refund(0)
	s.free("a").routes(1).to("a")
}

func TestReleasedPassLeavesNothing(t *testing.T) {
	t.Parallel()
	s := chainOf(t, &jobs.Target{Name: "a", Limits: jobs.Limits{Concurrency: 1}})
	pass, _ := s.router.Admit(s.request, nil)
	s.routes(1).held()
	pass.Release()
	s.free("a").calls("a", 0)
	opened(t, s.targets["a"].circuit)
	s.passes(time.Second)
	probe, _ := s.router.Admit(s.request, nil)
	s.flows(0)
	probe.Release()
	s.flows(1).routes(1).to("a").circuit("a", closed)
}

// What stands between a permit and its call may take a while.
func TestPassIsLookedAtOnceMore(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(*testing.T, *Circuit, time.Time){
		"the circuit opens": func(t *testing.T, c *Circuit, _ time.Time) { opened(t, c) },
		"a cooldown begins": func(_ *testing.T, c *Circuit, now time.Time) { c.Cool(now.Add(time.Minute), "slow down") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := chainOf(t, &jobs.Target{Name: "a", Limits: jobs.Limits{Concurrency: 1}}, &jobs.Target{Name: "b"})
			s.request.ID = "r"
			var begun []string
			pass, _ := s.router.Admit(s.request, nil)
			s.outcome = pass.Route(t.Context(), func(_ context.Context, call jobs.Begun) error {
				if begun = append(begun, call.Target+call.RequestID); len(begun) == 1 {
					meanwhile(t, s.targets["a"].circuit, s.clock.now())
				}
				return nil
			})
			s.to("b").calls("a", 0).skips("a", "").free("a").free("b")
			if want := []string{"ar", "a", "br"}; !slices.Equal(begun, want) {
				t.Errorf("begun: %q, want %q", begun, want)
			}
		})
	}
}

func TestNoCallWithoutItsBeginning(t *testing.T) {
	t.Parallel()
	s := chainOf(t, &jobs.Target{Name: "a", Limits: jobs.Limits{Concurrency: 1}}, &jobs.Target{Name: "b"})
	pass, _ := s.router.Admit(s.request, nil)
	s.outcome = pass.Route(t.Context(), func(context.Context, jobs.Begun) error { return errors.New("no more") })
	s.waits(0).because("no more").calls("a", 0).calls("b", 0).free("a")
}

func TestCallersOfADyingTargetFallThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := chainOf(t, &jobs.Target{Name: "a", Limits: jobs.Limits{Concurrency: 10}}, &jobs.Target{Name: "b"})
		s.provider.during = func(_ context.Context, target string, _ []byte) *jobs.Error {
			if target == "b" {
				return nil
			}
			time.Sleep(time.Minute) // of the bubble's clock
			return &jobs.Error{Class: jobs.Timeout}
		}
		began := time.Now()
		var answered atomic.Int64
		inParallel(1000, func() {
			o := insist(t, s, func(busy string) time.Duration {
				if strings.HasPrefix(busy, "b:") { // which answers at once
					return time.Millisecond
				}
				return 9 * time.Second / 10
			})
			if o.Verdict == jobs.Answered {
				answered.Add(1)
			}
		})
		if took := time.Since(began); answered.Load() != 1000 || took > 2*time.Minute+time.Second {
			t.Errorf("%d of 1000 answered in %s; want all within two timeouts", answered.Load(), took)
		}
		if got := s.provider.calls["a"]; got > 20 {
			t.Errorf("the dead target was called %d times", got)
		}
		s.free("a").circuit("a", open)
	})
}

func inParallel(n int, do func()) {
	var all sync.WaitGroup
	for range n {
		all.Go(do)
	}
	all.Wait()
}

// insist asks again as long as there was no place, each time after a rest: by who was busy.
func insist(t *testing.T, s *story, rest func(busy string) time.Duration) jobs.Outcome {
	for {
		o := s.router.Route(t.Context(), s.request, nil)
		if o.Verdict != jobs.Blocked || !strings.Contains(o.Reason, "calls at once") {
			return o
		}
		<-time.After(rest(o.Reason)) // of the bubble's clock
	}
}

func TestBusyTargetIsNotPassedOver(t *testing.T) {
	t.Parallel()
	s := chainOf(t, &jobs.Target{Name: "a", Limits: jobs.Limits{Concurrency: 1}}, &jobs.Target{Name: "b"}).fill("a", 1)
	s.routes(1).held().calls("a", 0).calls("b", 0).because("calls at once are out")
	s.targets["a"].pace.refund(0)
	s.free("a").routes(1).to("a")
}

// A request that fits only a busy target must not stand before those that fit
// another.
func TestWhoFitsOnlyABusyTargetWaitsOnItsOwn(t *testing.T) {
	t.Parallel()
	s := priced(t, 100, 1)
	s.request.MaxCost = jobs.USD(0.01) // b only
	s.targets["b"].pace.places.most = 1
	s.fill("b", 1).tries().waits(againMin).because("calls at once are out").flows(All).routes(1).to("a")
}
