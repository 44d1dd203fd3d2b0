package routing

import (
	"testing"
	"time"

	"tidegate/jobs"
)

func TestGateAdmits(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b").flows(All)
	opened(t, s.targets["a"].circuit)
	s.flows(All) // b still answers
	opened(t, s.targets["b"].circuit)
	s.flows(0)
	s.passes(time.Second).flows(2) // one probe for each
	probe := acquire(t, s.targets["a"].circuit)
	s.flows(1)
	probe.Done(Failure, "dead")
	s.flows(1)
	acquire(t, s.targets["b"].circuit).Done(Success, "")
	s.flows(All)
	s.targets["b"].circuit.Cool(s.clock.now().Add(time.Minute), "slow down")
	s.flows(0)
}

func TestGateSaysWhenToAskAgain(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b")
	opened(t, s.targets["a"].circuit)
	s.targets["b"].circuit.Cool(s.clock.now().Add(time.Minute), "slow down")
	if _, again := s.router.Admits(theRoute); again.Sub(s.clock.now()) != time.Second {
		t.Errorf("again at %v, want in 1s", again)
	}
	s.passes(time.Second)
	acquire(t, s.targets["a"].circuit)
	if n, again := s.router.Admits(theRoute); n != 0 || again.Sub(s.clock.now()) != 59*time.Second {
		t.Errorf("admits %d, again at %v, want none for 59s", n, again)
	}
	s.passes(59 * time.Second)
	acquire(t, s.targets["b"].circuit)
	acquireProbeOf(t, s, "b")
	if n, again := s.router.Admits(theRoute); n != 0 || !again.IsZero() {
		t.Errorf("admits %d, again at %v; want none until a probe tells", n, again)
	}
}

// acquireProbeOf opens the circuit of a target and takes its probe.
func acquireProbeOf(t *testing.T, s *story, target string) *Permit {
	t.Helper()
	circuit := s.targets[target].circuit
	opened(t, circuit)
	s.passes(time.Second)
	return acquire(t, circuit)
}

// A request that fits only targets that are shut must not come back to a gate
// that flows for others: it would be let go again at once, for ever.
func TestRequestWaitsOnItsOwnWhereTheGateFlowsForOthers(t *testing.T) {
	t.Parallel()
	t.Run("another target flows", func(t *testing.T) {
		t.Parallel()
		s := priced(t, 100, 1)
		s.request.MaxCost = jobs.USD(0.01) // b only
		s.targets["b"].circuit.Cool(s.clock.now().Add(time.Hour), "slow down")
		s.tries().flows(All).waits(time.Hour).because("b: cooling down: slow down").calls("a", 0)
	})
	t.Run("another target waits for a probe", func(t *testing.T) {
		t.Parallel()
		s := priced(t, 100, 1)
		s.request.MaxCost = jobs.USD(0.01)
		opened(t, s.targets["a"].circuit)
		s.passes(time.Second)
		s.targets["b"].circuit.Cool(s.clock.now().Add(time.Hour), "slow down")
		s.tries().flows(1).waits(time.Hour)
	})
	t.Run("a probe is out", func(t *testing.T) {
		t.Parallel()
		s := priced(t, 100, 1)
		s.request.MaxCost = jobs.USD(0.01)
		acquireProbeOf(t, s, "b")
		s.tries().flows(All).waits(againMin)
	})
	t.Run("all is shut", func(t *testing.T) {
		t.Parallel()
		s := priced(t, 100, 1)
		s.request.MaxCost = jobs.USD(0.01)
		opened(t, s.targets["a"].circuit)
		opened(t, s.targets["b"].circuit)
		s.tries().flows(0).held()
	})
}

func TestGateAdmitsWithoutAllocating(t *testing.T) {
	s := chain(t, "a", "b")
	opened(t, s.targets["a"].circuit)
	opened(t, s.targets["b"].circuit)
	if n := testing.AllocsPerRun(100, func() { s.router.Admits(theRoute) }); n != 0 {
		t.Errorf("Admits allocates %v times", n)
	}
}
