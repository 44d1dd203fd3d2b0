package bench_test

import (
	"slices"
	"testing"
	"time"

	"tidegate/integration/bench"
)

func TestAgendaGoesByTime(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := bench.Agenda{Now: began}
	var was []string
	note := func(what string) func() { return func() { was = append(was, what) } }
	a.After(2*time.Second, note("second"))
	a.After(time.Second, func() {
		was = append(was, "first")
		a.After(-time.Hour, note("at once"))
		a.After(time.Second, note("third"))
	})
	a.After(time.Minute, note("late"))
	for a.Next(began.Add(30 * time.Second)) {
	}
	if want := []string{"first", "at once", "second", "third"}; !slices.Equal(was, want) {
		t.Errorf("%v happened, want %v", was, want)
	}
	if now := a.Now.Sub(began); now != 2*time.Second {
		t.Errorf("it is %s", now)
	}
	if !a.Next(time.Time{}) || a.Next(time.Time{}) || a.Now.Sub(began) != time.Minute {
		t.Errorf("at the end it is %s, and %v happened", a.Now.Sub(began), was)
	}
}
