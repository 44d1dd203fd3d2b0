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
