package routing

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

// A circuitModel says in the plainest way what a circuit must do. It knows
// everything but the jitter of a wait, which it takes from the circuit after
// checking its bounds.
type circuitModel struct {
	state      jobs.CircuitState
	generation uint64
	cooldown   time.Time
	window     []bool // of the last calls: did it fail
	inARow     int
	begun      int   // calls of this generation
	row        []int // the numbers of failures after the first of which nobody began who was answered
	probe      bool  // it is out
	downSince  time.Time
	tripWait   time.Duration
}

func (m *circuitModel) mayCall(now time.Time) bool {
	return !now.Before(m.cooldown) && (m.state != jobs.CircuitHalfOpen || !m.probe)
}

func (m *circuitModel) turn(state jobs.CircuitState) {
	m.state, m.generation, m.probe = state, m.generation+1, false
	m.begun, m.row = 0, nil
	if state == jobs.CircuitClosed {
		m.window, m.inARow, m.downSince = nil, 0, time.Time{}
	}
}

func (m *circuitModel) open(now time.Time, wait time.Duration) {
	if m.downSince.IsZero() {
		m.downSince = now
	}
	m.cool(now.Add(wait))
	m.inARow = 0
	m.turn(jobs.CircuitOpen)
}

func (m *circuitModel) cool(until time.Time) {
	if until.After(m.cooldown) {
		m.cooldown = until
	}
}

// fail says whether the failure of a closed circuit opens it.
func (m *circuitModel) fail(number int) bool {
	m.record(true)
	m.inARow++
	m.row = append(m.row, number)
	failed := 0
	for _, f := range m.window {
		if f {
			failed++
		}
	}
	since := m.begun - slices.Min(m.row)
	return m.inARow >= 5 || failed >= 10 || len(m.row) >= 5 && 2*len(m.row) >= since
}

// answer ends the row of failures, if it is of a call that began after the first
// of them.
func (m *circuitModel) answer(number int) {
	if len(m.row) > 0 && number > slices.Min(m.row) {
		m.row = nil
	}
}

func (m *circuitModel) record(failed bool) {
	m.window = append(m.window, failed)
	if len(m.window) > 20 {
		m.window = m.window[1:]
	}
}

// A modelPermit is one that is out, and what the model knows of it.
type modelPermit struct {
	*Permit
	generation uint64
	number     int // of the calls of its generation
	probe      bool
}

type circuitMachine struct {
	clock   *clock
	circuit *Circuit
	model   circuitModel
	out     []modelPermit
}

func TestCircuitAgainstItsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &circuitMachine{clock: newClock(), model: circuitModel{state: jobs.CircuitClosed}}
		m.circuit = newCircuit(&jobs.Target{Name: "a"}, Config{Now: m.clock.now, Seed: rapid.Uint64().Draw(t, "seed")})
		t.Repeat(rapid.StateMachineActions(m))
	})
}

// Acquire asks for a permit.
func (m *circuitMachine) Acquire(t *rapid.T) {
	permit, ok := m.circuit.Acquire()
	if want := m.model.mayCall(m.clock.now()); ok != want {
		t.Fatalf("a permit: %v, want %v", ok, want)
	}
	if !ok {
		return
	}
	if m.model.state == jobs.CircuitOpen {
		m.model.turn(jobs.CircuitHalfOpen)
	}
	m.model.probe = m.model.state == jobs.CircuitHalfOpen
	if permit.Probe() != m.model.probe {
		t.Fatalf("a probe: %v, want %v", permit.Probe(), m.model.probe)
	}
	m.out = append(m.out, modelPermit{&permit, m.model.generation, m.model.begun, m.model.probe})
	m.model.begun++
}

// Burst asks for many permits, so that more than one is out.
func (m *circuitMachine) Burst(t *rapid.T) {
	for range rapid.IntRange(2, 12).Draw(t, "n") {
		m.Acquire(t)
	}
}

// take picks one of the permits that are out, from whenever it is, if one is.
func (m *circuitMachine) take(t *rapid.T) (modelPermit, bool) {
	if len(m.out) == 0 {
		return modelPermit{}, false
	}
	i := rapid.IntRange(0, len(m.out)-1).Draw(t, "permit")
	taken := m.out[i]
	m.out = slices.Delete(m.out, i, i+1)
	return taken, true
}

