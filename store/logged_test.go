package store_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"tidegate/jobs"
	"tidegate/store"
)

// logged reads the ledger.
func (w *world) logged(filter store.LoggedFilter) (all []jobs.Logged) {
	w.t.Helper()
	for l, err := range w.Logged(w.t.Context(), filter) {
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

// What is imported is read as it was, in the order of time, over whatever days it goes; and
// to import it once more changes nothing.
func TestImportIsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := time.Date(2026, 2, 27, 23, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		w.exec("TRUNCATE tidegate.attempts")
		instant := func(label string) time.Time {
			return first.Add(time.Duration(rapid.Int64Range(0, 3*24*3600*1e6).Draw(t, label)) * time.Microsecond)
		}
		maybe := func(label string) time.Time {
			if rapid.Bool().Draw(t, label+"?") {
				return instant(label)
			}
			return time.Time{}
		}
		word := rapid.SampledFrom([]string{"", "a", "b-2"})
		number := rapid.IntRange(0, 1<<31-1)
		var all []jobs.Logged
		for range rapid.IntRange(1, 8).Draw(t, "attempts") {
			l := jobs.Logged{
				RequestID: uuid.NewString(), Route: rapid.SampledFrom([]string{"r", "s"}).Draw(t, "route"),
				Attempt: jobs.Attempt{
					At: instant("at"), Target: rapid.SampledFrom([]string{"cheap", "dear"}).Draw(t, "target"), Class: rapid.SampledFrom(jobs.Classes()).Draw(t, "class"),
					Status: rapid.IntRange(0, 599).Draw(t, "status"), Code: word.Draw(t, "code"), Latency: time.Duration(number.Draw(t, "latency")) * time.Microsecond,
					FirstByte: time.Duration(number.Draw(t, "first")) * time.Microsecond, Cost: jobs.MicroUSD(number.Draw(t, "cost")),
					Usage:    jobs.Usage{Input: number.Draw(t, "input"), CachedInput: 3, Output: number.Draw(t, "output"), Reasoning: 4},
					Unpriced: rapid.Bool().Draw(t, "unpriced"), Probe: rapid.Bool().Draw(t, "probe"), Blamed: rapid.Bool().Draw(t, "blamed"),
					Propensity: rapid.Float32Range(0, 1).Draw(t, "propensity"), WaitedFor: jobs.WaitedFor(rapid.SampledFrom([]string{"", "gate"}).Draw(t, "waited")),
				},
				Asked: jobs.Asked{
					Arrived: instant("arrived"), Deadline: maybe("deadline"), MaxCost: jobs.MicroUSD(number.Draw(t, "most")), BodyBytes: number.Draw(t, "body"),
					Priority: rapid.IntRange(0, 4).Draw(t, "priority"), Awaited: rapid.Bool().Draw(t, "awaited"), Tenant: rapid.SampledFrom([]string{"default", "acme"}).Draw(t, "tenant"),
					Goal: word.Draw(t, "goal"), Endpoint: rapid.SampledFrom(jobs.Endpoints()).Draw(t, "endpoint"),
				},
			}
			if rapid.Bool().Draw(t, "decided") {
				l.Decision = &jobs.Decision{Goal: "cost", Explored: true, Candidates: []jobs.Considered{{Target: "cheap", Success: 0.5, Cost: 3}}}
			}
			all = append(all, l)
		}
		for i, want := range []int{len(all), 0} {
			added, err := w.ImportLogged(w.t.Context(), slices.Concat(all, all[:1]))
			if err != nil || added != want {
				t.Fatalf("time %d: %d were added, %v", i, added, err)
			}
		}
		slices.SortFunc(all, func(a, b jobs.Logged) int {
			return cmp.Or(a.At.Compare(b.At), strings.Compare(a.RequestID, b.RequestID))
		})
		if diff := gocmp.Diff(all, w.logged(store.LoggedFilter{})); diff != "" {
			t.Fatalf("(-imported +read):\n%s", diff)
		}
		if n := w.number("SELECT count(*) FROM tidegate.attempts_other"); n > 0 {
			t.Fatalf("%d are of no day", n)
		}
		filter := store.LoggedFilter{Since: instant("since"), Until: instant("until"), Route: word.Draw(t, "of"), Class: all[0].Class}
		filter.Route = map[string]string{"a": "r"}[filter.Route]
		var want []jobs.Logged
		for _, l := range all {
			if !l.At.Before(filter.Since) && l.At.Before(filter.Until) && (filter.Route == "" || l.Route == filter.Route) && l.Class == filter.Class {
				want = append(want, l)
			}
		}
		if diff := gocmp.Diff(want, w.logged(filter)); diff != "" {
			t.Fatalf("of %+v (-want +read):\n%s", filter, diff)
		}
		slices.Reverse(want)
		latest, err := w.Latest(w.t.Context(), filter, 3)
		if diff := gocmp.Diff(want[:min(3, len(want))], latest); diff != "" && len(want) > 0 || err != nil {
			t.Fatalf("the latest of %+v (-want +read): %v\n%s", filter, err, diff)
		}
	})
}

