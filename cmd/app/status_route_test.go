package app

import (
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

func TestViewRouteSaysWhoPausesIt(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	circuit := jobs.Pause{Route: "r", Owner: jobs.OwnerCircuit, Reason: "a is open: 503", Since: ago(time.Minute)}
	person := jobs.Pause{Route: "r", Owner: jobs.OwnerPerson, Reason: "lunch", Since: ago(time.Hour)}
	wordless := jobs.Pause{Route: "r", Owner: jobs.OwnerPerson, Reason: "paused by a person", Since: ago(time.Second)}
	for name, c := range map[string]struct {
		river  time.Time
		pauses []jobs.Pause
		since  time.Time
		why    string
	}{
		"its circuits":          {ago(time.Minute), []jobs.Pause{circuit}, ago(time.Minute), "by its circuits: a is open: 503"},
		"both":                  {ago(time.Minute), []jobs.Pause{circuit, person}, ago(time.Hour), "by its circuits: a is open: 503; by a person: lunch"},
		"somebody in River":     {ago(time.Second), []jobs.Pause{wordless}, ago(time.Second), "by a person"},
		"a queue that was lost": {time.Time{}, []jobs.Pause{circuit}, ago(time.Minute), "by its circuits: a is open: 503"},
		"another route's row":   {ago(time.Hour), []jobs.Pause{{Route: "s", Owner: jobs.OwnerPerson}}, ago(time.Hour), "its queue was paused in River"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			route := store.RouteStatus{Route: "r", ServedAt: now, PausedAt: c.river}
			got := viewRoute(&store.Status{At: now, Pauses: c.pauses}, &route)
			if got.State != statePaused || !got.Paused || !got.Since.Equal(c.since) || got.Why != c.why {
				t.Errorf("it is %s since %s: %q", got.State, got.Since, got.Why)
			}
			route.Retired = true
			if got := viewRoute(&store.Status{At: now, Pauses: c.pauses}, &route); got.State != stateRetired || !strings.Contains(got.Why, c.why) {
				t.Errorf("retired, it is %s: %q", got.State, got.Why)
			}
		})
	}
}

func TestViewWorkers(t *testing.T) {
	t.Parallel()
	views := viewWorkers([]store.WorkerStatus{{Worker: "a", Silent: time.Second, Supervises: true}, {Worker: "b", Silent: 7 * time.Second}, {Worker: "c", Dead: true}})
	for i, want := range []string{workerAlive, workerSilent, workerDead} {
		if views[i].State != want || views[i].Supervises != (i == 0) {
			t.Errorf("%+v is not %s", views[i], want)
		}
	}
}

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
		"a person shut it":   {served, []jobs.Circuit{shut("a", time.Minute, 99*jobs.LongestCooldown), shut("b", time.Hour, 99*jobs.LongestCooldown)}, stateHolds, time.Minute},
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
			if said := strings.Contains(got.Why, "until somebody closes a circuit: "); said != (name == "a person shut it") {
				t.Errorf("it waits for %q", got.Why)
			}
		})
	}
}

// A person is shown who waits for fair admission, those with the most first, and as
// many as fit.
func TestWriteWaiting(t *testing.T) {
	t.Parallel()
	now := time.Now()
	status := store.Status{At: now, Waiting: []store.WaitingStatus{
		{Route: "r", Tenant: "big", Requests: 1000},
		{Route: "r", Tenant: "acme", Requests: 2, Reason: "it is dear", Until: now.Add(90 * time.Second)},
		{Route: "s", Tenant: "big", Requests: 1},
	}}
	views := []routeView{viewRoute(&status, &store.RouteStatus{Route: "r"}), viewRoute(&status, &store.RouteStatus{Route: "q"}), viewRoute(&status, &store.RouteStatus{Route: "s"})}
	var out strings.Builder
	writeWaiting(&out, now, views)
	want := "\nWAITING ON\tTENANT\tREQUESTS\tUNTIL\tWHY\nr\tbig\t1000\tits turn\t-\nr\tacme\t2\tin 1m30s\tit is dear\ns\tbig\t1\tits turn\t-\n"
	if out.String() != want {
		t.Errorf("it says %q, want %q", out.String(), want)
	}
	if views[1].WaitingBy == nil {
		t.Error("where nobody waits, JSON would have no list")
	}
	for range waitingShown {
		status.Waiting = append(status.Waiting, store.WaitingStatus{Route: "s", Tenant: "x", Requests: 1})
	}
	out.Reset()
	writeWaiting(&out, now, []routeView{viewRoute(&status, &store.RouteStatus{Route: "s"}), views[0]})
	if !strings.HasSuffix(out.String(), "\n3 more are in --json\n") {
		t.Errorf("it says %q", out.String())
	}
	out.Reset()
	if writeWaiting(&out, now, views[1:2]); out.String() != "" {
		t.Errorf("where nobody waits, it says %q", out.String())
	}
}

// A time that stands for none is no number of hours.
func TestUntilText(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for until, want := range map[time.Time]string{
		{}: "its turn", now.Add(90 * time.Second): "in 1m30s", now.Add(-time.Second): "in 0s", now.Add(365*24*time.Hour - time.Second): "that changes",
	} {
		if got := untilText(now, until); got != want {
			t.Errorf("until %s: %q, want %q", until, got, want)
		}
	}
}
