package jobs_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

func TestHold(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	at := now.Add
	free := jobs.Circuit{Target: "a", State: jobs.CircuitClosed, Since: at(-time.Hour), CooldownUntil: at(-time.Minute), Reason: "a probe was answered"}
	cools := jobs.Circuit{Target: "a", State: jobs.CircuitClosed, Since: at(-time.Hour), CooldownUntil: at(2 * time.Second), Reason: "RATE 429"}
	open := jobs.Circuit{
		Target: "b", State: jobs.CircuitOpen, Since: at(-time.Second), DownSince: at(-time.Minute), CooldownUntil: at(5 * time.Second), Reason: "OVERLOAD 503",
	}
	due := jobs.Circuit{Target: "c", State: jobs.CircuitOpen, Since: at(-time.Second), DownSince: at(-2 * time.Hour), CooldownUntil: now}
	out := jobs.Circuit{Target: "c", State: jobs.CircuitHalfOpen, Since: at(-time.Second), DownSince: at(-2 * time.Hour), Reason: "TIMEOUT"}
	shut := jobs.Circuit{Target: "d", State: jobs.CircuitOpen, Since: at(-time.Hour), DownSince: at(-time.Hour), CooldownUntil: at(99 * jobs.LongestCooldown), Reason: "lunch"}
	for name, c := range map[string]struct {
		chain    []string
		circuits []jobs.Circuit
		want     jobs.Holding
	}{
		"one may be called":      {[]string{"a", "b"}, []jobs.Circuit{free, open}, jobs.Holding{}},
		"one is not known":       {[]string{"x", "b"}, []jobs.Circuit{open}, jobs.Holding{}},
		"none is known":          {[]string{"x", "y"}, nil, jobs.Holding{}},
		"no chain":               {nil, []jobs.Circuit{open}, jobs.Holding{}},
		"another chain's target": {[]string{"a"}, []jobs.Circuit{open, free}, jobs.Holding{}},
		"the cooldown is over":   {[]string{"a"}, []jobs.Circuit{free}, jobs.Holding{}},
		"all are open": {
			[]string{"b"},
			[]jobs.Circuit{open, free},
			jobs.Holding{Holds: true, Since: at(-time.Minute), Until: at(5 * time.Second), Reason: "b is open: OVERLOAD 503"},
		},
		"the first to come back": {
			[]string{"b", "a"},
			[]jobs.Circuit{cools, open},
			jobs.Holding{Holds: true, Since: at(-time.Minute), Until: at(2 * time.Second), Reason: "b is open: OVERLOAD 503; a cools down: RATE 429"},
		},
		"a probe is due":             {[]string{"c", "b"}, []jobs.Circuit{open, due}, jobs.Holding{Holds: true, Since: at(-time.Minute), Reason: "c is open; b is open: OVERLOAD 503"}},
		"a probe is out":             {[]string{"c"}, []jobs.Circuit{out}, jobs.Holding{Holds: true, Since: at(-2 * time.Hour), Reason: "c is open: TIMEOUT"}},
		"a person shut it":           {[]string{"d"}, []jobs.Circuit{shut}, jobs.Holding{Holds: true, Since: at(-time.Hour), UntilClosed: true, Reason: "d is open: lunch"}},
		"... and not another":        {[]string{"d", "b"}, []jobs.Circuit{open, shut}, jobs.Holding{Holds: true, Since: at(-time.Minute), Until: at(5 * time.Second), Reason: "d is open: lunch; b is open: OVERLOAD 503"}},
		"... of which one is probed": {[]string{"d", "c"}, []jobs.Circuit{out, shut}, jobs.Holding{Holds: true, Since: at(-time.Hour), Reason: "d is open: lunch; c is open: TIMEOUT"}},
		"a target named twice":       {[]string{"b", "b"}, []jobs.Circuit{open}, jobs.Holding{Holds: true, Since: at(-time.Minute), Until: at(5 * time.Second), Reason: "b is open: OVERLOAD 503; b is open: OVERLOAD 503"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, jobs.Hold(c.chain, c.circuits, now)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
