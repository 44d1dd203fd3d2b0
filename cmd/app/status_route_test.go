package app

import (
	"testing"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

func TestViewRouteSaysHowItStands(t *testing.T) {
	t.Parallel()
	now := time.Now()
	shut := func(target string, ago, left time.Duration) jobs.Circuit {
		return jobs.Circuit{Target: target, State: jobs.CircuitOpen, Since: now, DownSince: now.Add(-ago), CooldownUntil: now.Add(left)}
	}
	free := jobs.Circuit{Target: "b", State: jobs.CircuitClosed, Since: now}
	cools := jobs.Circuit{Target: "b", State: jobs.CircuitClosed, Since: now.Add(-time.Second), CooldownUntil: now.Add(time.Hour)}
	served := store.RouteStatus{Route: "r", Chain: []string{"a", "b"}, ServedAt: now}
	with := func(change func(*store.RouteStatus)) store.RouteStatus {
		r := served
		change(&r)
		return r
	}
	for name, c := range map[string]struct {
		route    store.RouteStatus
		circuits []jobs.Circuit
		state    string
		since    time.Duration // ago; zero: none
	}{
		"one flows":          {served, []jobs.Circuit{shut("a", time.Minute, 1), free}, stateFlows, 0},
		"all are shut":       {served, []jobs.Circuit{shut("a", time.Minute, 1), shut("b", time.Hour, 1)}, stateHolds, time.Minute},
		"one cools down":     {served, []jobs.Circuit{shut("a", time.Minute, 1), cools}, stateHolds, time.Second},
		"one is not known":   {served, []jobs.Circuit{shut("a", time.Minute, 1)}, stateFlows, 0},
		"another route's":    {served, []jobs.Circuit{shut("x", time.Minute, 1)}, stateFlows, 0},
		"paused":             {with(func(r *store.RouteStatus) { r.PausedAt = now.Add(-time.Hour) }), nil, statePaused, time.Hour},
		"served no more":     {with(func(r *store.RouteStatus) { r.ServedAt = now.Add(-time.Hour) }), nil, stateUnserved, time.Hour},
		"never served":       {with(func(r *store.RouteStatus) { r.ServedAt = time.Time{} }), nil, stateUnserved, 0},
		"retired, and so on": {with(func(r *store.RouteStatus) { r.Retired, r.PausedAt = true, now }), nil, stateRetired, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := viewRoute(&store.Status{At: now, Circuits: c.circuits}, &c.route)
			var since time.Time
			if c.since > 0 {
				since = now.Add(-c.since)
			}
			if got.State != c.state || !got.Since.Equal(since) || got.Why == "" && c.state != stateFlows {
				t.Errorf("it is %s since %s: %q; want %s since %s", got.State, got.Since, got.Why, c.state, since)
			}
		})
	}
}
