package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tidegate/jobs"
	"tidegate/store"
)

// soonEnough is how far apart two times may be that travelled as durations.
const soonEnough = 2 * time.Second

func (w *world) save(worker string, circuits ...jobs.Circuit) {
	w.t.Helper()
	if err := w.ShareCircuits(w.t.Context(), worker, circuits); err != nil {
		w.t.Fatal(err)
	}
}

// circuit is the one of target "a", as the fleet knows it.
func (w *world) circuit() jobs.Circuit {
	w.t.Helper()
	circuits, err := w.Circuits(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range circuits {
		if c.Target == "a" {
			return c
		}
	}
	w.t.Fatal("nobody knows the circuit of a")
	return jobs.Circuit{}
}

func (w *world) beat(workers ...string) {
	w.t.Helper()
	for _, name := range workers {
		if _, err := w.Beat(w.t.Context(), jobs.Beat{Worker: name}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) kill(worker string) {
	w.t.Helper()
	w.beat(worker)
	w.exec("UPDATE tidegate.workers SET dead_at = now() WHERE id = $1", worker)
}

func open(generation uint64, reason string, cooldown time.Duration) jobs.Circuit {
	now := time.Now()
	return jobs.Circuit{
		Target: "a", State: jobs.CircuitOpen, Generation: generation, Reason: reason, Since: now, DownSince: now, CooldownUntil: now.Add(cooldown),
	}
}

func closed(generation uint64) jobs.Circuit {
	return jobs.Circuit{Target: "a", State: jobs.CircuitClosed, Generation: generation, Reason: "a probe was answered", Since: time.Now()}
}

func near(t *testing.T, what string, got time.Time, in time.Duration) {
	t.Helper()
	if d := time.Until(got) - in; d < -soonEnough || d > soonEnough {
		t.Errorf("%s is in %s, not in %s", what, time.Until(got), in)
	}
}

func expect(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, not %v", what, got, want)
	}
}

func TestCircuitsAreListedAsTheyWereShared(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := time.Now()
	a := jobs.Circuit{
		Target: "a", Region: "eu", State: jobs.CircuitOpen, Generation: 7, Reason: "5 failures in a row", Since: at, DownSince: at,
		CooldownUntil: at.Add(time.Minute), TripWait: time.Minute,
	}
	b := jobs.Circuit{Target: "b", State: jobs.CircuitClosed, Generation: 1, Since: at}
	w.save("one", b, jobs.Circuit{Target: "a", State: jobs.CircuitClosed, Since: at})
	w.save("one", a)
	got, err := w.Circuits(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]jobs.Circuit{a, b}, got, cmpopts.EquateApproxTime(soonEnough)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheFirstOfTwoTripsStands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.save("one", closed(3))
	w.save("one", open(4, "first", time.Minute))
	w.save("two", open(4, "second", 3*time.Minute))
	got := w.circuit()
	expect(t, "it stands at", []any{got.State, got.Generation, got.Reason}, []any{"open", 4, "first"})
	near(t, "the later cooldown", got.CooldownUntil, 3*time.Minute)
	w.save("three", open(4, "third", time.Second))
	near(t, "the cooldown after an earlier one", w.circuit().CooldownUntil, 3*time.Minute)
}

func TestTwoWorkersTripAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const targets, rounds = 60, 60
	var parts sync.WaitGroup
	for i := range 2 {
		parts.Go(func() {
			for generation := range uint64(rounds) {
				var circuits []jobs.Circuit
				for _, n := range rand.Perm(targets) { // each in another order
					c := open(generation, fmt.Sprint("worker ", i), time.Minute)
					c.Target = fmt.Sprint("target-", n)
					circuits = append(circuits, c)
				}
				if err := w.ShareCircuits(t.Context(), fmt.Sprint("worker-", i), circuits); err != nil {
					t.Error(err)
				}
			}
		})
	}
	parts.Wait()
	if n := w.number("SELECT count(*) FROM tidegate.circuits WHERE generation = $1", rounds-1); n != targets {
		t.Errorf("%d of %d circuits are at the last generation", n, targets)
	}
}

func TestStaleSaveChangesNothingButALaterCooldown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.save("one", open(5, "down", time.Second))
	stale := closed(4)
	w.save("two", stale)
	got := w.circuit()
	expect(t, "it stands at", []any{got.State, got.Generation, got.Reason}, []any{"open", 5, "down"})
	stale.CooldownUntil = time.Now().Add(time.Hour)
	w.save("two", stale)
	got = w.circuit()
	expect(t, "after a stale cooldown", []any{got.State, got.Generation, got.Reason}, []any{"open", 5, "down"})
	near(t, "the cooldown", got.CooldownUntil, time.Hour)
	w.save("one", closed(6))
	near(t, "the cooldown of a closed circuit", w.circuit().CooldownUntil, time.Hour)
}

