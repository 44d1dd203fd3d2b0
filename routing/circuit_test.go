package routing

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"tidegate/jobs"
)

// aCircuit is closed, with the default thresholds, on a clock that stands.
func aCircuit(t testing.TB) (*Circuit, *clock) {
	t.Helper()
	clock := newClock()
	return newCircuit(&jobs.Target{Name: "a"}, Config{Now: clock.now}), clock
}

func acquire(t testing.TB, c *Circuit) *Permit {
	t.Helper()
	permit, ok := c.Acquire()
	if !ok {
		_, _, reason := c.Ready()
		t.Fatalf("no permit: %s", reason)
	}
	return &permit
}

func refuses(t testing.TB, c *Circuit) {
	t.Helper()
	if _, ok := c.Acquire(); ok {
		t.Fatalf("a permit, though the circuit is %+v", c.Snapshot())
	}
}

func isIn(t testing.TB, c *Circuit, want jobs.CircuitState) {
	t.Helper()
	if got := c.Snapshot(); got.State != want {
		t.Fatalf("the circuit is %s (%s), want %s", got.State, got.Reason, want)
	}
}

// opened opens a circuit by failures.
func opened(t testing.TB, c *Circuit) {
	t.Helper()
	for range jobs.DefaultThresholds.FailuresInARow {
		acquire(t, c).Done(Failure, "dead")
	}
	isIn(t, c, jobs.CircuitOpen)
}

func left(c *Circuit, clock *clock) time.Duration {
	return c.Snapshot().CooldownUntil.Sub(clock.now())
}

func TestCircuitOpensAfterFailuresInARow(t *testing.T) {
	t.Parallel()
	c, clock := aCircuit(t)
	for range 4 {
		acquire(t, c).Done(Failure, "dead")
	}
	isIn(t, c, jobs.CircuitClosed)
	acquire(t, c).Done(Success, "")
	for range 4 {
		acquire(t, c).Done(Failure, "dead")
	}
	isIn(t, c, jobs.CircuitClosed)
	acquire(t, c).Done(Failure, "dead")
	isIn(t, c, jobs.CircuitOpen)
	if got := left(c, clock); got != time.Second {
		t.Errorf("the first wait is %s, want 1s", got)
	}
	if got := c.Snapshot().Reason; got != "5 failures in a row: dead" {
		t.Errorf("the reason is %q", got)
	}
	refuses(t, c)
}

func TestCircuitOpensAtAFailureRate(t *testing.T) {
	t.Parallel()
	c, _ := aCircuit(t)
	for i := range 19 { // every second one: never two in a row
		acquire(t, c).Done([]Outcome{Failure, Success}[i%2], "flaky")
		if want := jobs.CircuitClosed; i < 18 {
			isIn(t, c, want)
		}
	}
	isIn(t, c, jobs.CircuitOpen) // 10 failures, though only 19 calls were made
	if got := c.Snapshot().Reason; got != "10 of the last 19 calls failed: flaky" {
		t.Errorf("the reason is %q", got)
	}
}

// A provider that dies goes on answering what it had begun: that is no word on
// those who come after.
func TestCircuitSeesADeathBehindLateAnswers(t *testing.T) {
	t.Parallel()
	c, _ := aCircuit(t)
	var before []*Permit
	for range 20 {
		before = append(before, acquire(t, c))
	}
	for i := range 4 {
		acquire(t, c).Done(Failure, "dead")
		before[i].Done(Success, "")
	}
	if got := c.Snapshot(); got.State != closed {
		t.Fatalf("after four failures it is %s", got.State)
	}
	acquire(t, c).Done(Failure, "dead")
	if got := c.Snapshot(); got.State != open {
		t.Errorf("after five failures of calls that began one after the other it is %s", got.State)
	}
}

// Failures are told sooner than answers: a few among many calls that are still
// out are no death.
func TestCircuitIsNotHurriedByQuickFailures(t *testing.T) {
	t.Parallel()
	c, _ := aCircuit(t)
	var out []*Permit
	for range 100 {
		for range 9 {
			out = append(out, acquire(t, c))
		}
		acquire(t, c).Done(Failure, "hiccup")
		if len(out) == 4*9 { // answers take longer than failures
			for _, permit := range out[:9] {
				permit.Done(Success, "")
			}
			out = out[9:]
		}
	}
	isIn(t, c, closed)
}

func TestCircuitForgetsCallsBeyondItsWindow(t *testing.T) {
	t.Parallel()
	c, _ := aCircuit(t)
	for i := range 5000 { // 9 of any 50 in a row, and one short
		acquire(t, c).Done(outcomeOf(i%50 < 18 && i%2 == 1), "flaky")
	}
	isIn(t, c, jobs.CircuitClosed)
}

