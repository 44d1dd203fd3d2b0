package replay

import (
	"math"
	"math/rand/v2"
	"time"
)

// Relative tells whether a change of the metric is said as a part of what it was: 0.05
// is a twentieth more. Of the others it is the difference.
func (m Metric) Relative() bool {
	switch m {
	case Mean, P50, P95, P99, Cost, Calls:
		return true
	default:
		return false
	}
}

// changeOf is how far one reading is from another.
func changeOf(was, is reading) reading {
	made := reading{}
	for metric, x := range is {
		from, known := was[metric]
		switch {
		case !known:
		case !metric.Relative():
			made[metric] = x - from
		case from > 0:
			made[metric] = x/from - 1
		}
	}
	return made
}

// changes are how far a policy's metrics are from those of the one that made the log.
// Both met the same luck, at the same times, so that they are known better than either:
// blocks are drawn anew for both at once.
func (w *world) changes(g *gathered, policy int, self *SelfReplay, span time.Duration) map[Metric]Range {
	was, is := g.bySide[0], g.bySide[policy]
	at := changeOf(was[0].read(nil, span), is[0].read(nil, span))
	same := changeOf(g.beside[0].read(nil, span), g.beside[policy].read(nil, span))
	made := map[Metric]Range{}
	for metric, x := range at {
		made[metric] = Range{x, x, x}
	}
	for side := range was[1:] {
		for metric, x := range changeOf(was[side+1].read(nil, span), is[side+1].read(nil, span)) {
			if r, known := made[metric]; known {
				x = r.At + (x - same[metric])
				made[metric] = Range{r.At, min(r.Low, x), max(r.High, x)}
			}
		}
	}
	deviations := changesApart(was[0], is[0], span, w.seed)
	for metric, r := range made {
		off := 2*deviations[metric] + self.off(metric)*math.Abs(r.At)
		made[metric] = Range{r.At, r.Low - off, r.High + off}
	}
	return made
}

// off is how far a replay of what there was is off in a metric, as a part.
func (s *SelfReplay) off(metric Metric) float64 {
	if s == nil {
		return 0
	}
	ratio := s.Failures
	switch metric {
	case Mean, P50, P95, P99, Waited, WaitedLong:
		ratio = s.Latency
	case Cost:
		if ratio = s.Cost; ratio == 0 {
			return 0
		}
	}
	return min(math.Abs(math.Log(ratio)), 1)
}

// changesApart are the deviations of changes when blocks are drawn anew.
func changesApart(was, is *tally, span time.Duration, seed uint64) reading {
	random := rand.New(rand.NewPCG(seed, 0x6368616e6765))
	apart := func(draw func(times []float64)) reading {
		times := make([]float64, len(is.blocks))
		return spreadOf(func() reading {
			clear(times)
			draw(times)
			return changeOf(was.read(times, span), is.read(times, span))
		})
	}
	d := apart(is.week(random))
	if again := is.sample(random); again != nil {
		for metric, x := range apart(again) {
			d[metric] = math.Hypot(d[metric], x)
		}
	}
	return d
}
