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

// A call that was made for a request, as a fleet makes it.
type made struct {
	route           string
	came, at, takes time.Duration
}

// worked is what a fleet of so many places makes of requests, each called once.
func worked(route string, came []time.Duration, places int, takes, pickup, turn time.Duration) (calls []made) {
	free := make([]time.Duration, places)
	for n, at := range came {
		place := 0
		for i := range free {
			if free[i] < free[place] {
				place = i
			}
		}
		// Calls take not quite equally long, and no whole milliseconds.
		call := made{route, at, max(at+pickup, free[place]), takes + time.Duration(n*7919%1000)*takes/5000 + time.Duration(n*31%1000)*time.Microsecond}
		free[place] = call.at + call.takes + turn
		calls = append(calls, call)
	}
	return calls
}

// steps are times, from one on.
func steps(n int, from, every time.Duration) (at []time.Duration) {
	for i := range n {
		at = append(at, from+time.Duration(i)*every)
	}
	return at
}

// Places are of a route; a turn may be shorter than what a log tells apart; and a place
// that is gone, or that a request that came back has taken, is not waited for.
func TestTimeBesideCallsIsOfPlacesThatThereAre(t *testing.T) {
	t.Parallel()
	const pickup, turn = 20 * time.Millisecond, 50 * time.Millisecond
	backlog := func(from time.Duration, places int) []made {
		return worked("r", steps(400, from, 200*time.Millisecond), places, 4*time.Second, pickup, turn)
	}
	for _, is := range []struct {
		name  string
		calls []made
		back  int // requests that came back after a minute, in an outage before
		want  beside
	}{
		{name: "quick turns", calls: worked("r", make([]time.Duration, 400), 4, 5*time.Second, pickup, 300*time.Microsecond), want: beside{turn: 300 * time.Microsecond}},
		{name: "two routes", calls: append(worked("a", make([]time.Duration, 400), 4, 4*time.Second, pickup, turn), worked("b", steps(400, 0, 300*time.Millisecond), 4, 30*time.Millisecond, pickup, turn)...), want: beside{pickup, turn}},
		{name: "a fleet that shrinks", calls: append(worked("r", make([]time.Duration, 100), 16, 4*time.Second, pickup, turn), append(backlog(time.Hour, 4), backlog(2*time.Hour, 4)...)...), want: beside{turn: turn}},
		{name: "requests that came back", calls: backlog(time.Hour, 1), back: 50, want: beside{turn: turn}},
	} {
		b := NewBuilder(0)
		add := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		for i := range is.back {
			at := day.Add(time.Duration(i) * 2 * time.Second)
			again := at.Add(time.Minute + 500*time.Millisecond)
			add(b.Add(Request{At: at, Route: "r"}, Attempt{At: at.Add(pickup), Target: "a", Class: jobs.Overload, Latency: 10 * time.Millisecond}, Attempt{At: again, Target: "a", Class: jobs.OK, Latency: turn}))
		}
		for _, c := range is.calls {
			add(b.Add(Request{At: day.Add(c.came), Route: c.route}, Attempt{At: day.Add(c.at), Target: "a", Class: jobs.OK, Latency: c.takes}))
		}
		log, err := b.Log()
		add(err)
		got := log.beside()
		near := func(got, want time.Duration) bool {
			return got > want-2*time.Millisecond && got < want+2*time.Millisecond
		}
		if is.back > 0 { // those were picked up as they came
			got.pickup -= pickup
		}
		if !near(got.pickup, is.want.pickup) || !near(got.turn, is.want.turn) {
			t.Errorf("%s: %+v, want %+v", is.name, got, is.want)
		}
	}
}