func TestCircuitRateIsNotRoundedUp(t *testing.T) {
	t.Parallel()
	clock := newClock()
	limits := jobs.Thresholds{FailureRate: 0.07, Window: 100, FailuresInARow: 100}
	c := newCircuit(&jobs.Target{Name: "a", Circuit: limits}, Config{Now: clock.now})
	for range 6 {
		acquire(t, c).Done(Failure, "dead")
	}
	isIn(t, c, jobs.CircuitClosed)
	acquire(t, c).Done(Failure, "dead") // the 7th: 7% of 100
	isIn(t, c, jobs.CircuitOpen)
}

func TestCircuitAdmitsOneProbe(t *testing.T) {
	t.Parallel()
	c, clock := aCircuit(t)
	opened(t, c)
	clock.pass(time.Second - 1)
	refuses(t, c)
	clock.pass(1)
	if ready, _, _ := c.Ready(); ready != ProbeReady {
		t.Fatalf("ready is %d, want ProbeReady", ready)
	}
	isIn(t, c, jobs.CircuitOpen) // looking changes nothing
	probe := acquire(t, c)
	if !probe.Probe() {
		t.Error("the first call is not the probe")
	}
	isIn(t, c, jobs.CircuitHalfOpen)
	clock.pass(time.Hour)
	refuses(t, c)
	if ready, until, reason := c.Ready(); ready != Shut || !until.IsZero() || !strings.Contains(reason, "a probe is out") {
		t.Errorf("ready %d until %v: %q", ready, until, reason)
	}
	probe.Done(Success, "")
	isIn(t, c, jobs.CircuitClosed)
	if acquire(t, c).Probe() {
		t.Error("a call of a closed circuit is a probe")
	}
}

func TestCircuitWaitsATwentiethOfTheOutage(t *testing.T) {
	t.Parallel()
	c, clock := aCircuit(t)
	opened(t, c)
	began := clock.now()
	probes := 0
	for clock.now().Sub(began) < 3*time.Hour {
		clock.pass(left(c, clock))
		probe := acquire(t, c)
		clock.pass(100 * time.Millisecond) // the next wait counts from its end
		probe.Done(Failure, "still dead")
		outage := clock.now().Sub(began)
		want := min(max(outage/20, time.Second), time.Minute)
		if got := left(c, clock); got < want*9/10 || got > want*11/10 {
			t.Fatalf("after %s the wait is %s, want about %s", outage, got, want)
		}
		probes++
	}
	if probes < 200 || probes > 320 {
		t.Errorf("three hours took %d probes, want about 260", probes)
	}
	clock.pass(left(c, clock))
	acquire(t, c).Done(Success, "")
	opened(t, c)
	if got := left(c, clock); got != time.Second {
		t.Errorf("the first wait of the next outage is %s, want 1s", got)
	}
	clock.pass(time.Second)
	acquire(t, c).Done(Failure, "dead")
	if got := left(c, clock); got > probeWaitMin*11/10 {
		t.Errorf("its second wait is %s, as if the last outage went on", got)
	}
}

func TestCircuitFreesAProbeThatToldNothing(t *testing.T) {
	t.Parallel()
	c, clock := aCircuit(t)
	opened(t, c)
	clock.pass(time.Second)
	for range 3 {
		probe := acquire(t, c)
		refuses(t, c)
		probe.Done(Neutral, "")
		probe.Done(Success, "") // once is all that counts
		isIn(t, c, jobs.CircuitHalfOpen)
		if ready, _, _ := c.Ready(); ready != ProbeReady {
			t.Fatalf("ready is %d, want ProbeReady", ready)
		}
	}
	acquire(t, c).Done(Failure, "dead")
	isIn(t, c, jobs.CircuitOpen)
}

func TestCircuitIgnoresCallsFromBeforeItChanged(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]Outcome{"success": Success, "failure": Failure, "neutral": Neutral} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, clock := aCircuit(t)
			var old [40]*Permit
			for i := range old {
				old[i] = acquire(t, c)
			}
			opened(t, c)
			before := c.Snapshot()
			old[0].Done(outcome, "late")
			if got := c.Snapshot(); got != before {
				t.Fatalf("a late call changed the open circuit to %+v", got)
			}
			clock.pass(time.Second)
			probe := acquire(t, c)
			before = c.Snapshot()
			old[1].Done(outcome, "late")
			if got := c.Snapshot(); got != before {
				t.Fatalf("a late call changed the half-open circuit to %+v", got)
			}
			refuses(t, c) // nor does it free a second probe
			probe.Done(Success, "")
			before = c.Snapshot()
			for _, permit := range old[2:] {
				permit.Done(outcome, "late")
			}
			if got := c.Snapshot(); got != before {
				t.Fatalf("late calls changed the closed circuit to %+v", got)
			}
			if c.servedSince(before.Since.Add(-1)) {
				t.Error("a late call counts as served")
			}
		})
	}
}

