package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/integration/bench"
)

func good() map[string]figures {
	f := figures{WastedCalls: 55, AttemptsMax: 1, FirstAnswer: bench.Number(2.5), AllDone: bench.Number(7.9), Over: 3, Reopened: bench.Number(0), calls: 2003, inFlight: 50, probes: 43}
	return map[string]figures{tidegateRow: f, midFlightRow: f, riverRow: {WastedCalls: 6000, AttemptsMax: 4, Lost: 7, FirstAnswer: bench.Number(33.0)}}
}

func TestObject(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(object(good()))
	if err != nil {
		t.Fatal(err)
	}
	own := `"wasted_calls":55,"attempts_max":1,"lost":0,"duplicates":0,"first_answer_s":2.5,"all_done_s":7.9,"over_limit_429s":3,"reopened":0`
	want := `{` + own + `,"mid_flight":{` + own + `,"in_flight_at_trip":50,"probes":43},` +
		`"river":{"wasted_calls":6000,"attempts_max":4,"lost":7,"duplicates":0,"first_answer_s":33,"all_done_s":null,"over_limit_429s":0,"reopened":null}}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBars(t *testing.T) {
	t.Parallel()
	if err := (plan{}).bars(good()).Err(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		row   string
		spoil func(*figures)
		want  string
	}{
		{tidegateRow, func(f *figures) { f.WastedCalls = 61 }, "tidegate: wasted_calls: 61, to reach: 60"},
		{tidegateRow, func(f *figures) { f.AllDone = nil }, "tidegate: all_done_s: never"},
		{tidegateRow, func(f *figures) { f.Over = 21 }, "tidegate: over_limit_429s: 21"},
		{midFlightRow, func(f *figures) { f.WastedCalls = 94 }, "mid-flight: wasted_calls: 94, to reach: 93"},
		{midFlightRow, func(f *figures) { f.Lost = 1 }, "mid-flight: lost: 1"},
		{midFlightRow, func(f *figures) { f.Reopened = bench.Number(1) }, "mid-flight: reopened: 1"},
	} {
		taken := good()
		f := taken[c.row]
		c.spoil(&f)
		taken[c.row] = f
		if err := (plan{}).bars(taken).Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v does not say %q", err, c.want)
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	p, err := parse([]string{"--jobs", "300", "--json"})
	if err != nil || p.jobs != 300 || p.workers != 50 || !p.JSON {
		t.Errorf("got %+v, %v", p, err)
	}
	for _, bad := range [][]string{{"--jobs", "1"}, {"--workers", "1"}, {"--outage", "0s"}} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}
