package routing_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidegate/jobs"
	"tidegate/routing"
)

// An outlook is a fleet of which forecasts are made, at noon.
type foreseen struct {
	router *routing.Router
	fleet  jobs.Fleet
	seen   []jobs.Progress
}

var atNoon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type nobody struct{}

func (nobody) Check(*jobs.Target, jobs.Endpoint, []byte) error { return nil }

func (nobody) Complete(context.Context, *jobs.Target, jobs.Endpoint, []byte) (*jobs.Answer, *jobs.Error) {
	return nil, &jobs.Error{Class: jobs.Lost}
}

// foresee prepares routes by their chains.
func foresee(limits jobs.Limits, chains ...[]string) *foreseen {
	targets := map[string]*jobs.Target{}
	var routes []jobs.Route
	f := &foreseen{fleet: jobs.Fleet{Chains: map[string][]string{}, LastGood: map[string]float64{}}}
	for i, chain := range chains {
		route := jobs.Route{Name: fmt.Sprint("route", i)}
		for _, name := range chain {
			if targets[name] == nil {
				targets[name] = &jobs.Target{Name: name, Provider: name, Model: "m", Limits: limits, Timeouts: jobs.DefaultTimeouts}
			}
			route.Chain = append(route.Chain, targets[name])
		}
		routes = append(routes, route)
		f.fleet.Chains[route.Name] = chain
	}
	f.router = routing.New(routing.Config{Routes: routes, Provider: nobody{}, Fleet: true, Now: func() time.Time { return atNoon }})
	return f
}

// works has a route end so many a second for ten minutes, with so many jobs left.
func (f *foreseen) works(rate, left int) *foreseen {
	p := jobs.Progress{Route: fmt.Sprint("route", len(f.seen)), At: atNoon, CountedAt: atNoon, Served: true, InHand: min(10, left), Strata: []jobs.Stratum{{Priority: 2, Jobs: max(0, left-10)}}}
	at := atNoon.Add(-10 * time.Minute)
	for at.Before(atNoon) {
		at = at.Add(5 * time.Second)
		if rate > 0 {
			p.Speed.See(at, 5*time.Second, 5*rate, jobs.Busy)
		}
	}
	f.seen = append(f.seen, p)
	return f
}

func (f *foreseen) circuit(c jobs.Circuit) *foreseen {
	c.Generation, c.Since = 1, atNoon.Add(-time.Minute)
	f.fleet.Circuits = append(f.fleet.Circuits, c)
	return f
}

func (f *foreseen) forecasts() *routing.Forecasts {
	f.router.Follow(&f.fleet, "me")
	return f.router.Forecasts(&f.fleet, f.seen)
}

func open(target string, cools time.Duration) jobs.Circuit {
	return jobs.Circuit{Target: target, State: jobs.CircuitOpen, Reason: "503", DownSince: atNoon.Add(-time.Minute), CooldownUntil: atNoon.Add(cools)}
}

func cooling(target string, cools time.Duration) jobs.Circuit {
	return jobs.Circuit{Target: target, State: jobs.CircuitClosed, Reason: "429", CooldownUntil: atNoon.Add(cools)}
}

// Backlog by pace, and honest where there is none: nobody knows when an outage ends, but
// how much work is left then.
func TestForecastsOfARoute(t *testing.T) {
	t.Parallel()
	const (
		twenty = 20 * time.Minute
		long   = 300 * 24 * time.Hour
	)
	paused := func(f *foreseen, owner jobs.Owner) *foreseen {
		f.fleet.Pauses = []jobs.Pause{{Route: "route0", Owner: owner}}
		return f
	}
	changed := func(f *foreseen, change func(*jobs.Progress)) *foreseen {
		change(&f.seen[0])
		return f
	}
	limited := jobs.Limits{RequestsPerMinute: 600}
	for _, c := range []struct {
		name   string
		of     *foreseen
		at     time.Duration // zero: nobody knows
		work   time.Duration
		reason string
	}{
		{"steady", foresee(jobs.Limits{}, []string{"a"}).works(10, 12_000), twenty, twenty, ""},
		{"nothing is known", foresee(jobs.Limits{}, []string{"a"}).works(0, 12_000), 0, 0, ""},
		{"a limit alone is known", foresee(limited, []string{"a"}).works(0, 12_000), twenty, twenty, ""},
		{"an outage", foresee(jobs.Limits{}, []string{"a"}).works(10, 12_000).circuit(open("a", time.Minute)), 0, twenty, "waits for a"},
		{"all are down", foresee(jobs.Limits{}, []string{"a", "b"}).works(10, 12_000).circuit(open("a", time.Minute)).circuit(open("b", time.Second)), 0, twenty, "waits for a or b"},
		{"a person opened it", foresee(jobs.Limits{}, []string{"a"}).works(10, 12_000).circuit(open("a", 2*jobs.LongestCooldown)), 0, twenty, "waits for a"},
		{"a cooldown", foresee(jobs.Limits{}, []string{"a"}).works(10, 12_000).circuit(cooling("a", 10*time.Minute)), 30 * time.Minute, twenty, "after a pause"},
		{"the second is left", foresee(limited, []string{"a", "b"}).works(20, 12_000).circuit(open("a", time.Minute)), twenty, twenty, "without a"},
		{"a person's pause", paused(foresee(jobs.Limits{}, []string{"a"}).works(10, 12_000), jobs.OwnerPerson), 0, twenty, "a person"},
		{"no money", paused(foresee(jobs.Limits{}, []string{"a"}).works(10, 12_000), jobs.OwnerBudget), 0, twenty, "budget"},
		{"no worker", changed(foresee(jobs.Limits{}, []string{"a"}).works(10, 12_000), func(p *jobs.Progress) { p.At = atNoon.Add(-5 * time.Minute) }), 0, twenty, "no worker runs"},
		{"nobody works it", changed(foresee(jobs.Limits{}, []string{"a"}).works(10, 12_000), func(p *jobs.Progress) { p.Served = false }), 0, twenty, "no worker works it"},
		{"counted a while ago", changed(foresee(jobs.Limits{}, []string{"a"}).works(10, 12_000), func(p *jobs.Progress) { p.CountedAt = atNoon.Add(-30 * time.Second) }), 1170 * time.Second, 1170 * time.Second, ""},
		{"next to nothing", changed(foresee(jobs.Limits{}, []string{"a"}).works(10, 2_000_000_000), func(*jobs.Progress) {}), 2_000_000_00 * time.Second, 2_000_000_00 * time.Second, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			said := c.of.forecasts().Route("route0")
			near := func(got, want time.Duration) bool { return (got - want).Abs() < want/20+20*time.Second }
			at := said.At.Sub(atNoon)
			if said.Known() != (c.at > 0) || said.Known() && !near(at, c.at) || !near(said.Work, c.work) || !strings.Contains(said.Reason, c.reason) || c.reason == "" && said.Reason != "" {
				t.Errorf("%s (work %s, %q), want it after %s, %s of work, because of %q", said.Text(atNoon), said.Work, said.Reason, c.at, c.work, c.reason)
			}
			if said.Known() && (said.Early.After(said.At) || said.Late.Before(said.At)) {
				t.Errorf("%s is not between %s and %s", said.At, said.Early, said.Late)
			}
		})
	}
	if said := foresee(jobs.Limits{}, []string{"a"}).works(10, 0).forecasts().Route("route0"); said != (jobs.Forecast{}) {
		t.Errorf("of nothing: %+v", said)
	}
}

