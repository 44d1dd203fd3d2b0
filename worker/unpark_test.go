package worker

import (
	"testing"
	"testing/synctest"
	"time"

	"tidegate/jobs"
)

// When a person changes a circuit, all that waits for its time is given back, and
// once more what was parked just then. What workers change gives nothing back.
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
		says(1, false, 0)
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
