package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
)

// A drill sees a circuit open and close twice, its route hold and its queue
// paused, and adds up how long that was.
func TestDrillWatchAddsUp(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	var said []string
	w := &drillWatch{target: "a", routes: map[string]*routeWatch{"r": {chain: []string{"a"}}, "s": {chain: []string{"a", "b"}}}}
	closed := jobs.Circuit{Target: "a", State: jobs.CircuitClosed, Since: at(-100)}
	open := jobs.Circuit{Target: "a", State: jobs.CircuitOpen, Since: at(1), DownSince: at(1), Reason: "503"}
	half := open
	half.State = jobs.CircuitHalfOpen
	mended := jobs.Circuit{Target: "a", State: jobs.CircuitClosed, Since: at(9), Reason: "answered"}
	other := jobs.Circuit{Target: "b", State: jobs.CircuitClosed}
	pause := []jobs.Pause{{Route: "r", Owner: jobs.OwnerCircuit, Reason: "a is open"}, {Route: "s", Owner: jobs.OwnerPerson}}
	w.begin(jobs.Fleet{Circuits: []jobs.Circuit{closed, other}, Pauses: pause[1:]})
	w.seen = at(0)
	w.say = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	again := jobs.Circuit{Target: "a", State: jobs.CircuitOpen, Since: at(10), DownSince: at(10), Reason: "500"}
	done := jobs.Circuit{Target: "a", State: jobs.CircuitClosed, Since: at(12), Reason: "answered"}
	for _, look := range []struct {
		second  int
		circuit jobs.Circuit
		pauses  []jobs.Pause
	}{
		{1, closed, pause[1:]}, {2, open, pause[1:]}, {5, open, pause}, {7, half, pause}, {9, mended, pause[1:]}, {11, again, pause[1:]}, {13, done, pause[1:]},
	} {
		w.look(jobs.Fleet{Circuits: []jobs.Circuit{look.circuit, other}, Pauses: look.pauses}, at(look.second))
	}
	r, s := w.routes["r"], w.routes["s"]
	if w.openings != 2 || w.open || !w.opened.Equal(at(1)) || !w.closed.Equal(at(12)) {
		t.Errorf("the circuit: %d openings, open %v, from %s to %s", w.openings, w.open, w.opened, w.closed)
	}
	if r.held != 5*time.Second || r.still != 2*time.Second || r.pauses != 1 {
		t.Errorf("r held for %s, was paused for %s, %d times", r.held, r.still, r.pauses)
	}
	if s.held != 0 || s.still != 0 || s.pauses != 0 {
		t.Errorf("s has another target, and a person's pause: %+v", s)
	}
	want := []string{
		"a is open: 503", "r holds: a is open: 503", "r is paused: a is open", "a is closed: answered", "r flows", "r is resumed",
		"a is open: 500", "r holds: a is open: 500", "a is closed: answered", "r flows",
	}
	if !slices.Equal(said, want) {
		t.Errorf("it said\n%s", strings.Join(said, "\n"))
	}
}

// What was so before the drill is not the drill's doing.
func TestDrillWatchBeginsWithWhatIs(t *testing.T) {
	t.Parallel()
	w := &drillWatch{target: "a", routes: map[string]*routeWatch{"r": {chain: []string{"a"}}}}
	fleet := jobs.Fleet{
		Circuits: []jobs.Circuit{{Target: "a", State: jobs.CircuitOpen, DownSince: time.Now()}},
		Pauses:   []jobs.Pause{{Route: "r", Owner: jobs.OwnerCircuit}},
	}
	w.begin(fleet)
	w.look(fleet, w.seen.Add(time.Second))
	if r := w.routes["r"]; w.openings != 0 || !w.opened.IsZero() || r.pauses != 0 || r.held != time.Second || r.still != time.Second {
		t.Errorf("%+v, %+v", w, r)
	}
}

func TestDrillNoticesItsEnd(t *testing.T) {
	t.Parallel()
	seen := time.Now()
	at := func(d time.Duration) time.Time { return seen.Add(d) }
	for name, c := range map[string]struct {
		closed time.Time
		open   bool
		want   float64 // seconds; below zero: not seen
	}{
		"it never opened":               {time.Time{}, false, -1},
		"it is open still":              {at(-time.Second), true, -1},
		"it closed while the drill ran": {at(-time.Second), false, -1},
		"before the end was seen":       {at(100 * time.Millisecond), false, 0},
		"afterwards":                    {at(1250 * time.Millisecond), false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &drill{seen: seen, ended: at(250 * time.Millisecond), watch: drillWatch{open: c.open, closed: c.closed}}
			if got := d.noticed(); (got == nil) != (c.want < 0) || got != nil && *got != c.want {
				t.Errorf("it was noticed after %v", got)
			}
		})
	}
}

func TestDrillReportSaysWhatItDidNotSee(t *testing.T) {
	t.Parallel()
	second := 1.5
	for name, c := range map[string]struct {
		report drillReport
		says   []string
		fails  bool
	}{
		"nothing happened": {drillReport{Target: "a"}, []string{"circuit opened", "it did not", "not seen", "Nobody called a meanwhile"}, false},
		"all happened": {
			drillReport{Target: "a", Calls: 5, Probes: 1, Failed: 6, Openings: 2, OpenedAfterS: &second, NoticedAfterS: &second, DrainedAfterS: &second},
			[]string{"5, and 1 probe; 6 of them", "after 1.5 s", "1 times", "1.5 s after the end"},
			false,
		},
		"it cost a job":     {drillReport{Target: "a", Calls: 1, Lost: 1}, []string{"lost"}, true},
		"it cost a attempt": {drillReport{Target: "a", Calls: 1, AttemptsBurned: 2}, []string{"burned"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			if err := c.report.write(&text); err != nil {
				t.Fatal(err)
			}
			for _, words := range c.says {
				if !strings.Contains(text.String(), words) {
					t.Errorf("it does not say %q:\n%s", words, text.String())
				}
			}
			if err := c.report.verdict(); (err != nil) != c.fails {
				t.Errorf("the verdict is %v", err)
			}
		})
	}
}