// noMoney is a refusal of the account, with a hint.
func noMoney(retryAfter time.Duration) *jobs.Error {
	return &jobs.Error{Class: jobs.Quota, RetryAfter: retryAfter}
}

func TestCircuitIgnoresALateTrip(t *testing.T) {
	t.Parallel()
	c, clock := aCircuit(t)
	var old [10]*Permit
	for i := range old {
		old[i] = acquire(t, c)
	}
	if _, first := old[0].trip(noMoney(0)); !first {
		t.Fatal("the first refusal does not count")
	}
	for _, permit := range old[1:] { // one refusal, met by many
		if _, first := permit.trip(noMoney(0)); first {
			t.Fatal("a refusal counts twice")
		}
	}
	if got := left(c, clock); got != time.Minute {
		t.Errorf("the wait is %s, want 1m", got)
	}
	if got := c.Snapshot().Generation; got != 1 {
		t.Errorf("the generation is %d, want 1", got)
	}
}

func TestCircuitDoublesTheWaitOfATrip(t *testing.T) {
	t.Parallel()
	c, clock := aCircuit(t)
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		acquire(t, c).trip(noMoney(0))
		if got := left(c, clock); got != want*time.Minute {
			t.Fatalf("the wait is %s, want %d minutes", got, want)
		}
		clock.pass(left(c, clock))
	}
	acquire(t, c).Done(Success, "")
	acquire(t, c).trip(noMoney(0))
	if got := left(c, clock); got != time.Minute {
		t.Errorf("after a success the wait is %s, want 1m", got)
	}
}

func TestCircuitTripsForAsLongAsTheProviderSaid(t *testing.T) {
	t.Parallel()
	c, clock := aCircuit(t)
	acquire(t, c).trip(noMoney(10 * time.Hour))
	if got := left(c, clock); got != 10*time.Hour {
		t.Errorf("the wait is %s, want 10h", got)
	}
	clock.pass(10 * time.Hour)
	acquire(t, c).trip(noMoney(time.Second)) // it was not so
	if got := left(c, clock); got != time.Minute {
		t.Errorf("the wait after a refused probe is %s, want 1m", got)
	}
}

func TestCircuitTripsNoLongerThanUntilTheReset(t *testing.T) {
	t.Parallel()
	c, clock := aCircuit(t)
	untilReset := func(in time.Duration) *jobs.Error { return &jobs.Error{Class: jobs.DailyQuota, ResetsIn: in} }
	for _, want := range []time.Duration{1, 2, 4, 8} { // the reset is far off: it may be earlier than thought
		acquire(t, c).trip(untilReset(time.Hour))
		if got := left(c, clock); got != want*time.Minute {
			t.Fatalf("the wait is %s, want %d minutes", got, want)
		}
		clock.pass(left(c, clock))
	}
	acquire(t, c).trip(untilReset(10 * time.Minute))
	if got := left(c, clock); got != 10*time.Minute+resetGrace {
		t.Errorf("the wait is %s, want just past the reset", got)
	}
}

func TestCooldownHoldsInEveryStateAndOnlyGrows(t *testing.T) {
	t.Parallel()
	c, clock := aCircuit(t)
	c.Cool(clock.now().Add(time.Minute), "slow down")
	isIn(t, c, jobs.CircuitClosed)
	refuses(t, c)
	c.Cool(clock.now().Add(time.Second), "shorter")
	if got := left(c, clock); got != time.Minute {
		t.Errorf("the cooldown shrank to %s", got)
	}
	if _, _, reason := c.Ready(); reason != "cooling down: slow down" {
		t.Errorf("the reason is %q", reason)
	}
	clock.pass(time.Minute)
	opened(t, c)
	why := c.Snapshot().Reason
	c.Cool(clock.now().Add(time.Hour), "slow down")
	if got := c.Snapshot(); got.Reason != why || got.State != jobs.CircuitOpen {
		t.Errorf("a cooldown changed the open circuit to %+v", got)
	}
	clock.pass(time.Minute)
	refuses(t, c)
	clock.pass(time.Hour)
	probe := acquire(t, c)
	c.Cool(clock.now().Add(time.Minute), "slow down")
	probe.Done(Neutral, "")
	refuses(t, c) // half-open, and nobody probes
	clock.pass(time.Minute)
	probe = acquire(t, c)
	c.Cool(clock.now().Add(2*time.Minute), "slow down")
	probe.Done(Failure, "dead")
	if got := left(c, clock); got != 2*time.Minute {
		t.Errorf("a failed probe made the cooldown %s, want 2m", got)
	}
	clock.pass(2 * time.Minute)
	probe = acquire(t, c)
	c.Cool(clock.now().Add(time.Minute), "slow down")
	probe.Done(Success, "")
	isIn(t, c, jobs.CircuitClosed)
	refuses(t, c)
}

