package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/integration/bench"
)

func drainedIn(seconds float64) figures {
	recovery := time.Unix(1000, 0)
	first := recovery.Add(1500 * time.Millisecond)
	return figures{
		recovery: recovery, first: first, drained: first.Add(time.Duration(seconds * float64(time.Second))),
		optimum: 73 * time.Second, plainOptimum: 75 * time.Second, calls: bench.Calls{Total: 1000, RateLimited: 30},
	}
}

func TestObject(t *testing.T) {
	t.Parallel()
	late := drainedIn(900)
	late.late, late.reopened = true, 2
	got, err := json.Marshal(object(map[string]figures{"clean": drainedIn(76.65), "melting": late}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"drain_over_optimal":{"clean":1.05,"melting":null},"reopened":{"clean":0,"melting":2},` +
		`"rate_limited_share":{"clean":0.03,"melting":0.03},"noticed_s":{"clean":1.5,"melting":1.5}}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBars(t *testing.T) {
	t.Parallel()
	p := usual
	p.scenarios = scenarios
	taken := map[string]figures{}
	for _, s := range scenarios {
		taken[s.name] = drainedIn(73)
	}
	again := taken["relapse"]
	again.reopened = 1 // the relapse itself
	taken["relapse"] = again
	if err := p.bars(taken).Err(); err != nil {
		t.Error(err)
	}
	slow := drainedIn(82)
	slow.reopened, slow.calls.RateLimited = 1, 50
	taken["clean"] = slow
	err := p.bars(taken).Err()
	for _, want := range []string{"clean: drain_over_optimal: 1.123, to reach: 1.1", "clean: reopened: 1", "clean: rate_limited_share: 0.05"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestArrivalsAreEven(t *testing.T) {
	t.Parallel()
	if got := []int{due(100, 0), due(100, time.Second), due(100, 1550*time.Millisecond), due(0.5, time.Second)}; !cmp.Equal(got, []int{0, 100, 155, 0}) {
		t.Errorf("due are %v", got)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	p, err := parse([]string{"--scenarios", "cold", "--json", "--no-bars"})
	if err != nil || len(p.scenarios) != 1 || p.backlog != 30_000 || !p.JSON || !p.NoBars {
		t.Errorf("got %+v, %v", p, err)
	}
	for _, bad := range [][]string{{"--capacity", "50"}, {"--warm-up", "1s"}, {"--at-once", "0"}, {"--scenarios", "tepid"}} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}