func TestLocalAndDeadAreNotHeard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.save("one", closed(1))
	local := open(2, "dial", time.Hour)
	local.Local = true
	w.save("one", local)
	w.kill("gone")
	w.save("gone", open(9, "late", time.Hour))
	got := w.circuit()
	expect(t, "it stands at", []any{got.State, got.Generation, got.CooldownUntil.IsZero()}, []any{"closed", 1, true})
}

func TestCircuitKeepsWhatAWorkerNeedsToGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := open(2, "no money", time.Hour)
	c.TripWait, c.DownSince = 4*time.Minute, time.Now().Add(-time.Hour)
	w.save("one", c)
	got := w.circuit()
	expect(t, "the doubling wait", got.TripWait, 4*time.Minute)
	near(t, "when it left closed", got.DownSince, -time.Hour)
	w.save("one", closed(3))
	got = w.circuit()
	expect(t, "closed", []any{got.TripWait, got.DownSince.IsZero()}, []any{time.Duration(0), true})
}

func (w *world) set(state jobs.CircuitState, d time.Duration) {
	w.t.Helper()
	if err := w.SetCircuit(w.t.Context(), "a", state, d, "said so"); err != nil {
		w.t.Fatal(err)
	}
}

func TestAPersonsWord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.save("one", open(1, "down", time.Hour))
	w.set(jobs.CircuitClosed, 0)
	got := w.circuit()
	expect(t, "closed", []any{got.State, got.Generation, got.Person, got.CooldownUntil.IsZero(), got.Reason}, []any{"closed", 2, true, true, "said so"})
	w.save("one", open(1, "stale", time.Hour)) // who has not heard it cannot undo it
	w.save("one", open(2, "at once", time.Hour))
	got = w.circuit()
	expect(t, "after stale words", []any{got.State, got.Generation, got.CooldownUntil.IsZero()}, []any{"closed", 2, true})
	heard := closed(2)
	heard.Person, heard.CooldownUntil = true, time.Now().Add(time.Minute)
	w.save("one", heard) // a 429 after it
	near(t, "the cooldown of one who has heard", w.circuit().CooldownUntil, time.Minute)
	w.set(jobs.CircuitOpen, 10*time.Second)
	near(t, "a shorter cooldown by a person", w.circuit().CooldownUntil, 10*time.Second)
	w.set(jobs.CircuitOpen, 0)
	if until := time.Until(w.circuit().CooldownUntil); until < 99*365*24*time.Hour {
		t.Errorf("for good is %s", until)
	}
	if got = w.circuit(); !got.UntilClosed(time.Now()) {
		t.Errorf("for good is %s", got.CooldownUntil)
	}
	w.set(jobs.CircuitOpen, jobs.LongestCooldown)
	if got = w.circuit(); got.UntilClosed(time.Now()) {
		t.Errorf("a year is %s", got.CooldownUntil)
	}
	w.set(jobs.CircuitOpen, 0)
	w.save("one", open(7, "no money", time.Second)) // it is still open in the next generation
	if until := time.Until(w.circuit().CooldownUntil); until < 99*365*24*time.Hour {
		t.Errorf("a worker shortened it to %s", until)
	}
	if err := w.SetCircuit(t.Context(), "nobody", jobs.CircuitOpen, 0, ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of an unknown target it says %v", err)
	}
	if w.SetCircuit(t.Context(), "a", jobs.CircuitHalfOpen, 0, "") == nil || w.SetCircuit(t.Context(), "a", jobs.CircuitOpen, -1, "") == nil {
		t.Error("it took what makes no sense")
	}
}

func (w *world) retries(want bool) {
	w.t.Helper()
	retried, err := w.RetryCircuits(w.t.Context(), []string{"nobody", "a"}, "another key")
	if err != nil || slices.Equal(retried, []string{"a"}) != want {
		w.t.Errorf("retried: %v, %v", retried, err)
	}
}

