package routing

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/jobs"
)

// free fails the test unless every slot of a target is free.
func (s *story) free(target string) *story {
	s.t.Helper()
	limit := int64(s.targets[target].Limits.Concurrency)
	if !s.targets[target].slots.TryAcquire(limit) {
		s.t.Fatalf("a slot of %s has leaked", target)
	}
	s.targets[target].slots.Release(limit)
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
		if _, err := s.targets["a"].admit(t.Context()); err == nil {
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
		s.free("a").circuit("a", halfOpen).flows(1).routes(1).to("a").circuit("a", closed)
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
		inParallel(70, func() { insist(t, s) })
		if most.Load() != 7 || time.Since(began) != 2500*time.Millisecond {
			t.Errorf("at most %d at once, done in %s; want 7 and 2.5s", most.Load(), time.Since(began))
		}
		s.free("a")
	})
}

func TestWaitingForASlotHoldsNoPermit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := chainOf(t, &jobs.Target{Name: "a", Limits: jobs.Limits{Concurrency: 1}})
		target := s.targets["a"]
		opened(t, target.circuit)
		s.passes(time.Second)
		_ = target.slots.Acquire(t.Context(), 1)
		go s.router.Route(t.Context(), s.request, nil)
		synctest.Wait()
		if ready, _ := target.circuit.readiness(); ready != ProbeReady {
			t.Errorf("ready is %d: whoever waits for a slot has the probe in hand", ready)
		}
		target.circuit.Cool(s.clock.now().Add(time.Hour), "slow down") // it begins while we wait
		target.release()
		synctest.Wait()
		s.calls("a", 0).free("a")
	})
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
			if insist(t, s).Verdict == jobs.Answered {
				answered.Add(1)
			}
		})
		if took := time.Since(began); answered.Load() != 1000 || took > 2*time.Minute {
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

// insist asks again as long as there was no slot.
func insist(t *testing.T, s *story) jobs.Outcome {
	for {
		o := s.router.Route(t.Context(), s.request, nil)
		if o.Verdict != jobs.Blocked || o.Held || len(o.Trace.Attempts()) > 0 {
			return o
		}
	}
}

// A caller who waits for a slot hears of it in time to look at its deadline,
// and is not sent to a dearer target meanwhile.
func TestBusyTargetIsNotPassedOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := chainOf(t, &jobs.Target{Name: "a", Limits: jobs.Limits{Concurrency: 1}}, &jobs.Target{Name: "b"})
		_ = s.targets["a"].slots.Acquire(t.Context(), 1)
		began := time.Now()
		s.outcome = s.router.Route(t.Context(), s.request, nil)
		s.waits(0).calls("a", 0).calls("b", 0).because("calls at once are out")
		if took := time.Since(began); took != slotWait || s.outcome.Held {
			t.Errorf("told after %s, held %v", took, s.outcome.Held)
		}
		s.targets["a"].release()
		s.free("a").routes(1).to("a")
	})
}
