package app

import (
	"time"

	"tidegate/jobs"
)

// A drillWatch notes what happens to a target and its routes, and says so.
type drillWatch struct {
	target   string
	routes   map[string]*routeWatch // those whose chain has the target
	say      func(format string, args ...any)
	open     bool      // where its circuit stands
	opened   time.Time // when it first opened; zero: it did not
	closed   time.Time // when it last closed; zero: it did not
	openings int
	seen     time.Time // the last look
}

// A routeWatch is what happens to a route.
type routeWatch struct {
	chain  []string
	holds  bool
	paused bool          // by its circuits
	held   time.Duration // in all
	still  time.Duration // paused by its circuits, in all
	pauses int
}

// begin notes how it stood before the drill.
func (w *drillWatch) begin(fleet jobs.Fleet) {
	w.say = func(string, ...any) {}
	w.look(fleet, time.Now())
	w.openings, w.opened, w.closed = 0, time.Time{}, time.Time{}
	for _, route := range w.routes {
		route.pauses = 0
	}
}

// look notes what changed since the last look.
func (w *drillWatch) look(fleet jobs.Fleet, now time.Time) {
	var since time.Duration
	if !w.seen.IsZero() {
		since = now.Sub(w.seen)
	}
	w.seen = now
	for i := range fleet.Circuits {
		if fleet.Circuits[i].Target == w.target {
			w.turn(&fleet.Circuits[i])
		}
	}
	paused := map[string]string{}
	for _, p := range fleet.Pauses {
		if p.Owner == jobs.OwnerCircuit {
			paused[p.Route] = p.Reason
		}
	}
	for name, route := range w.routes {
		why, is := paused[name]
		w.lookAt(name, route, since, jobs.Hold(route.chain, fleet.Circuits, now), is, why)
	}
}

// turn notes a circuit that opened or closed.
func (w *drillWatch) turn(c *jobs.Circuit) {
	open := c.State != jobs.CircuitClosed
	switch {
	case open && !w.open:
		w.openings++
		if w.opened.IsZero() {
			w.opened = c.DownSince
		}
		w.say("%s is open: %s", w.target, c.Reason)
	case !open && w.open:
		w.closed = c.Since
		w.say("%s is closed: %s", w.target, c.Reason)
	}
	w.open = open
}

func (w *drillWatch) lookAt(name string, r *routeWatch, since time.Duration, hold jobs.Holding, paused bool, why string) {
	if r.holds && hold.Holds {
		r.held += since
	}
	if r.paused && paused {
		r.still += since
	}
	switch {
	case hold.Holds && !r.holds:
		w.say("%s holds: %s", name, hold.Reason)
	case !hold.Holds && r.holds:
		w.say("%s flows", name)
	}
	switch {
	case paused && !r.paused:
		r.pauses++
		w.say("%s is paused: %s", name, why)
	case !paused && r.paused:
		w.say("%s is resumed", name)
	}
	r.holds, r.paused = hold.Holds, paused
}
