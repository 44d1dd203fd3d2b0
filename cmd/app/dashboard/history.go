package dashboard

import (
	"context"
	"slices"
	"sync"
	"time"

	"tidegate/jobs"
)

// A window is how far back the page looks.
type window struct {
	Key, Name string
	Last      string // as in "in the last …"
	Long      time.Duration
	Each      time.Duration // how long a point of a chart is of
	marks     []string      // below a chart
}

// windows are those that one may choose.
var windows = []window{
	{"15m", "15 min", "15 min", 15 * time.Minute, 10 * time.Second, []string{"−15 min", "−10", "−5", "now"}},
	{"1h", "1 hour", "hour", time.Hour, time.Minute, []string{"−60 min", "−40", "−20", "now"}},
	{"24h", "24 hours", "24 hours", 24 * time.Hour, 15 * time.Minute, []string{"−24 h", "−16", "−8", "now"}},
}

// windowOf is the window of a name; the hour if it is none.
func windowOf(key string) window {
	for _, w := range windows {
		if w.Key == key {
			return w
		}
	}
	return windows[1]
}

// kept is how far back a history goes.
const kept = 24 * time.Hour

// Records are where the past is read.
type Records interface {
	RouteSamples(ctx context.Context, since time.Time) ([]jobs.RouteSample, error)
	TargetSamples(ctx context.Context, since time.Time) ([]jobs.TargetSample, error)
	Transitions(ctx context.Context, since time.Time) ([]jobs.Transition, error)
}

// A history is what was, as far as it is shown: only what is new is read. Safe for
// concurrent use.
type history struct {
	records Records

	mu          sync.Mutex
	routes      []jobs.RouteSample
	targets     []jobs.TargetSample
	transitions []jobs.Transition
	loaded      time.Time // the beginning of what was read
}

// refresh reads what is new at a time. What somebody has thinned out meanwhile stays until
// it is too old, and so does what a reader has seen.
func (h *history) refresh(ctx context.Context, now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	since := now.Add(-kept)
	if h.loaded.IsZero() || h.loaded.Before(since.Add(-kept)) { // of another day: anew
		h.routes, h.targets, h.transitions, h.loaded = nil, nil, nil, since
	}
	routes, err := h.records.RouteSamples(ctx, later(since, lastOf(h.routes, func(r *jobs.RouteSample) time.Time { return r.At })))
	if err != nil {
		return err
	}
	targets, err := h.records.TargetSamples(ctx, later(since, lastOf(h.targets, func(t *jobs.TargetSample) time.Time { return t.At })))
	if err != nil {
		return err
	}
	moved, err := h.records.Transitions(ctx, later(since, lastOf(h.transitions, func(t *jobs.Transition) time.Time { return t.At })))
	if err != nil {
		return err
	}
	h.routes = slices.DeleteFunc(append(h.routes, routes...), func(r jobs.RouteSample) bool { return r.At.Before(since) })
	h.targets = slices.DeleteFunc(append(h.targets, targets...), func(t jobs.TargetSample) bool { return t.At.Before(since) })
	h.transitions = slices.DeleteFunc(append(h.transitions, moved...), func(t jobs.Transition) bool { return t.At.Before(since) })
	return nil
}

