package dashboard

import (
	"slices"
	"time"

	"tidegate/jobs"
)

const (
	// mostRows and mostEvents bound what a timeline shows.
	mostRows, mostEvents = 12, 30
	// Bars are drawn on so many units, and are at least so wide that one sees them.
	barUnits, barLeast = 1000.0, 4.0
)

// A timeline is when what was down or paused, and what happened last.
type timeline struct {
	Window window
	Rows   []timeRow
	Left   int // rows that are not shown
	Events []event
}

// Marks are what stands below.
func (t timeline) Marks() []string { return t.Window.marks }

// A timeRow is one target or route.
type timeRow struct {
	Name  string
	Route bool
	Says  string // in a sentence
	Bars  []bar
}

// A bar is a time in which it was so.
type bar struct {
	State   string // open, degraded or paused
	X, Wide float64
	Says    string
}

// An event is one thing that happened.
type event struct {
	jobs.Transition
	Name, What string
}

// timeline puts together what circuits and pauses did in a window. What was so before it
// is known by how it stands now, or by the first change in it.
func (h *history) timeline(w window, now time.Time, o *Overview) timeline {
	h.mu.Lock()
	moved := slices.Clone(h.transitions)
	h.mu.Unlock()
	t := timeline{Window: w}
	from := now.Add(-w.Long)
	of := map[string][]jobs.Transition{}
	for _, m := range moved {
		of[rowKey(&m)] = append(of[rowKey(&m)], m)
		if m.At.After(from) {
			t.Events = append(t.Events, newEvent(m))
		}
	}
	slices.Reverse(t.Events)
	t.Events = t.Events[:min(len(t.Events), mostEvents)]
	for i := range o.Targets {
		one := &o.Targets[i]
		t.add(timeRow{Name: one.Name}, of["t"+one.Name], from, now, nowOf(one))
	}
	for i := range o.Routes {
		r := &o.Routes[i]
		state := ""
		if len(r.Pauses) > 0 {
			state = Paused
		}
		t.add(timeRow{Name: r.Name, Route: true}, of["r"+r.Name], from, now, state)
	}
	if len(t.Rows) > mostRows { // those of which there is something to see go first
		slices.SortStableFunc(t.Rows, func(a, b timeRow) int { return min(len(b.Bars), 1) - min(len(a.Bars), 1) })
		t.Rows, t.Left = t.Rows[:mostRows], len(t.Rows)-mostRows
	}
	return t
}

func rowKey(m *jobs.Transition) string {
	if m.Route != "" {
		return "r" + m.Route
	}
	return "t" + m.Target
}

func nowOf(t *Target) string {
	switch {
	case t.Down():
		return string(jobs.CircuitOpen)
	case t.Degraded != "":
		return string(jobs.CircuitDegraded)
	}
	return ""
}

func newEvent(m jobs.Transition) event {
	e := event{Transition: m, Name: m.Target, What: m.State}
	if m.Route != "" {
		e.Name = m.Route
		e.What += " by " + string(m.Owner)
	}
	return e
}

// add adds a row with its bars.
func (t *timeline) add(row timeRow, moved []jobs.Transition, from, now time.Time, state string) {
	scale := barUnits / float64(now.Sub(from))
	down := time.Duration(0)
	draw := func(state string, begin, end time.Time) {
		if state == "" || !end.After(from) {
			return
		}
		begin = later(begin, from)
		down += end.Sub(begin)
		x, wide := float64(begin.Sub(from))*scale, max(float64(end.Sub(begin))*scale, barLeast)
		x = min(x, barUnits-wide)
		row.Bars = append(row.Bars, bar{state, x, wide, row.Name + " " + state + " for " + span(end.Sub(begin))})
	}
	paused := map[jobs.Owner]bool{}
	was, since := "", from
	switch {
	case len(moved) == 0:
		was = state
	case moved[0].Route == "" && moved[0].State == string(jobs.CircuitClosed): // it was so before anybody remembers
		was = string(jobs.CircuitOpen)
	case moved[0].State == "resumed":
		was = Paused
	}
	for i := range moved {
		next := after(&moved[i], paused)
		if next != was {
			draw(was, since, moved[i].At)
			was, since = next, moved[i].At
		}
	}
	draw(was, since, now)
	row.Says = row.Name + ": " + "all well in the last " + t.Window.Last
	if len(row.Bars) > 0 {
		row.Says = row.Name + ": " + many(len(row.Bars), "time") + " not well in the last " + t.Window.Last + ", " + span(down) + " in all"
	}
	t.Rows = append(t.Rows, row)
}

// after is how something stands after a change: a route is paused as long as anybody
// pauses it.
func after(m *jobs.Transition, paused map[jobs.Owner]bool) string {
	if m.Route == "" {
		if m.State == string(jobs.CircuitClosed) {
			return ""
		}
		return m.State
	}
	if m.State == "resumed" {
		delete(paused, m.Owner)
	} else {
		paused[m.Owner] = true
	}
	if len(paused) > 0 {
		return Paused
	}
	return ""
}
