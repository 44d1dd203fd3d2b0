package routing

import (
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