// Whoever is configured anew is due for a probe, but for what a person opened.
func TestRetryOfCircuits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("one", "two")
	w.retries(false)
	w.save("one", closed(1))
	w.retries(false)
	trip := open(2, "wrong key", time.Hour)
	trip.TripWait, trip.DownSince = time.Hour, time.Now().Add(-time.Hour)
	w.save("one", trip)
	w.retries(true)
	got := w.circuit()
	expect(t, "due", []any{got.State, got.Generation, got.Person, got.CooldownUntil.IsZero(), got.TripWait, got.Reason}, []any{"open", 3, true, true, time.Duration(0), "another key"})
	near(t, "when it left closed", got.DownSince, -time.Hour)
	w.save("one", open(2, "stale", time.Hour)) // of before
	expect(t, "its probe is taken", w.take("two", 3), true)
	w.retries(false) // another worker takes the same configuration: the probe goes on
	expect(t, "whose probe it is", w.circuit().Prober, "two")
	w.save("two", open(4, "wrong key", time.Minute))
	expect(t, "of the old key", w.circuit().Person, false)
	w.retries(true)
	w.save("one", closed(6))
	cools := closed(6)
	cools.CooldownUntil = time.Now().Add(time.Hour)
	w.save("one", cools)
	w.retries(true)
	got = w.circuit()
	expect(t, "what cooled down", []any{got.State, got.Generation, got.CooldownUntil.IsZero()}, []any{"open", 7, true})
	w.set(jobs.CircuitOpen, 0)
	w.retries(false)
	expect(t, "of a person", w.circuit().Generation, 8)
}

func (w *world) take(worker string, generation uint64) bool {
	w.t.Helper()
	yes, err := w.TakeProbe(w.t.Context(), worker, "a", generation)
	if err != nil {
		w.t.Error(err)
	}
	return yes
}

func TestOneOfManyTakesTheProbe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.save("one", open(1, "down", -time.Second))
	var taken atomic.Int32
	var parts sync.WaitGroup
	for i := range 50 {
		w.beat(fmt.Sprint("worker-", i))
		parts.Go(func() {
			if w.take(fmt.Sprint("worker-", i), 1) {
				taken.Add(1)
			}
		})
	}
	parts.Wait()
	if n := taken.Load(); n != 1 {
		t.Errorf("%d have the probe", n)
	}
}

func TestWhoMayProbe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("one", "two", "three", "four", "five")
	w.save("one", open(1, "down", time.Hour))
	expect(t, "while it cools down", w.take("one", 1), false)
	w.exec("UPDATE tidegate.circuits SET cooldown_until = now()")
	expect(t, "of another generation", w.take("one", 2), false)
	expect(t, "now", w.take("one", 1), true)
	expect(t, "once more", w.take("one", 1), true)
	expect(t, "another", w.take("two", 1), false)
	half := open(1, "down", 0)
	half.State = jobs.CircuitHalfOpen
	w.save("two", half)
	expect(t, "half-open by another", w.circuit().State, "open")
	w.save("one", half)
	expect(t, "half-open by its prober", w.circuit().State, "half-open")
	if err := w.FreeProbe(t.Context(), "two", "a"); err != nil || w.circuit().Prober != "one" {
		t.Errorf("another freed it: %v", err)
	}
	if err := w.FreeProbe(t.Context(), "one", "a"); err != nil || w.circuit().Prober != "" || w.circuit().State != jobs.CircuitOpen {
		t.Errorf("freed, it stands at %+v: %v", w.circuit(), err)
	}
	expect(t, "then another", w.take("two", 1), true)
	w.save("one", open(2, "no money", 0))
	expect(t, "prober after another moved it on", w.circuit().Prober, "two")
	w.save("two", open(3, "the probe failed", 0))
	expect(t, "prober after it moved it on", w.circuit().Prober, "")
	w.kill("two")
	expect(t, "one that is dead", w.take("two", 3), false)
	expect(t, "before it dies", w.take("three", 3), true)
	w.kill("three")
	expect(t, "of a dead prober", w.take("four", 3), true)
	if err := w.Leave(t.Context(), "four"); err != nil {
		t.Fatal(err)
	}
	expect(t, "one that has left", w.take("four", 3), false)
	w.exec("UPDATE tidegate.circuits SET prober = 'four'") // it was taken just while it left
	expect(t, "of a prober that has left", w.take("five", 3), true)
	w.save("five", closed(4))
	expect(t, "prober of a closed circuit", w.circuit().Prober, "")
	expect(t, "of a closed circuit", w.take("five", 4), false)
}
