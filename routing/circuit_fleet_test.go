package routing

import (
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
)

// inFleet is a closed circuit that a fleet shares.
func inFleet() (*Circuit, *clock) {
	clock := newClock()
	return newCircuit(&jobs.Target{Name: "a"}, Config{Now: clock.now, Fleet: true}), clock
}

func failures5(t *testing.T, c *Circuit, said bool) {
	t.Helper()
	for range 5 {
		acquire(t, c).end(Failure, ending{said: said, reason: "dead"})
	}
}

func TestProbeOfASharedCircuitIsGranted(t *testing.T) {
	t.Parallel()
	c, clock := inFleet()
	failures5(t, c, true)
	clock.pass(time.Minute)
	if _, ok := c.Acquire(); ok {
		t.Fatal("a probe that nobody granted")
	}
	if c.grant(7) || !c.grant(1) {
		t.Fatal("granted for another generation, or not for its own")
	}
	probe := acquire(t, c)
	if !probe.Probe() {
		t.Fatal("not a probe")
	}
	if _, ok := c.Acquire(); ok {
		t.Fatal("two probes")
	}
	probe.Done(Success, "")
	if s := c.Snapshot(); s.State != jobs.CircuitClosed || s.Generation != 2 {
		t.Errorf("after the probe %+v", s)
	}
}

func TestFleetIsFollowed(t *testing.T) {
	t.Parallel()
	c, clock := inFleet()
	began := acquire(t, c)
	open := jobs.Circuit{Target: "a", State: jobs.CircuitOpen, Generation: 4, Reason: "of another", CooldownUntil: clock.now().Add(time.Minute)}
	if !c.adopt(open) || c.adopt(open) {
		t.Fatal("not followed, or twice")
	}
	began.Done(Success, "") // of before: says nothing
	if s := c.Snapshot(); s.State != jobs.CircuitOpen || s.Generation != 4 || s.Reason != "of another" {
		t.Fatalf("it is %+v", s)
	}
	c.adopt(jobs.Circuit{State: jobs.CircuitClosed, Generation: 3, CooldownUntil: clock.now().Add(time.Hour)})
	if s := c.Snapshot(); s.State != jobs.CircuitOpen || !s.CooldownUntil.Equal(clock.now().Add(time.Hour)) {
		t.Fatalf("of an older word only the later cooldown counts: %+v", s)
	}
	c.adopt(jobs.Circuit{State: jobs.CircuitClosed, Generation: 5, Person: true})
	if _, ok := c.Acquire(); !ok {
		t.Error("a person closed it, and it admits nobody")
	}
}

func TestWhatOnlyThisHostSawStaysHere(t *testing.T) {
	t.Parallel()
	c, clock := inFleet()
	failures5(t, c, false)
	if s := c.Snapshot(); s.State != jobs.CircuitOpen || !s.Local || s.Generation != 0 {
		t.Fatalf("it is %+v", s)
	}
	c.adopt(jobs.Circuit{State: jobs.CircuitClosed, Generation: 2})
	if s := c.Snapshot(); s.State != jobs.CircuitOpen {
		t.Fatal("the others' good news does not mend this host")
	}
	clock.pass(time.Minute)
	acquire(t, c).Done(Success, "") // its own probe needs no grant
	if s := c.Snapshot(); s.State != jobs.CircuitClosed || s.Local || s.Generation != 2 {
		t.Errorf("after its own probe %+v", s)
	}
	failures5(t, c, false)
	c.share()
	if s := c.Snapshot(); s.Local || s.Generation != 3 || s.State != jobs.CircuitOpen {
		t.Errorf("shared: %+v", s)
	}
}

// Whether this host gets through is what its last call met, also one of another
// epoch.
func TestUnreachedIsTheLastCall(t *testing.T) {
	t.Parallel()
	c, _ := inFleet()
	late := acquire(t, c)
	failures5(t, c, false)
	if !c.Snapshot().Unreached {
		t.Error("nothing got through, and it is not unreached")
	}
	late.end(Failure, ending{said: true, reason: "503"})
	if c.Snapshot().Unreached {
		t.Error("a call got through, and it is unreached")
	}
}

// A cooldown is some while from now, whatever is done to the machine's clock
// meanwhile: its end has a monotonic reading, which Go writes as m=.
func TestCooldownCountsInTimeThatPasses(t *testing.T) {
	t.Parallel()
	c := newCircuit(&jobs.Target{Name: "a"}, Config{Now: time.Now, Fleet: true})
	c.Cool(time.Now().Add(time.Hour), "429")
	if until := c.Snapshot().CooldownUntil; !strings.Contains(until.String(), " m=") {
		t.Errorf("it ends at %s, by the clock on the wall", until)
	}
}

// A probe of one host that is still out when others see the same must not keep
// the fleet's from going, for ever.
func TestSharedCircuitIsProbedAnew(t *testing.T) {
	t.Parallel()
	c, clock := inFleet()
	failures5(t, c, false)
	clock.pass(time.Minute)
	late := acquire(t, c) // its dial takes long
	c.share()
	if !c.grant(1) {
		t.Fatal("the probe was not granted")
	}
	probe := acquire(t, c)
	late.end(Failure, ending{reason: "dead"})
	probe.Done(Success, "")
	if s := c.Snapshot(); s.State != jobs.CircuitClosed || s.Generation != 2 {
		t.Errorf("after the fleet's probe %+v", s)
	}
}

// Of two words of one generation that which was written down is right.
func TestEqualGenerationsAreReconciled(t *testing.T) {
	t.Parallel()
	c, clock := inFleet()
	failures5(t, c, true) // generation 1, here
	if !c.adopt(jobs.Circuit{State: jobs.CircuitClosed, Generation: 1}) {
		t.Error("the fleet's closed was not followed")
	}
	if c.adopt(jobs.Circuit{State: jobs.CircuitClosed, Generation: 1}) {
		t.Error("followed twice")
	}
	if !c.adopt(jobs.Circuit{State: jobs.CircuitOpen, Generation: 1, CooldownUntil: clock.now().Add(time.Minute)}) {
		t.Error("the fleet's open was not followed")
	}
	if c.adopt(jobs.Circuit{State: jobs.CircuitHalfOpen, Generation: 1}) {
		t.Error("a probe that is out is no other state")
	}
	if s := c.Snapshot(); s.State != jobs.CircuitOpen || s.Generation != 1 {
		t.Errorf("it is %+v", s)
	}
}

// A minimal call that is refused for the account opens its own circuit once.
func TestProbeOpensItsOwnCircuitOnce(t *testing.T) {
	t.Parallel()
	s := chainOf(t, accounts()[:2]...)
	opened(t, s.targets["a"].circuit)
	s.passes(time.Minute).fails("a", jobs.Quota, 1)
	before := s.targets["a"].circuit.Snapshot().Generation
	if attempt := s.router.Probe(t.Context(), "a"); attempt == nil || attempt.Class != jobs.Quota {
		t.Fatalf("the probe was %+v", attempt)
	}
	if got := s.targets["a"].circuit.Snapshot(); got.Generation != before+1 || strings.Contains(got.Reason, "(at a)") {
		t.Errorf("it is %+v, and was of generation %d", got, before)
	}
	s.circuit("same-key", jobs.CircuitOpen)
}