// A cooldown that begins between the two looks of Acquire holds, too.
func TestCooldownBeginsWhileSomebodyAcquires(t *testing.T) {
	t.Parallel()
	clock := newClock()
	var c *Circuit
	begins := false
	c = newCircuit(&jobs.Target{Name: "a"}, Config{Now: func() time.Time {
		if begins {
			begins = false
			c.Cool(clock.now().Add(time.Minute), "slow down")
		}
		return clock.now()
	}})
	begins = true
	refuses(t, c)
}

func TestCircuitReportsEveryChangeInOrder(t *testing.T) {
	t.Parallel()
	clock := newClock()
	var told []jobs.Circuit
	c := newCircuit(&jobs.Target{Name: "a", Region: "eu"}, Config{Now: clock.now, OnChange: func(c jobs.Circuit) { told = append(told, c) }})
	opened(t, c)
	clock.pass(time.Second)
	acquire(t, c).Done(Neutral, "")
	acquire(t, c).Done(Success, "")
	c.Cool(clock.now().Add(time.Second), "slow down")
	want := []jobs.CircuitState{jobs.CircuitOpen, jobs.CircuitHalfOpen, jobs.CircuitHalfOpen, jobs.CircuitClosed, jobs.CircuitClosed}
	if len(told) != len(want) {
		t.Fatalf("told of %d changes, want %d: %+v", len(told), len(want), told)
	}
	for i, c := range told {
		if c.State != want[i] || c.Target != "a" || c.Region != "eu" {
			t.Errorf("change %d is %+v, want %s", i, c, want[i])
		}
		if i > 0 && c.Generation < told[i-1].Generation {
			t.Errorf("change %d goes back to generation %d", i, c.Generation)
		}
	}
}

// What our circuit relies on, and failsafe-go could change.
func TestBreakerBehavesAsWeRelyOn(t *testing.T) {
	t.Parallel()
	build := func() circuitbreaker.CircuitBreaker[any] {
		return circuitbreaker.NewBuilder[any]().WithFailureThresholdRatio(3, 20).WithSuccessThreshold(1).WithDelay(never).Build()
	}
	t.Run("the ratio counts before the window is full", func(t *testing.T) {
		t.Parallel()
		b := build()
		b.RecordFailure()
		b.RecordSuccess()
		b.RecordFailure()
		if !b.IsClosed() {
			t.Fatal("opened too early")
		}
		b.RecordFailure()
		if !b.IsOpen() {
			t.Error("still closed after 3 failures of 4 calls")
		}
	})
	t.Run("it never becomes half-open by itself", func(t *testing.T) {
		t.Parallel()
		b := build()
		b.Open()
		if got := b.RemainingDelay(); got < math.MaxInt64-time.Minute {
			t.Errorf("it would become half-open in %s", got)
		}
		if b.TryAcquirePermit() || !b.IsOpen() {
			t.Error("an open breaker gave a permit")
		}
	})
	t.Run("half-open has one permit", func(t *testing.T) {
		t.Parallel()
		b := build()
		b.HalfOpen()
		if !b.TryAcquirePermit() || b.TryAcquirePermit() {
			t.Error("not exactly one permit")
		}
	})
}

func TestCircuitRefusesWithoutAllocating(t *testing.T) {
	c, clock := aCircuit(t)
	opened(t, c)
	refusing := func() {
		if _, ok := c.Acquire(); ok {
			t.Fatal("a permit")
		}
	}
	if n := testing.AllocsPerRun(100, refusing); n != 0 {
		t.Errorf("a refusal in a cooldown allocates %v times", n)
	}
	clock.pass(time.Second)
	acquire(t, c)
	if n := testing.AllocsPerRun(100, refusing); n != 0 {
		t.Errorf("a refusal beside a probe allocates %v times", n)
	}
}
