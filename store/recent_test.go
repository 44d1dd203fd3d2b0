package store_test

import (
	"fmt"
	"testing"
	"time"

	"tidegate/jobs"
)

// recentAre writes attempts of a target, a second from each other, the last one at a
// time before now.
func (w *world) recentAre(target string, n int, ago time.Duration) {
	w.t.Helper()
	w.exec(fmt.Sprintf(`INSERT INTO tidegate.attempts (at, request_id, latency_us, route, target, class, output_tokens)
		SELECT now() - interval '%d milliseconds' - (%d - g) * interval '1 second', gen_random_uuid(), 1000000, 'summaries', '%s', 'OK', 10
		FROM generate_series(1, %d) g`, ago.Milliseconds(), n, target, n))
}

func TestRecentReadsTheLastDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.recentAre("old", 5, 25*time.Hour)
	w.recentAre("night", 5, 20*time.Hour)
	w.recentAre("now", 5, 0)
	w.exec(`UPDATE tidegate.attempts SET request_id = '` + jobs.NoRequest + `' WHERE target = 'now' AND at = (SELECT max(at) FROM tidegate.attempts)`)
	past, err := w.Recent(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for i, a := range past {
		count[a.Target]++
		if i > 0 && a.At.Before(past[i-1].At) {
			t.Errorf("the attempt at %s comes after a later one", a.At)
		}
		if a.Route != "summaries" || a.Class != jobs.OK || a.Latency != time.Second || a.Usage.Output != 10 {
			t.Errorf("it is %+v", a)
		}
	}
	if count["old"] != 0 || count["night"] != 5 || count["now"] != 4 {
		t.Errorf("it read %v", count)
	}
}

// However large a day is, what was written last is read, and a bounded part of the
// rest.
func TestRecentIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`INSERT INTO tidegate.attempts (at, request_id, latency_us, route, target, class)
		SELECT now() - interval '1 second', gen_random_uuid(), 1000000, 'summaries', 'many', 'OK' FROM generate_series(1, 60000)`)
	w.recentAre("last", 20, 0)
	past, err := w.Recent(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for _, a := range past {
		if a.Target == "last" {
			last++
		}
	}
	if last != 20 || len(past) < 10_000 || len(past) > 40_000 {
		t.Errorf("of 60,020 attempts it read %d, %d of the last 20", len(past), last)
	}
}
