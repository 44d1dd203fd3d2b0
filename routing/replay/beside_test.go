package replay

import (
	"testing"
	"time"

	"tidegate/jobs"
)

// fleetLog is the log of a fleet with so many places, which takes a time to pick a request up
// and another one after each call.
func fleetLog(t *testing.T, came []time.Duration, places int, takes, pickup, turn time.Duration) *Log {
	t.Helper()
	b := NewBuilder(len(came))
	free := make([]time.Duration, places) // when each place may be taken
	for _, at := range came {
		place := 0
		for i := range free {
			if free[i] < free[place] {
				place = i
			}
		}
		begins := max(at+pickup, free[place])
		free[place] = begins + takes + turn
		call := Attempt{At: day.Add(begins), Target: "a", Class: jobs.OK, Latency: takes, Propensity: 1, Cost: 100, Usage: jobs.Usage{Input: 10, Output: 10}}
		if err := b.Add(Request{At: day.Add(at), Route: "r", Usage: jobs.Usage{Input: 10, Output: 10}}, call); err != nil {
			t.Fatal(err)
		}
	}
	log, err := b.Log()
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// What a fleet takes beside its calls is learned from their gaps, and a burst of quick calls
// takes as long in the replay as it took.
func TestTimeBesideCallsIsLearned(t *testing.T) {
	t.Parallel()
	const takes, pickup, turn = 30 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond
	burst, steady := make([]time.Duration, 400), make([]time.Duration, 400)
	for i := range steady {
		steady[i] = time.Duration(i) * 300 * time.Millisecond
	}
	for _, is := range []struct {
		name string
		came []time.Duration
		want beside
	}{
		{"steady", steady, beside{pickup: pickup}},
		{"burst", burst, beside{turn: turn}},
		{"few", burst[:besideLeast-1], beside{}},
	} {
		log := fleetLog(t, is.came, 4, takes, pickup, turn)
		if got := log.beside(); got != is.want {
			t.Errorf("%s: %+v, want %+v", is.name, got, is.want)
		}
		if is.want == (beside{}) {
			continue
		}
		policy := chainOf("a")
		policy.Slots = 4
		r := replayed(t, log, Options{Against: &policy}, policy)
		if s := r.Self; s.Latency < 0.98 || s.Latency > 1.02 {
			t.Errorf("%s: replayed against its own log, it takes %v times as long", is.name, s.Latency)
		}
	}
}

// Who fails over keeps its place, and an outage is no gap between calls.
func TestTimeBesideCallsIsOfPlaces(t *testing.T) {
	t.Parallel()
	b := NewBuilder(200)
	at := time.Duration(0)
	for i := range 200 {
		at += 100 * time.Millisecond
		if i == 100 {
			at += time.Hour // nobody was called for so long, and all of them wait
		}
		first := Attempt{At: day.Add(at), Target: "a", Class: jobs.Overload, Latency: 10 * time.Millisecond, Propensity: 1}
		next := Attempt{At: day.Add(at + 12*time.Millisecond), Target: "b", Class: jobs.OK, Latency: 50 * time.Millisecond, Propensity: 1}
		if err := b.Add(Request{At: day, Route: "r"}, first, next); err != nil {
			t.Fatal(err)
		}
	}
	log, err := b.Log()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := log.beside(), (beside{turn: 38 * time.Millisecond}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
