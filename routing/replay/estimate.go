package replay

import (
	"math"
	"math/rand/v2"
	"sort"
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
const drawnAnew = 200

// deviations are how far the metrics of a tally are apart by chance: when as many blocks
// as the log has are drawn anew, and, where only some were run, when those of each
// stratum are drawn anew among themselves.
func (t *tally) deviations(span time.Duration, seed uint64) reading {
	random := rand.New(rand.NewPCG(seed, 0x626c6f636b73))
	d := t.apart(span, t.week(random))
	if again := t.sample(random); again != nil {
		for metric, x := range t.apart(span, again) {
			d[metric] = math.Hypot(d[metric], x)
		}
	}
	return d
}

// apart is the deviation of the metrics over many times that blocks are drawn anew.
func (t *tally) apart(span time.Duration, draw func(times []float64)) reading {
	times := make([]float64, len(t.blocks))
	return spreadOf(func() reading {
		clear(times)
		draw(times)
		return t.read(times, span)
	})
}

// spreadOf is the deviation of what is drawn, by metric.
func spreadOf(draw func() reading) reading {
	sum, squares := reading{}, reading{}
	for range drawnAnew {
		for metric, x := range draw() {
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

// week draws as many blocks as the log has, each as likely as what it stands for.
func (t *tally) week(random *rand.Rand) func(times []float64) {
	until := make([]float64, len(t.blocks))
	all := 0.0
	for i := range t.blocks {
		all += t.blocks[i].weight
		until[i] = all
	}
	return func(times []float64) {
		for range int(math.Round(all)) {
			at := min(sort.SearchFloat64s(until, random.Float64()*all), len(until)-1)
			times[at] += 1 / t.blocks[at].weight
		}
	}
}

// sample draws the blocks of each stratum anew; nil: all of the log was run.
func (t *tally) sample(random *rand.Rand) func(times []float64) {
	var of [strata][]int
	sampled := false
	for i := range t.blocks {
		b := &t.blocks[i]
		of[b.stratum] = append(of[b.stratum], i)
		sampled = sampled || b.weight > 1
	}
	if !sampled {
		return nil
	}
	return func(times []float64) {
		for stratum, blocks := range of {
			for _, i := range blocks {
				if stratum == always {
					times[i] = 1
					continue
				}
				times[blocks[random.IntN(len(blocks))]]++
			}
		}
	}
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

// fewBlocks say next to nothing of chance when they are drawn anew. Then the sides, each
// with its own luck of routers, stand for it; and of six draws the least and the most are too
// near each other for that, by about a deviation each.
const fewBlocks = 10

// deviationOf is that of some draws.
func deviationOf(drawn []float64) float64 {
	if len(drawn) < 2 {
		return 0
	}
	sum, squares, n := 0.0, 0.0, float64(len(drawn))
	for _, x := range drawn {
		sum += x
	}
	for _, x := range drawn {
		squares += (x - sum/n) * (x - sum/n)
	}
	return math.Sqrt(squares / (n - 1))
}

// ranges are the estimates of a policy: by the first side, between the least and the
// most of all, two deviations further, and as much further as a replay of what there was
// is off.
func ranges(sides []*tally, beside *tally, self *SelfReplay, span time.Duration, seed uint64) map[Metric]Range {
	at, same := sides[0].read(nil, span), beside.read(nil, span)
	deviations := sides[0].deviations(span, seed)
	made, drawn := map[Metric]Range{}, map[Metric][]float64{}
	for metric, x := range at {
		made[metric], drawn[metric] = Range{x, x, x}, []float64{x}
	}
	for _, side := range sides[1:] {
		for metric, x := range side.read(nil, span) {
			r := made[metric]
			x = r.At + (x - same[metric]) // of the stretches that both have
			made[metric], drawn[metric] = Range{r.At, min(r.Low, x), max(r.High, x)}, append(drawn[metric], x)
		}
	}
	for metric, r := range made {
		by := 2 * deviations[metric]
		if len(sides[0].blocks) < fewBlocks {
			by += deviationOf(drawn[metric])
		}
		r.Low, r.High = max(0, r.Low-by), r.High+by
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
	if s.Cost > 0 {
		by(s.Cost, Cost)
	}
	if r, is := made[Success]; is {
		made[Success] = Range{r.At, min(r.Low, 1-made[Failure].High), max(r.High, 1-made[Failure].Low)}
	}
	if r, is := made[Calls]; is { // there is one at least
		made[Calls] = Range{r.At, max(r.Low, min(1, r.At)), r.High}
	}
}

// shareRanges are those of the calls of each target.
func shareRanges(names []string, sides []*tally, beside *tally) map[string]Range {
	made := map[string]Range{}
	at, same := sharesOf(sides[0].calls), sharesOf(beside.calls)
	for t, name := range names {
		made[name] = Range{at[t], at[t], at[t]}
	}
	for _, side := range sides[1:] {
		for t, share := range sharesOf(side.calls) {
			r := made[names[t]]
			share = min(max(r.At+share-same[t], 0), 1)
			made[names[t]] = Range{r.At, min(r.Low, share), max(r.High, share)}
		}
	}
	return made
}