// Succeed ends a call well.
func (m *circuitMachine) Succeed(t *rapid.T) {
	p, ok := m.take(t)
	if !ok {
		return
	}
	p.Done(Success, "")
	p.Done(Failure, "again") // does nothing
	if p.generation != m.model.generation {
		return
	}
	m.model.inARow, m.model.tripWait = 0, 0
	m.model.answer(p.number)
	m.model.record(false)
	if p.probe {
		m.model.turn(jobs.CircuitClosed)
	}
}

// Fail ends a call badly.
func (m *circuitMachine) Fail(t *rapid.T) {
	p, ok := m.take(t)
	if !ok {
		return
	}
	now := m.clock.now()
	p.Done(Failure, "dead")
	switch {
	case p.generation != m.model.generation:
	case p.probe:
		want := min(max(now.Sub(m.model.downSince)/20, time.Second), time.Minute)
		got := m.circuit.Snapshot().CooldownUntil
		if !got.Equal(m.model.cooldown) && (got.Before(now.Add(want*9/10-1)) || got.After(now.Add(want*11/10+1))) {
			t.Fatalf("a failed probe waits %s, want about %s", got.Sub(now), want)
		}
		if got.Before(now.Add(want*9/10 - 1)) {
			t.Fatalf("a failed probe waits %s only", got.Sub(now))
		}
		m.model.open(now, got.Sub(now))
	default:
		if m.model.fail(p.number) {
			m.model.open(now, time.Second)
		}
	}
}

// Forget ends a call that told nothing.
func (m *circuitMachine) Forget(t *rapid.T) {
	p, ok := m.take(t)
	if !ok {
		return
	}
	p.Done(Neutral, "")
	if p.probe && p.generation == m.model.generation {
		m.model.probe = false
	}
}

// Trip ends a call that met the refusal of an account.
func (m *circuitMachine) Trip(t *rapid.T) {
	p, ok := m.take(t)
	if !ok {
		return
	}
	hint := time.Duration(rapid.SampledFrom([]int{0, 0, 1, 600}).Draw(t, "hint")) * time.Second
	_, first := p.trip(noMoney(hint))
	if first != (p.generation == m.model.generation) {
		t.Fatalf("the first refusal: %v", first)
	}
	if !first {
		return
	}
	if hint == 0 || p.probe {
		m.model.tripWait = min(max(2*m.model.tripWait, time.Minute), time.Hour)
		hint = max(hint, m.model.tripWait)
	}
	m.model.open(m.clock.now(), hint)
}

// Follow hears of the refusal of an account at another target.
func (m *circuitMachine) Follow(t *rapid.T) {
	wait := time.Duration(rapid.IntRange(0, 90).Draw(t, "seconds")) * time.Second
	m.circuit.follow(tripped{until: m.clock.now().Add(wait)}, "no money elsewhere")
	m.model.open(m.clock.now(), wait)
}

// Cool hears that the target wants to be left alone.
func (m *circuitMachine) Cool(t *rapid.T) {
	until := m.clock.now().Add(time.Duration(rapid.IntRange(-5, 90).Draw(t, "seconds")) * time.Second)
	m.circuit.Cool(until, "slow down")
	m.model.cool(until)
}

// Pass lets time pass.
func (m *circuitMachine) Pass(t *rapid.T) {
	m.clock.pass(time.Duration(rapid.SampledFrom([]int{1, 500, 1000, 60_000, 3_600_000}).Draw(t, "ms")) * time.Millisecond)
}

// Check compares all that can be seen, after every step.
func (m *circuitMachine) Check(t *rapid.T) {
	now, got := m.clock.now(), m.circuit.Snapshot()
	if got.State != m.model.state || m.circuit.epoch != m.model.generation {
		t.Fatalf("%s in epoch %d, want %s in %d", got.State, m.circuit.epoch, m.model.state, m.model.generation)
	}
	if !got.CooldownUntil.Equal(m.model.cooldown) {
		t.Fatalf("cools until %s, want %s", got.CooldownUntil, m.model.cooldown)
	}
	want := Shut
	if m.model.mayCall(now) {
		want = ProbeReady
		if m.model.state == jobs.CircuitClosed {
			want = Flowing
		}
	}
	if ready, until, reason := m.circuit.Ready(); ready != want || (reason == "") != (ready != Shut) || !until.IsZero() && !until.After(now) {
		t.Fatalf("ready %d until %s (%q), want %d", ready, until, reason, want)
	}
	probes := 0
	for _, p := range m.out {
		if p.probe && p.generation == m.model.generation {
			probes++
		}
	}
	if probes > 1 || probes == 1 != m.model.probe && m.model.state == jobs.CircuitHalfOpen {
		t.Fatalf("%d probes are out", probes)
	}
}
