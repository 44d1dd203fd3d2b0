package replay

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// A plan is which stretches of the log are run.
//
// The router takes some microseconds for a request, and a policy is run six times and
// more: a long log is sampled. Its time is cut into blocks, which are ranked by how much
// trouble its targets had; the worst are a stratum, those in the middle and the calm ones
// two more. Of each stratum some are run, evenly over the time, more of the worse ones,
// and count for the others; what comes right before a block warms the router up. What
// is lost by that is part of the intervals: blocks are drawn anew from the sample, and
// not from all.
//
//	──calm──┬─stormy─┬──calm──┬──calm──┬──────outage──────┬──calm──┬─middling─┬──
//	        ···██████             ·····└ always, as one ──┘      ···██████████
//	   warm ┘   └ counted
//
// Blocks in which an added outage begins, goes on or is got over are always run, as one
// stretch: what waits at the end of one waits at the beginning of the next.
type plan struct {
	stretches []stretch
	length    time.Duration // of the blocks that are drawn anew to see how much hangs on chance
	sampled   float64       // share of the requests
}

const (
	// Blocks are at least so long, have at most about so many requests unless they were
	// more than mostBlocks then, and are as many.
	blockLength   = 10 * time.Minute
	mostBlocks    = 1000
	blockRequests = 4000
	leastBlock    = time.Minute

	// DefaultBudget is how many requests are run altogether, by all policies.
	DefaultBudget = 3_000_000
	// sideShare is the part of the stretches that are run for each side but the first: how
	// far they are apart is seen with fewer than it takes to see where they are.
	sideShare = 1.0 / 3

	// warmUp is for how long a run goes on before it counts; what takes longer to know,
	// the router is told.
	warmUp = 3 * time.Minute
	// gotOver is how long after an outage a stretch goes on, and as long as it lasted.
	gotOver = 10 * time.Minute
)

// The strata, of rising trouble; what is always run is one, too.
const (
	calm = iota
	middling
	stormy
	always
	strata
)

// Which part of the blocks each stratum has, and which part of the sample.
var (
	partOf  = [strata]float64{calm: 0.6, middling: 0.3, stormy: 0.1}
	shareOf = [strata]float64{calm: 0.3, middling: 0.3, stormy: 0.4}
)

// A span is a block of a log's time, and its requests.
type span struct {
	from, to int
	trouble  float64
	stratum  int
}

// plan is the whole log, in one stretch, where there is time for it, and else a sample.
func (w *world) plan(policies int, o Options) *plan {
	all := w.log.End().Sub(w.log.Start())
	p := &plan{sampled: 1, length: max(blockLength, all/mostBlocks), stretches: []stretch{{to: w.log.Requests(), weight: 1}}}
	runs := float64(policies) * (1 + sideShare*float64(len(sides)-1))
	budget := float64(cmp.Or(o.Budget, DefaultBudget)) / runs
	if o.Whole || float64(w.log.Requests())*(1+float64(policies*(len(sides)-1)))/runs <= budget {
		return p
	}
	p.length = min(p.length, max(leastBlock, time.Duration(float64(all)*blockRequests/float64(w.log.Requests()))))
	spans := w.spans(p.length)
	rank(spans)
	w.outed(spans, p.length)
	p.choose(w, spans, budget)
	return p
}

// spans cuts the log into blocks, and sees how much trouble each had.
func (w *world) spans(length time.Duration) []span {
	l := w.log
	ticks := uint32(length / time.Millisecond)
	spans := make([]span, l.requests.at[l.Requests()-1]/ticks+1)
	for i, at := range l.requests.at {
		spans[at/ticks].to = i + 1
	}
	for i := range spans {
		if i > 0 {
			spans[i].from = spans[i-1].to
			spans[i].to = max(spans[i].to, spans[i].from)
		}
	}
	for t := range w.pools {
		w.pools[t].troubles(spans, ticks)
	}
	return spans
}

// troubles adds to each block how far its target was from what is usual in it: how
// many times longer calls took, and how many more failed.
func (p *pool) troubles(spans []span, ticks uint32) {
	type sum struct{ calls, failed, ok, each float64 }
	sums := make([]sum, len(spans))
	var all sum
	for i := range p.mets {
		m := &p.mets[i]
		s := &sums[min(int(m.at/ticks), len(spans)-1)]
		if s.calls++; classes[m.class].Trips() {
			s.failed++
			all.failed++
			continue
		}
		each := float64(m.latency) / (float64(m.output) + p.start + 1)
		s.ok, s.each = s.ok+1, s.each+each
		all.ok, all.each = all.ok+1, all.each+each
	}
	usual, failing := all.each/max(all.ok, 1), all.failed/max(float64(len(p.mets)), 1)
	for i := range spans {
		s := &sums[i]
		if s.calls < troubleLeast {
			continue
		}
		trust := s.calls / (s.calls + troubleTrust)
		if s.ok > 0 && usual > 0 {
			spans[i].trouble += trust * math.Abs(math.Log(s.each/s.ok/usual))
		}
		spans[i].trouble += trust * failuresCount * math.Abs(s.failed/s.calls-failing)
	}
}

