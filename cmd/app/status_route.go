package app

import (
	"fmt"
	"slices"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

// unservedAfter is how long nobody may have said that they work a route before
// status doubts that anybody does.
const unservedAfter = 2 * store.ServedEvery

// How a route stands.
const (
	stateFlows    = "flows"
	stateHolds    = "holds"
	statePaused   = "paused"
	stateRetired  = "retired"
	stateUnserved = "unserved"
)

// viewRoute says how a route stands. A route holds while no target of its chain
// may be called, as the circuits say that workers wrote down.
func viewRoute(s *store.Status, r *store.RouteStatus) routeView {
	view := routeView{
		Route: r.Route, State: stateFlows, Waiting: r.Waiting, InHand: r.InHand, Discarded: r.Discarded,
		Paused: !r.PausedAt.IsZero(), Oldest: r.Oldest,
	}
	held, since, why := chainHolds(s, r.Chain)
	switch {
	case r.Retired:
		view.State, view.Why = stateRetired, "producers may not name it any more; a worker that serves it works what waits"
	case view.Paused:
		view.State, view.Since, view.Why = statePaused, r.PausedAt, "its queue was paused in River"
	case r.ServedAt.IsZero() || s.At.Sub(r.ServedAt) > unservedAfter:
		view.State, view.Since, view.Why = stateUnserved, r.ServedAt, "no worker works it"
	case held:
		view.State, view.Since, view.Why = stateHolds, since, why
	}
	if r.Discarded > 0 {
		view.Why = fmt.Sprintf("%d given up by River; %s", r.Discarded, view.Why)
	}
	return view
}

// chainHolds tells whether no target of a chain may be called, since when, and
// what has to happen.
func chainHolds(s *store.Status, chain []string) (holds bool, since time.Time, why string) {
	var next time.Time
	seen := 0
	for _, c := range s.Circuits {
		if !slices.Contains(chain, c.Target) {
			continue
		}
		seen++
		cools := c.CooldownUntil.After(s.At)
		if c.State == jobs.CircuitClosed && !cools {
			return false, time.Time{}, ""
		}
		if down := downSince(c); down.After(since) {
			since = down
		}
		if cools && (next.IsZero() || c.CooldownUntil.Before(next)) {
			next = c.CooldownUntil
		}
	}
	if seen == 0 || seen < len(chain) { // a target that nobody called yet may be called
		return false, time.Time{}, ""
	}
	why = "no target of its chain may be called: a probe is due"
	if !next.IsZero() {
		why = fmt.Sprintf("no target of its chain may be called; the first one is probed in %s", next.Sub(s.At).Round(time.Second))
	}
	return true, since, why
}

// downSince is when a target that may not be called left the state in which it
// might; of a closed circuit that cools down, when it last changed.
func downSince(c jobs.Circuit) time.Time {
	if c.DownSince.IsZero() {
		return c.Since
	}
	return c.DownSince
}