func lastOf[T any](all []T, at func(*T) time.Time) time.Time {
	if len(all) == 0 {
		return time.Time{}
	}
	return at(&all[len(all)-1])
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// A line is what a chart shows of one thing, point by point.
type line struct {
	Name   string
	Values []float64
}

// A trend is one thing over a window, as lines.
type trend struct {
	lines []line
	sum   float64 // of all values, where that means something
}

func (t *trend) of(name string, points int) []float64 {
	for i := range t.lines {
		if t.lines[i].Name == name {
			return t.lines[i].Values
		}
	}
	t.lines = append(t.lines, line{name, make([]float64, points)})
	return t.lines[len(t.lines)-1].Values
}

// past is what charts and tiles say of a window that ends at a time.
type past struct {
	window  window
	now     time.Time
	backlog trend // jobs that wait, by route
	flow    trend // answers a minute, by target
	spend   trend // USD an hour, by target
	recent  map[string]*recent
}

// recent is what a target did in the last minute.
type recent struct {
	calls, answered, limited, unpriced int
	output                             int
	cost                               jobs.MicroUSD
	median, slow                       time.Duration
	over                               time.Duration
}

// end is where a window ends: at the last sample, so that no point is of half of its time.
func (h *history) end(now time.Time) time.Time {
	if last := lastOf(h.routes, func(r *jobs.RouteSample) time.Time { return r.At }); now.Sub(last) < 3*jobs.SampleEvery {
		return last
	}
	return now
}

// look adds up what was in a window.
func (h *history) look(w window, now time.Time) *past {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := &past{window: w, now: now, recent: map[string]*recent{}}
	end := h.end(now)
	p.wait(h.routes, end)
	for i := range h.targets {
		t := &h.targets[i]
		if now.Sub(t.At) < time.Minute+jobs.SampleEvery {
			p.add(t)
		}
		p.spread(t, end)
	}
	return p
}

// points are how many a chart has.
func (w window) points() int { return int(w.Long / w.Each) }

// wait draws what waited. What no sample says stays as it was, and not for long after the
// last one.
func (p *past) wait(routes []jobs.RouteSample, end time.Time) {
	points, filled := p.window.points(), map[string]int{}
	fill := func(values []float64, last, until int) {
		for gap := last + 1; gap < until; gap++ {
			values[gap] = values[last]
		}
	}
	for i := range routes {
		r := &routes[i]
		n := points - 1 - int(end.Sub(r.At)/p.window.Each)
		if n < 0 || n >= points {
			continue
		}
		values := p.backlog.of(r.Route, points)
		if last, seen := filled[r.Route]; seen {
			fill(values, last, n)
		}
		values[n], filled[r.Route] = float64(r.Waiting), n
	}
	for route, last := range filled {
		fill(p.backlog.of(route, points), last, min(points, last+3))
	}
}

// spread adds what a target did to the points of which its time is.
func (p *past) spread(t *jobs.TargetSample, end time.Time) {
	w, points := p.window, p.window.points()
	from := end.Add(-w.Long)
	for n := max(0, int(t.At.Add(-t.Span).Sub(from)/w.Each)); n < points && t.Span > 0; n++ {
		begins := from.Add(time.Duration(n) * w.Each)
		if !begins.Before(t.At) {
			return
		}
		ends := begins.Add(w.Each)
		if ends.After(t.At) {
			ends = t.At
		}
		share := float64(ends.Sub(later(begins, t.At.Add(-t.Span)))) / float64(t.Span)
		if share <= 0 {
			continue
		}
		p.flow.of(t.Target, points)[n] += share * float64(t.Answered) / w.Each.Minutes()
		p.spend.of(t.Target, points)[n] += share * float64(t.Cost) / 1e6 / w.Each.Hours()
		p.spend.sum += share * float64(t.Cost) / 1e6
		p.flow.sum += share * float64(t.Answered)
	}
}

// add adds a sample to what was of late.
func (p *past) add(t *jobs.TargetSample) {
	r := p.recent[t.Target]
	if r == nil {
		r = &recent{}
		p.recent[t.Target] = r
	}
	// The median of some samples is about that of what they are of.
	if all := r.answered + t.Answered; all > 0 {
		r.median = (r.median*time.Duration(r.answered) + t.Median*time.Duration(t.Answered)) / time.Duration(all)
	}
	r.slow = max(r.slow, t.Slow)
	r.calls, r.answered, r.limited, r.unpriced, r.cost = r.calls+t.Calls, r.answered+t.Answered, r.limited+t.Limited, r.unpriced+t.Unpriced, r.cost+t.Cost
	r.output += t.Output
	r.over += t.Span
}

// sort puts lines into the order of names, those that are not among them last.
func (t *trend) sort(names []string) {
	rank := func(l line) int {
		if n := slices.Index(names, l.Name); n >= 0 {
			return n
		}
		return len(names)
	}
	slices.SortStableFunc(t.lines, func(a, b line) int { return rank(a) - rank(b) })
}