const (
	troubleLeast  = 3  // calls of a block that say something of its target
	troubleTrust  = 20 // calls of which half is believed
	failuresCount = 10 // a tenth more that fail is as bad as calls that take three times as long
)

// rank puts blocks into their strata. Those without a request stay out of it.
func rank(spans []span) {
	order := make([]int, 0, len(spans))
	for i := range spans {
		if spans[i].to > spans[i].from {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(spans[a].trouble, spans[b].trouble) })
	for at, i := range order {
		switch x := float64(at) / float64(len(order)); {
		case x < partOf[calm]:
			spans[i].stratum = calm
		case x < partOf[calm]+partOf[middling]:
			spans[i].stratum = middling
		default:
			spans[i].stratum = stormy
		}
	}
}

// outed has all blocks run in which there is something of an added outage.
func (w *world) outed(spans []span, length time.Duration) {
	for i := range w.outages {
		o := &w.outages[i]
		from, to := o.From.Sub(w.log.start)-length, o.From.Sub(w.log.start)+2*o.For+gotOver
		for at := min(max(0, from/length), time.Duration(len(spans)-1)); at <= to/length && int(at) < len(spans); at++ {
			spans[at].stratum = always
		}
	}
}

// choose takes blocks of each stratum, evenly over the time, as far as the budget goes.
func (p *plan) choose(w *world, spans []span, budget float64) {
	var of [strata][]int
	var requests [strata]float64
	for i := range spans {
		if s := &spans[i]; s.to > s.from {
			of[s.stratum] = append(of[s.stratum], i)
			requests[s.stratum] += float64(s.to - s.from)
		}
	}
	p.stretches = joined(w, spans, of[always])
	ran := requests[always]
	budget -= ran
	each := 1 + float64(warmUp)/float64(p.length) // what a block costs, as a part of its requests
	for s := range always {
		some := evenly(of[s], max(0, budget)*shareOf[s]/each/max(requests[s], 1), mix(w.seed, uint64(s), 3))
		taken := 0.0
		for _, i := range some {
			taken += float64(spans[i].to - spans[i].from)
		}
		for _, i := range some {
			p.stretches = append(p.stretches, w.stretchOf(&spans[i], s, requests[s]/taken))
		}
		ran += taken
	}
	slices.SortFunc(p.stretches, func(a, b stretch) int { return cmp.Compare(a.counted, b.counted) })
	for i := range p.stretches {
		p.stretches[i].number = uint64(i)
	}
	p.sampled = ran / float64(w.log.Requests())
}

// joined makes one stretch of blocks that follow each other.
func joined(w *world, spans []span, of []int) []stretch {
	var made []stretch
	for at := 0; at < len(of); {
		whole := spans[of[at]]
		for at++; at < len(of) && of[at] == of[at-1]+1; at++ {
			whole.to = spans[of[at]].to
		}
		made = append(made, w.stretchOf(&whole, always, 1))
	}
	return made
}

func (w *world) stretchOf(s *span, stratum int, weight float64) stretch {
	from := w.log.requests.at[s.from] - min(w.log.requests.at[s.from], uint32(warmUp/time.Millisecond))
	first, _ := slices.BinarySearch(w.log.requests.at[:s.from], from)
	return stretch{from: first, counted: s.from, to: s.to, stratum: stratum, weight: weight}
}

// leastOfStratum is how many blocks of a stratum are run at least, so that it is seen
// how far they are apart.
const leastOfStratum = 4

// evenly takes a share of a list: one of so many that follow each other, whichever.
func evenly(of []int, share float64, seed uint64) []int {
	n := min(len(of), max(leastOfStratum, int(math.Round(share*float64(len(of))))))
	some := make([]int, n)
	for i := range some {
		from, to := i*len(of)/n, (i+1)*len(of)/n
		some[i] = of[from+int(mix(seed, uint64(i), 0)%uint64(to-from))]
	}
	return some
}

// sided tells whether a stretch is run for the sides but the first, too: one of three of
// each stratum, and what is always run.
func (p *plan) sided() []bool {
	is := make([]bool, len(p.stretches))
	var met [strata]int
	for i := range p.stretches {
		s := p.stretches[i].stratum
		is[i] = s == always || len(p.stretches) == 1 || met[s]%int(1/sideShare) == 0
		met[s]++
	}
	return is
}
