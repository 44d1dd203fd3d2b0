package store_test

import (
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"tidegate/integration/fixture"
	"tidegate/jobs"
)

// A day's mark tells whether anything was added to it or removed, and no other day's does.
func TestLoggedDaysAreMarked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	day := time.Date(2026, 2, 27, 0, 0, 0, 0, time.UTC)
	attempt := func(at time.Time) jobs.Logged {
		return jobs.Logged{RequestID: uuid.NewString(), Route: "r", Attempt: jobs.Attempt{
			At: at, Target: "a", Class: jobs.OK, Decision: &jobs.Decision{Goal: "cost", Explored: true, Candidates: []jobs.Considered{{Target: "a"}}},
		}, Asked: jobs.Asked{Arrived: at, Tenant: jobs.DefaultTenant}}
	}
	add := func(all ...jobs.Logged) {
		t.Helper()
		if _, err := w.ImportLogged(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		const counted = `SELECT (SELECT count(*) FROM tidegate.attempts) - (SELECT sum(pg_stat_get_tuples_inserted(inhrelid)) FROM pg_inherits WHERE inhparent = 'tidegate.attempts'::regclass)`
		fixture.Await(t, soon, "Postgres has counted them", func() bool { return w.number(counted) <= 0 })
	}
	marks := func() (of []string) {
		t.Helper()
		days, err := w.LoggedDays(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range days {
			if !d.From.Equal(day.AddDate(0, 0, i)) {
				t.Fatalf("day %d is %s", i, d.From)
			}
			of = append(of, d.Mark)
		}
		return of
	}
	first, second := attempt(day.Add(time.Hour)), attempt(day.Add(25*time.Hour))
	add(first, second)
	before := marks()
	if len(before) != 2 || before[0] == before[1] {
		t.Fatalf("marks %q", before)
	}
	if diff := gocmp.Diff(before, marks()); diff != "" {
		t.Errorf("nothing happened:\n%s", diff)
	}
	add(attempt(day.Add(25 * time.Hour)))
	after := marks()
	if after[0] != before[0] || after[1] == before[1] {
		t.Errorf("before %q, with one more on the second day %q", before, after)
	}
	w.exec("INSERT INTO tidegate.attempts (request_id, at, latency_us, route, target, class) VALUES (gen_random_uuid(), '2026-03-01 12:00Z', 1, 'r', 'a', 'OK')")
	fixture.Await(t, soon, "all days change with one of no day", func() bool { now := marks(); return len(now) == 3 && now[0] != after[0] })
	days, err := w.LoggedDays(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []jobs.Logged
	if err := w.LoggedDay(t.Context(), days[0], func(l *jobs.Logged) bool { got = append(got, *l); return true }); err != nil {
		t.Fatal(err)
	}
	first.Decision = &jobs.Decision{Explored: true} // a replay needs no more
	if diff := gocmp.Diff([]jobs.Logged{first}, got); diff != "" {
		t.Errorf("of the first day (-want +read):\n%s", diff)
	}
}
