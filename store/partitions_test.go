package store_test

import (
	"testing"
	"time"

	"tidegate/jobs"
)

func (w *world) addDays(today time.Time) int {
	w.t.Helper()
	n, err := w.AddAttemptDays(w.t.Context(), today)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestAttemptDays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	today := time.Now()
	if n := w.addDays(today); n != 0 {
		t.Errorf("%d days were missing after a migration", n)
	}
	later := today.AddDate(0, 0, 5)
	if n := w.addDays(later); n != 5 {
		t.Errorf("five days later, %d days are missing", n)
	}
	if n := w.addDays(later); n != 0 {
		t.Errorf("the second time, %d days are missing", n)
	}
	requests := w.accept("", 1)
	entry := answered(&requests[0])
	w.commit(entry)
	if n := w.number("SELECT count(*) FROM ONLY tidegate.attempts_" + entry.Trace[0].Attempt.At.UTC().Format("20060102")); n != 1 {
		t.Errorf("its day has %d attempts", n)
	}
}

// A fleet that was away for a month writes its first attempts before anybody
// has made their day.
func TestAttemptsOutsideAllDays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("", 2)
	late := time.Date(2099, 3, 1, 23, 59, 59, 0, time.UTC)
	for i, at := range []time.Time{late, late.AddDate(0, 0, 40)} {
		entry := answered(&requests[i])
		entry.Trace[0].Attempt.At = at
		w.commit(entry)
	}
	if n := w.number("SELECT count(*) FROM tidegate.attempts_other"); n != 2 {
		t.Errorf("%d attempts stand outside of all days", n)
	}
	if n := w.addDays(late); n != 8 {
		t.Errorf("%d days were made", n)
	}
	if n := w.number("SELECT count(*) FROM tidegate.attempts_20990301"); n != 1 {
		t.Errorf("%d attempts moved to their day", n)
	}
	if n := w.number("SELECT count(*) FROM tidegate.attempts_other"); n != 1 {
		t.Errorf("%d attempts still stand outside", n)
	}
	attempts, err := w.Attempts(t.Context(), requests[0].ID)
	if err != nil || len(attempts) != 1 || !attempts[0].At.Equal(late) {
		t.Errorf("attempts %+v, %v", attempts, err)
	}
	entry := answered(&requests[0])
	entry.Trace[0].Attempt.At = late
	w.commit(jobs.Entry{Request: &requests[0], Trace: entry.Trace})
	if n := w.number("SELECT count(*) FROM tidegate.attempts_20990301"); n != 1 {
		t.Errorf("a repeated commit made it %d attempts", n)
	}
}
