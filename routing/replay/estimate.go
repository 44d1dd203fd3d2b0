package replay

import (
	"math"
	"math/rand/v2"
	"time"
)

const week = 7 * 24 * time.Hour

// A reading is what a tally says, by metric.
type reading map[Metric]float64

// read says what the blocks come to, each of them counted so often as times says (nil:
// once).
func (t *tally) read(times []float64, span time.Duration) reading {
	var all sums
	var s spread
	for i := range t.blocks {
		b := &t.blocks[i]
		n := b.weight
		if times != nil {
			n *= times[i]
		}
		if n != 0 {
			all.add(&b.sums, n)
			s.add(&b.spread, n)
		}
	}
	return all.reading(&s, span)
}

func (s *sums) reading(of *spread, span time.Duration) reading {
	share := func(part, of float64) float64 { return part / max(of, 1e-9) }
	r := reading{
		Success: share(s.answered, s.requests), Failure: share(s.requests-s.answered, s.requests),
		Mean: share(s.completion, s.ended), P50: of.quantile(0.5), P95: of.quantile(0.95), P99: of.quantile(0.99),
		Cost: 1000 * share(s.cost, s.requests) / 1e6, Calls: share(s.calls, s.requests), Reroutes: 1000 * share(s.reroutes, s.requests),
		Waited: share(s.waited, s.ended), WaitedLong: share(s.waitedLong, s.ended),
		Tripped: s.tripped * float64(week) / float64(max(span, time.Hour)),
	}
	if s.deadlines > 0 {
		r[DeadlinesMet] = share(s.met, s.deadlines)
	}
	return r
}

// drawnAnew is how often blocks are drawn anew.
const drawnAnew = 100

// deviations are how far the metrics of a tally are apart when its blocks are drawn
// anew, those of each stratum among themselves: the standard error of chance, and of
// having run only some of them.
func (t *tally) deviations(span time.Duration, seed uint64) reading {
	var strata [][]int
	for i := range t.blocks {
		s := t.blocks[i].stratum
		for len(strata) <= s {
			strata = append(strata, nil)
		}
		strata[s] = append(strata[s], i)
	}
	random := rand.New(rand.NewPCG(seed, 0x626c6f636b73))
	times := make([]float64, len(t.blocks))
	sum, squares := reading{}, reading{}
	for range drawnAnew {
		clear(times)
		for _, of := range strata {
			for range of {
				times[of[random.IntN(len(of))]]++
			}
		}
		for metric, x := range t.read(times, span) {
			sum[metric] += x
			squares[metric] += x * x
		}
	}
	d := reading{}
	for metric, x := range sum {
		mean := x / drawnAnew
		d[metric] = math.Sqrt(max(0, squares[metric]/drawnAnew-mean*mean))
	}
	return d
}

// sharesOf are those of the calls.
func sharesOf(calls []float64) []float64 {
	all := 0.0
	for _, n := range calls {
		all += n
	}
	shares := make([]float64, len(calls))
	for i, n := range calls {
		shares[i] = n / max(all, 1e-9)
	}
	return shares
}

// ranges are the estimates of a policy: by the first side, between the least and the
// most of all, two deviations further, and as much further as a replay of what there was
// is off.
func ranges(sides []*tally, self *SelfReplay, span time.Duration, seed uint64) map[Metric]Range {
	at := sides[0].read(nil, span)
	deviations := sides[0].deviations(span, seed)
	made := map[Metric]Range{}
	for metric, x := range at {
		made[metric] = Range{x, x, x}
	}
	for _, side := range sides[1:] {
		for metric, x := range side.read(nil, span) {
			r := made[metric]
			made[metric] = Range{r.At, min(r.Low, x), max(r.High, x)}
		}
	}
	for metric, r := range made {
		r.Low, r.High = max(0, r.Low-2*deviations[metric]), r.High+2*deviations[metric]
		made[metric] = r
	}
	if self != nil {
		self.widen(made)
	}
	for _, metric := range []Metric{Success, Failure, WaitedLong, DeadlinesMet} {
		if r, is := made[metric]; is {
			r.High = min(r.High, 1)
			made[metric] = r
		}
	}
	return made
}

// widen makes ranges as much wider as the replay of what there was is off.
func (s *SelfReplay) widen(made map[Metric]Range) {
	by := func(factor float64, of ...Metric) {
		if factor < 1 {
			factor = 1 / max(factor, 1e-3)
		}
		for _, metric := range of {
			if r, is := made[metric]; is {
				made[metric] = Range{r.At, r.Low / factor, r.High * factor}
			}
		}
	}
	by(s.Latency, Mean, P50, P95, P99, Waited, WaitedLong)
	by(s.Failures, Failure, Calls, Reroutes, Tripped)
	by(s.Cost, Cost)
	if r, is := made[Success]; is {
		made[Success] = Range{r.At, min(r.Low, 1-made[Failure].High), max(r.High, 1-made[Failure].Low)}
	}
	if r, is := made[Calls]; is { // there is one at least
		made[Calls] = Range{r.At, max(r.Low, min(1, r.At)), r.High}
	}
}

// shareRanges are those of the calls of each target.
func shareRanges(names []string, sides []*tally) map[string]Range {
	made := map[string]Range{}
	for i, side := range sides {
		for t, share := range sharesOf(side.calls) {
			r := made[names[t]]
			if i == 0 {
				r = Range{share, share, share}
			}
			made[names[t]] = Range{r.At, min(r.Low, share), max(r.High, share)}
		}
	}
	return made
}
