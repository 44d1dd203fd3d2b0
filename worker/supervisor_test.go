package worker

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/jobs"
)

// supervising runs a supervisor on a village until the returned function is
// called.
func (v *village) supervising(t *testing.T) (stop func()) {
	t.Helper()
	s := newSupervisor(v.alone(&breakers{}), nil, func() {})
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { s.Run(ctx) })
	return func() { cancel(); run.Wait() }
}

func (v *village) mustDo(t *testing.T, want ...string) {
	t.Helper()
	if got := v.did(); !slices.Equal(got, want) {
		t.Errorf("it did %q, want %q", got, want)
	}
}

// A route that holds is paused after 5 s, and resumed as soon as it flows. What a
// person pauses is not the supervisor's.
func TestSupervisorPausesWhatHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVillage()
		v.fleet.Chains = map[string][]string{"r": {"a"}}
		v.fleet.Pauses = []jobs.Pause{{Route: "r", Owner: jobs.OwnerPerson}}
		defer v.supervising(t)()
		after(1500 * time.Millisecond)
		v.mustDo(t, "forget")
		v.change(func() { v.fleet.Circuits = []jobs.Circuit{openFor(time.Hour)} })
		after(4 * time.Second) // a first look, and less than 5 s since
		v.mustDo(t)
		after(2 * time.Second)
		v.mustDo(t, "pause r")
		v.change(func() {
			v.fleet.Pauses = append(v.fleet.Pauses, jobs.Pause{Route: "r", Owner: jobs.OwnerCircuit})
			v.fleet.Circuits = []jobs.Circuit{closedNow}
		})
		after(time.Second)
		v.mustDo(t, "resume r")
		v.change(func() { v.fleet.Pauses = v.fleet.Pauses[:1] })
		after(10 * time.Second)
		v.mustDo(t)
	})
}

// A pause says why it goes on, and a probe that is out changes nothing of that.
func TestSupervisorKeepsReasonsRight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVillage()
		v.fleet.Chains = map[string][]string{"r": {"a"}}
		stands := func(state jobs.CircuitState, reason string) {
			v.change(func() {
				v.fleet.Circuits = []jobs.Circuit{{Target: "a", State: state, Reason: reason, DownSince: time.Now()}}
			})
			after(3 * time.Second)
		}
		paused := func(reason string) {
			v.change(func() {
				v.fleet.Pauses = []jobs.Pause{{Route: "r", Owner: jobs.OwnerCircuit, Reason: reason}, {Route: "r", Owner: jobs.OwnerPerson, Reason: "lunch"}}
			})
		}
		paused("a is open: 503")
		defer v.supervising(t)()
		stands(jobs.CircuitOpen, "503")
		v.mustDo(t, "forget")
		stands(jobs.CircuitHalfOpen, "503")
		stands(jobs.CircuitOpen, "503")
		v.mustDo(t)
		v.change(func() {
			v.fleet.Circuits = []jobs.Circuit{{Target: "a", State: jobs.CircuitHalfOpen, Reason: "maintenance"}}
		})
		after(time.Second)
		v.mustDo(t, "explain r: a is open: maintenance")
		paused("a is open: maintenance")
		stands(jobs.CircuitHalfOpen, "maintenance")
		v.mustDo(t)
		paused("a is half-open: maintenance") // as earlier versions wrote it
		after(time.Second)
		v.mustDo(t, "explain r: a is open: maintenance")
	})
}

// A gate that flows for a moment in between has not held for 5 s.
func TestSupervisorCountsAHoldAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVillage()
		v.fleet.Chains = map[string][]string{"r": {"a"}}
		defer v.supervising(t)()
		for range 3 {
			v.change(func() { v.fleet.Circuits = []jobs.Circuit{openFor(time.Hour)} })
			after(4 * time.Second)
			v.change(func() { v.fleet.Circuits = []jobs.Circuit{closedNow} })
			after(time.Second)
		}
		v.mustDo(t, "forget")
	})
}

// The circuits' pause of a route that was retired meanwhile does not stay for ever.
func TestSupervisorResumesWhatIsRetired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVillage()
		v.fleet.Pauses = []jobs.Pause{{Route: "gone", Owner: jobs.OwnerCircuit}, {Route: "theirs", Owner: jobs.OwnerPerson}}
		defer v.supervising(t)()
		after(1500 * time.Millisecond)
		v.mustDo(t, "resume gone", "forget")
	})
}

// A supervisor that was deposed does nothing more, and starts anew when it leads
// again: it buries nobody whom it did not see stand still since.
func TestSupervisorThatIsDeposed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVillage()
		v.fleet.Peers = []jobs.Peer{{Beat: jobs.Beat{Worker: "one"}, Beats: 1}, {Beat: jobs.Beat{Worker: "two"}, Beats: 1}}
		stop := v.supervising(t)
		after(9500 * time.Millisecond)
		v.mustDo(t, "forget")
		v.change(func() { v.lead = jobs.Lead{Worker: "two", Epoch: 2} })
		after(time.Minute)
		v.mustDo(t)
		v.change(func() { v.lead = jobs.Lead{Worker: "", Epoch: 2} })
		after(10 * time.Second) // a first round, and 9 s
		v.mustDo(t, "forget")
		after(2 * time.Second)
		v.mustDo(t, "rescue two")
		stop()
		v.mustDo(t, "resign")
	})
}

// The highest rates that targets took are written down when they grow, and once a
// minute; those of the dead are nobody's.
func TestSupervisorKeepsRates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVillage()
		v.fleet.Peers = []jobs.Peer{
			{Beat: jobs.Beat{Worker: "one", Accepted: map[string]float64{"a": 10}, Announced: map[string]float64{"b": 8}}},
			{Beat: jobs.Beat{Worker: "gone", Accepted: map[string]float64{"a": 99}}, Dead: true},
		}
		defer v.supervising(t)()
		after(1500 * time.Millisecond)
		if v.rates["a"] != 10 || v.rates["b"] != 8 {
			t.Errorf("it keeps %v", v.rates)
		}
		v.did()
		v.change(func() { v.fleet.LastGood = map[string]float64{"a": 10, "b": 8} })
		after(10 * time.Second)
		v.mustDo(t)
		v.change(func() { v.fleet.Peers[0].Accepted = map[string]float64{"a": 12} })
		after(time.Second)
		v.mustDo(t, "save a")
	})
}
