package app

import (
	"fmt"
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
		Route: r.Route, State: stateFlows, Waiting: r.Waiting, CountedAt: r.CountedAt, WaitingBy: viewWaiting(s, r.Route), InHand: r.InHand, Discarded: r.Discarded,
		Oldest: r.Oldest, Pauses: viewPauses(s.Pauses, r.Route),
	}
	view.Paused = !r.PausedAt.IsZero() || len(view.Pauses) > 0
	held := jobs.Hold(r.Chain, s.Circuits, s.At)
	switch {
	case r.Retired:
		view.State, view.Why = stateRetired, "producers may not name it any more; a worker that serves it works what waits"
		if view.Paused {
			view.Why += "; it is paused " + pausedWhy(view.Pauses)
		}
	case view.Paused:
		view.State, view.Since, view.Why = statePaused, pausedSince(r.PausedAt, view.Pauses), pausedWhy(view.Pauses)
	case r.ServedAt.IsZero() || s.At.Sub(r.ServedAt) > unservedAfter:
		view.State, view.Since, view.Why = stateUnserved, r.ServedAt, "no worker works it"
	case held.Holds:
		view.State, view.Since, view.Why = stateHolds, held.Since, holdReason(held, s.At)
	case r.Route == jobs.QuarantineQueue:
		view.Why = "requests that were under way when workers died run here alone"
	}
	if r.Discarded > 0 {
		view.Why = fmt.Sprintf("%d given up by River; %s", r.Discarded, view.Why)
	}
	return view
}

// holdReason says why a route holds and what it waits for.
func holdReason(h jobs.Holding, now time.Time) string {
	if h.UntilClosed {
		return "no target of its chain may be called until somebody closes a circuit: " + h.Reason
	}
	if h.Until.IsZero() {
		return "no target of its chain may be called, a probe will tell: " + h.Reason
	}
	return fmt.Sprintf("no target of its chain may be called for another %s: %s", h.Until.Sub(now).Round(time.Second), h.Reason)
}
