package worker

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/jobs"
)

// When a person changes a circuit, all that waits for its time is given back, and
// once more what was parked just then. A circuit that opens by itself gives nothing back.
func TestSupervisorUnparksWhenAPersonSpeaks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVillage()
		defer v.supervising(t)()
		after(1500 * time.Millisecond)
		v.mustDo(t, "forget")
		v.change(func() { v.parked = 3 })
		says := func(generation uint64, person bool, ago time.Duration) {
			v.change(func() {
				v.fleet.Circuits = []jobs.Circuit{{
					Target: "a", State: jobs.CircuitClosed, Generation: generation, Person: person, Since: time.Now().Add(-ago),
				}}
			})
			after(2 * time.Second)
		}
		v.change(func() {
			v.fleet.Circuits = []jobs.Circuit{{Target: "a", State: jobs.CircuitOpen, Generation: 1, Since: time.Now()}}
		})
		after(2 * time.Second)
		v.mustDo(t)
		says(2, true, 0)
		v.mustDo(t, "unpark a", "unpark a", "unpark a")
		after(7 * time.Second)
		v.mustDo(t)
		v.change(func() { v.parked = 1 })
		after(3 * time.Second)
		v.mustDo(t, "unpark a", "unpark a")
		after(40 * time.Second)
		v.mustDo(t)
		says(3, true, 2*time.Minute)
		v.mustDo(t)
	})
}

// A circuit that closes by itself gives back what waits for it, a few first: should
// it open again, the others were left alone.
func TestSupervisorUnparksWhenACircuitCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVillage()
		defer v.supervising(t)()
		after(1500 * time.Millisecond)
		v.mustDo(t, "forget")
		is := func(state jobs.CircuitState, generation uint64) {
			v.change(func() {
				v.fleet.Circuits = []jobs.Circuit{{Target: "a", State: state, Generation: generation, Since: time.Now()}}
			})
		}
		v.change(func() { v.parked, v.many, v.fleet.LastGood = 10_000, true, map[string]float64{"a": 200} })
		is(jobs.CircuitOpen, 1)
		after(2 * time.Second)
		is(jobs.CircuitClosed, 2)
		after(2 * time.Second)
		is(jobs.CircuitOpen, 3)
		after(5 * time.Second)
		if given, want := v.given(), []int{1000, 2000}; !slices.Equal(given, want) {
			t.Errorf("in two seconds of a circuit that is closed, %v were given back, want %v", given, want)
		}
		is(jobs.CircuitClosed, 4)
		after(time.Minute)
		if given, want := v.given()[2:], []int{1000, 2000, 4000, 0, 0}; !slices.Equal(given, want) {
			t.Errorf("then %v, want %v", given, want)
		}
	})
}

// The end of a cooldown, of a circuit that is closed, is as a circuit that closes: who
// waits on the route for another target may go to this one. While it cools down, nobody
// is given back, also if it has just closed; and each cooldown ends once, also if its
// time is read a little differently each time.
func TestSupervisorUnparksWhenACooldownEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVillage()
		defer v.supervising(t)()
		after(1500 * time.Millisecond)
		v.mustDo(t, "forget")
		cools := func(generation uint64, closed time.Duration, d time.Duration) {
			v.change(func() {
				now := time.Now()
				v.fleet.Circuits = []jobs.Circuit{{
					Target: "a", State: jobs.CircuitClosed, Generation: generation, Since: now.Add(-closed), CooldownUntil: now.Add(d),
				}}
			})
		}
		v.change(func() { v.parked, v.many, v.fleet.LastGood = 10_000, true, map[string]float64{"a": 200} })
		cools(1, time.Hour, 5*time.Second)
		after(4 * time.Second)
		v.mustDo(t)
		after(2 * time.Second)
		if given, want := v.given(), []int{1000}; !slices.Equal(given, want) {
			t.Errorf("a second after its cooldown ended %v were given back, want %v", given, want)
		}
		cools(1, time.Hour, 20*time.Second)
		after(19 * time.Second)
		v.mustDo(t, "unpark a")
		after(2 * time.Second)
		if given, want := v.given()[1:], []int{1000}; !slices.Equal(given, want) {
			t.Errorf("after the next one %v, want %v", given, want)
		}
		v.change(func() { v.parked = 0 })
		for range 20 { // as by a clock that is corrected
			after(time.Second)
			v.change(func() {
				v.fleet.Circuits[0].CooldownUntil = v.fleet.Circuits[0].CooldownUntil.Add(40 * time.Millisecond)
			})
		}
		given := len(v.given())
		after(20 * time.Second)
		if again := len(v.given()) - given; again != 0 {
			t.Errorf("the same cooldown ended %d times more", again)
		}
		cools(2, 0, 10*time.Second) // the probe was answered with a 429
		after(9 * time.Second)
		if again := len(v.given()) - given; again != 0 {
			t.Errorf("%d looks while it cools down", again)
		}
		after(2 * time.Second)
		if again := len(v.given()) - given; again == 0 {
			t.Error("nobody was given back when that ended")
		}
	})
}
