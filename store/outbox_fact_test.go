package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

// facts says of events what they are about, in their order.
func facts(events []jobs.Event) []string {
	var said []string
	for _, e := range events {
		switch {
		case e.Circuit != nil:
			said = append(said, fmt.Sprintf("%s %s: %s", e.Circuit.Target, e.Circuit.State, e.Circuit.Reason))
		case e.Pause != nil && e.Pause.Resumed:
			said = append(said, fmt.Sprintf("%s: %s resumes, left %v", e.Pause.Route, e.Pause.Owner, e.Pause.PausedBy))
		case e.Pause != nil:
			said = append(said, fmt.Sprintf("%s: %s pauses (%s), by %v", e.Pause.Route, e.Pause.Owner, e.Pause.Reason, e.Pause.PausedBy))
		default:
			said = append(said, "something else")
		}
	}
	return said
}

// Open and closed are events, whoever says so. A probe that is out or failed, a
// cooldown and an old word are none.
func TestCircuitsOweTheirTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("one")
	half := open(2, "503", 0)
	half.State = jobs.CircuitHalfOpen
	w.save("one", closed(1))                                                   // known, and in order: no news
	w.save("one", open(2, "503", 0))                                           // an event
	if ok, err := w.TakeProbe(t.Context(), "one", "a", 2); err != nil || !ok { // a trial call is out
		t.Fatal(ok, err)
	}
	w.save("one", half)
	w.save("one", open(3, "the probe: 503", time.Minute)) // it failed
	w.save("two", open(2, "late", time.Hour))             // an old word
	w.save("one", closed(4))                              // an event
	cool := closed(4)
	cool.CooldownUntil = time.Now().Add(time.Minute)
	w.save("one", cool)
	w.set(jobs.CircuitOpen, time.Minute)   // an event
	w.set(jobs.CircuitOpen, time.Minute)   // it was open
	w.set(jobs.CircuitClosed, time.Minute) // an event
	want := []string{"a open: 503", "a closed: a probe was answered", "a open: said so", "a closed: said so"}
	if diff := cmp.Diff(want, facts(w.owed())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A worker that starts in an outage writes an open circuit down first thing.
func TestNewCircuitThatIsOpenIsAnEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	told := open(7, "OVERLOAD: status 503", time.Minute)
	told.Region = "eu"
	w.save("one", told)
	var ids []string
	for range 2 { // what was not acknowledged is told again, under its id
		_, err := w.Relay(t.Context(), 0, 10, func(events []jobs.Event) ([]bool, error) {
			got := *events[0].Circuit
			ids = append(ids, got.ID)
			near := cmp.Comparer(func(a, b time.Time) bool { return a.Sub(b).Abs() < soonEnough })
			if diff := cmp.Diff(told, got.Circuit, near); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(ids) != 2 || ids[0] != ids[1] || ids[0] == "" {
		t.Errorf("the ids are %q", ids)
	}
	w.owed()
	w.save("one", closed(8))
	if again := w.owed()[0].Circuit; again.ID == ids[0] || again.DownSince.Sub(told.DownSince).Abs() > soonEnough {
		t.Errorf("the end of the outage of %s is %+v", told.DownSince, again)
	}
}

func TestPausesOweTheirTurns(t *testing.T) {
	t.Parallel()
	g := newGated(t)
	for _, act := range []string{"trip", "trip", "pause", "mend", "resume", "trip", "river pause", "resume", "mend"} {
		g.do(act)
	}
	want := []string{
		"summaries: circuit pauses (all are down), by [circuit]",
		"summaries: person pauses (lunch), by [circuit person]",
		"summaries: circuit resumes, left [person]",
		"summaries: person resumes, left []",
		"summaries: circuit pauses (all are down), by [circuit]",
		"summaries: person pauses (paused by a person), by [circuit person]",
		"summaries: circuit resumes, left []", // a person's resume ends both
		"summaries: person resumes, left []",
	}
	owed := g.owed()
	if diff := cmp.Diff(want, facts(owed)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	seen := map[string]bool{}
	for _, e := range owed {
		if e.Pause.ID == "" || seen[e.Pause.ID] || e.Pause.Since.IsZero() || e.Pause.At.Before(e.Pause.Since) {
			t.Errorf("it is %+v", e.Pause)
		}
		seen[e.Pause.ID] = true
	}
}

// What another version owes is left to it, and what nobody can read stands in
// nobody's way.
func TestUnknownEventsBlockNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`INSERT INTO tidegate.outbox (event) SELECT '{"type": "tide", "id": "1"}' FROM generate_series(1, 20)`)
	w.exec(`INSERT INTO tidegate.outbox (event) VALUES ('[]'), ('{}'), ('{"type": "circuit", "since": "infinity"}')`)
	w.save("one", open(1, "503", 0))
	requests := w.accept("", 1)
	w.commit(answered(&requests[0]))
	var got []string
	last, err := w.Relay(t.Context(), 0, 5, func(events []jobs.Event) ([]bool, error) {
		got = facts(events)
		return []bool{false, true, true}, nil
	})
	if err != nil || last != 0 || len(got) != 3 {
		t.Errorf("took %d, and ends with %d, %v", len(got), last, err)
	}
	if diff := cmp.Diff([]string{"something else", "a open: 503", "something else"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	expect(t, "left", w.number("SELECT count(*) FROM tidegate.outbox"), 23)
}