// What no day was made for is read in its place, and who stops reading has read enough.
func TestLoggedOfNoDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	day := time.Date(2025, 2, 1, 0, 0, 0, 0, time.UTC)
	const insert = "INSERT INTO tidegate.attempts (request_id, at, latency_us, route, target, class) VALUES (gen_random_uuid(), $1, 1, 'r', $2, 'OK')"
	for i := range 4 {
		w.exec(insert, day.AddDate(0, 0, i), fmt.Sprint(i))
	}
	w.exec(insert, time.Now(), "now")
	var got []string
	for _, l := range w.logged(store.LoggedFilter{Since: day.AddDate(0, 0, 1)}) {
		got = append(got, l.Target)
	}
	if diff := gocmp.Diff([]string{"1", "2", "3", "now"}, got); diff != "" {
		t.Errorf("(-want +read):\n%s", diff)
	}
	for l, err := range w.Logged(t.Context(), store.LoggedFilter{}) {
		if l.Target != "0" || err != nil {
			t.Errorf("the first is %+v, %v", l, err)
		}
		break
	}
	if l := w.logged(store.LoggedFilter{Until: day.AddDate(0, 0, 1)})[0]; l.Tenant != "" || !l.Arrived.IsZero() || l.Decision != nil {
		t.Errorf("of what an older program wrote it is said: %+v", l)
	}
	if _, err := w.ImportLogged(t.Context(), []jobs.Logged{{RequestID: jobs.NoRequest, Attempt: jobs.Attempt{At: day}}, {RequestID: jobs.NoRequest, Attempt: jobs.Attempt{At: day.AddDate(2, 0, 0)}}}); err == nil {
		t.Error("two years make 730 tables, and nobody complains")
	}
}

func TestLoggedAbout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	day := time.Date(2026, 2, 27, 0, 0, 0, 0, time.UTC)
	var all []jobs.Logged
	for i := range 1000 {
		all = append(all, jobs.Logged{RequestID: uuid.NewString(), Route: "r", Attempt: jobs.Attempt{At: day.Add(time.Duration(i) * time.Minute), Target: "a", Class: jobs.OK}})
	}
	if _, err := w.ImportLogged(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	about := func(since, until time.Time) int64 {
		n, err := w.LoggedAbout(t.Context(), since, until)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	w.exec("ANALYZE tidegate.attempts_20260227")
	for _, is := range []struct {
		since, until time.Time
		want         int64
	}{{time.Time{}, time.Time{}, 1000}, {day, day.AddDate(0, 0, 1), 1000}, {day.Add(12 * time.Hour), time.Time{}, 500}, {day.AddDate(0, 0, 1), time.Time{}, 0}} {
		if got := about(is.since, is.until); got != is.want {
			t.Errorf("from %s to %s there are about %d, not %d", is.since, is.until, got, is.want)
		}
	}
}