// Two routes at one target that takes no more: when one is done, the other has all of it.
func TestForecastsOfRoutesThatShare(t *testing.T) {
	t.Parallel()
	f := foresee(jobs.Limits{}, []string{"a"}, []string{"a"}).works(15, 15*600).works(15, 15*1800)
	f.fleet.LastGood["a"] = 31
	all := f.forecasts()
	for route, want := range map[string]time.Duration{"route0": 10 * time.Minute, "route1": 20 * time.Minute} {
		if at := all.Route(route).At.Sub(atNoon); (at - want).Abs() > time.Minute {
			t.Errorf("%s is done after %s, want %s", route, at, want)
		}
	}
	apart := foresee(jobs.Limits{}, []string{"a"}, []string{"b"}).works(15, 15*600).works(15, 15*1800)
	apart.fleet.LastGood["a"], apart.fleet.LastGood["b"] = 15, 15
	if at := apart.forecasts().Route("route1").At.Sub(atNoon); (at - 30*time.Minute).Abs() > time.Minute {
		t.Errorf("by itself it is done after %s, want 30 min", at)
	}
}

// At a rate of next to nothing, much work takes as long as can be said, as little does.
func TestForecastOfNextToNoRate(t *testing.T) {
	t.Parallel()
	f := foresee(jobs.Limits{}, []string{"a", "b"}, []string{"b", "c"}, []string{"c"}).works(0, 0).works(0, 1).works(0, 0)
	f.circuit(open("a", time.Minute)).circuit(open("c", time.Minute))
	f.fleet.LastGood["a"], f.fleet.LastGood["b"], f.fleet.LastGood["c"] = 1, 2.848094538889218e-306, 1
	all := f.forecasts()
	few, much := all.Until("route1", 1, 1, 0), all.Until("route1", 512, 512, 0)
	if !few.Known() || !much.Known() || much.At.Before(few.At) || much.Late.Before(few.Late) {
		t.Errorf("one job is done by %+v, and 512 by %+v", few, much)
	}
}

// More work is never done sooner, and nothing before now.
func TestForecastsAreInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := foresee(jobs.Limits{RequestsPerMinute: rapid.SampledFrom([]int{0, 60, 6000}).Draw(t, "limit")}, []string{"a", "b"}, []string{"b", "c"}, []string{"c"})
		for range 3 {
			f.works(rapid.IntRange(0, 200).Draw(t, "rate"), rapid.IntRange(0, 1e6).Draw(t, "left"))
		}
		for _, target := range []string{"a", "b", "c"} {
			switch rapid.IntRange(0, 3).Draw(t, "circuit") {
			case 0:
				f.circuit(open(target, time.Minute))
			case 1:
				f.circuit(cooling(target, time.Minute))
			}
			f.fleet.LastGood[target] = rapid.Float64Range(0, 300).Draw(t, "good")
		}
		all := f.forecasts()
		few := rapid.Float64Range(0, 1e6).Draw(t, "few")
		more := few + rapid.Float64Range(0, 1e6).Draw(t, "more")
		for _, route := range []string{"route0", "route1", "route2"} {
			one, two := all.Until(route, few, few, 0), all.Until(route, more, more, 0)
			wide := all.Until(route, few, more, 0)
			if one.Known() && (one.Early.Before(atNoon) || one.At.Before(one.Early) || one.Late.Before(one.At)) {
				t.Fatalf("%s: %+v", route, one)
			}
			if one.Known() && two.Known() && (two.At.Before(one.At) || two.Early.Before(one.Early) || two.Late.Before(one.Late)) {
				t.Fatalf("%s: %v jobs by %s, and %v by %s", route, few, one.Text(atNoon), more, two.Text(atNoon))
			}
			if wide.Known() && one.Known() && two.Known() && (wide.Early.After(one.Early) || wide.Late.Before(two.Late)) {
				t.Fatalf("%s: between %v and %v jobs is %s", route, few, more, wide.Text(atNoon))
			}
		}
	})
}
