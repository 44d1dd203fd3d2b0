package replay

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// A Shape is how what came of requests is spread: for plots.
type Shape struct {
	Done  []Done `json:"done"`  // how many were done in which time
	Times []Time `json:"times"` // one after the other
}

// Done is which share of the requests that ended did so within a time.
type Done struct {
	Within float64 `json:"within_s"`
	Share  float64 `json:"share"`
}

// A Time is a part of a log's time. Of a sample it is an estimate.
type Time struct {
	From     time.Time `json:"from"`
	Requests int       `json:"requests"`
	CostUSD  float64   `json:"cost_usd"`
	Answered float64   `json:"answered"` // share
}

// An Opening is a time in which a circuit was open, or half open.
type Opening struct {
	Target string    `json:"target"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
}

// opened is one, in nanoseconds of the log.
type opened struct {
	site     int
	from, to int64
}

const (
	shortLog, longLog = 4 * time.Hour, 4 * 24 * time.Hour
	mostOpenings      = 1000
	doneStep          = 2 // buckets of a spread that are one point
)

// timeOf is how long the parts are that a log is shown in.
func (l *Log) timeOf() time.Duration {
	switch span := l.End().Sub(l.Start()); {
	case span <= shortLog:
		return 10 * time.Minute
	case span <= longLog:
		return time.Hour
	default:
		return 24 * time.Hour
	}
}

func (w *world) shape(t *tally) Shape {
	return Shape{Done: t.done(), Times: w.times(t)}
}

// done is the share of requests by the time they took, from the first to the last.
func (t *tally) done() (points []Done) {
	var all spread
	for i := range t.blocks {
		all.add(&t.blocks[i].spread, t.blocks[i].weight)
	}
	sum := 0.0
	for _, n := range all {
		sum += n
	}
	so := 0.0
	for i, n := range all {
		so += n
		if so > 0 && (i+1)%doneStep == 0 {
			points = append(points, Done{1e-6 * math.Pow(10, float64(i+1)/perDecade), so / sum})
		}
		if so > 0 && so >= sum*(1-1e-9) && (i+1)%doneStep == 0 {
			break
		}
	}
	return points
}

// times are what was spent in parts of the time, and how much was answered.
func (w *world) times(t *tally) []Time {
	every := w.log.timeOf()
	first := w.log.Start().Truncate(every)
	of := func(tick int64) int { return int(w.log.start.Add(time.Duration(tick)).Sub(first) / every) }
	n := of(int64(w.log.End().Sub(w.log.start))) + 1
	made, counted := make([]Time, n), make([]sums, n)
	for i := range made {
		made[i].From = first.Add(time.Duration(i) * every).UTC()
	}
	for _, at := range w.log.requests.at {
		made[of(int64(at)*int64(time.Millisecond))].Requests++
	}
	for i := range t.blocks {
		counted[min(max(of(t.blocks[i].from), 0), n-1)].add(&t.blocks[i].sums, t.blocks[i].weight)
	}
	for i := range made {
		if c := &counted[i]; c.requests > 0 {
			made[i].CostUSD = c.cost / 1e6 / c.requests * float64(made[i].Requests)
			made[i].Answered = c.answered / c.requests
		}
	}
	return made
}

func (w *world) openings(t *tally, names []string) (made []Opening) {
	for _, o := range t.opened {
		made = append(made, Opening{names[o.site], w.log.start.Add(time.Duration(o.from)).UTC(), w.log.start.Add(time.Duration(o.to)).UTC()})
	}
	slices.SortStableFunc(made, func(a, b Opening) int { return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Target, b.Target)) })
	return made[:min(len(made), mostOpenings)]
}
