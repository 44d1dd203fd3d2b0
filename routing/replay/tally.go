package replay

import (
	"math"
	"time"

	"tidegate/jobs"
)

// sums are what is counted of the requests of one block of time.
type sums struct {
	requests, answered, refused, expired, unfinished float64
	ended                                            float64 // answered or refused
	completion                                       float64 // seconds of these, from when they came
	waited                                           float64 // seconds of these in which they were not called
	waitedLong                                       float64 // of these, who waited for more than a second
	calls, reroutes                                  float64
	cost                                             float64 // micro-USD
	deadlines, met                                   float64
	tripped                                          float64
}

func (s *sums) add(o *sums, times float64) {
	s.requests += times * o.requests
	s.answered += times * o.answered
	s.refused += times * o.refused
	s.expired += times * o.expired
	s.unfinished += times * o.unfinished
	s.ended += times * o.ended
	s.completion += times * o.completion
	s.waited += times * o.waited
	s.waitedLong += times * o.waitedLong
	s.calls += times * o.calls
	s.reroutes += times * o.reroutes
	s.cost += times * o.cost
	s.deadlines += times * o.deadlines
	s.met += times * o.met
	s.tripped += times * o.tripped
}

// A block is a part of the time, with what is counted of its requests. Blocks are drawn
// anew to see how much hangs on chance.
type block struct {
	sums
	from    int64 // nanoseconds of the log
	stratum int
	weight  float64 // how many blocks it stands for
	spread  histogram
}

// A tally is what is counted of a run, or of several that belong together.
type tally struct {
	blocks  []block
	start   int64 // of the first block, in nanoseconds of the log
	length  int64 // of a block
	calls   []float64
	peaks   []float64 // calls a second of the busiest minute, by site
	tripped []float64
	missing []float64 // calls of which nothing is known
	draws   float64
	far     float64
	drains  []drain
	opened  []opened
}

func newTally(sites int) *tally {
	t := &tally{}
	t.calls, t.peaks, t.tripped, t.missing = make([]float64, sites), make([]float64, sites), make([]float64, sites), make([]float64, sites)
	return t
}

// tallyOf is one for the blocks of a stretch.
func tallyOf(l *Log, s *stretch, sites int, length time.Duration) *tally {
	t := newTally(sites)
	last := int64(l.requests.at[s.to-1]) * int64(time.Millisecond)
	t.start, t.length = int64(l.requests.at[s.counted])*int64(time.Millisecond), int64(length)
	t.blocks = make([]block, (last-t.start)/t.length+1)
	for i := range t.blocks {
		t.blocks[i].from = t.start + int64(i)*t.length
		t.blocks[i].weight, t.blocks[i].stratum = s.weight, s.stratum
	}
	return t
}

// at is the block of a time.
func (t *tally) at(ns int64) *block {
	return &t.blocks[min(max((ns-t.start)/t.length, 0), int64(len(t.blocks)-1))]
}

// call counts one that begins.
func (t *tally) call(r *run, s *site, j *job) {
	t.calls[s.place] += r.weight
	b := t.at(j.came)
	b.calls++
	if j.calls > 0 && j.site != s {
		b.reroutes++
	}
}

// load counts one for the peak of its target.
func (t *tally) load(r *run, s *site) {
	if minute := r.at / int64(time.Minute); minute != s.minute {
		s.minute, s.calls = minute, 0
	}
	if s.calls++; r.counting() {
		t.peaks[s.place] = max(t.peaks[s.place], s.calls/60)
	}
}

func (t *tally) cost(j *job, cost jobs.MicroUSD) { t.at(j.came).cost += float64(cost) }

func (t *tally) trip(r *run, s *site) {
	if r.counting() {
		t.tripped[s.place] += r.weight
		t.at(r.at).tripped++
		t.opened = append(t.opened, opened{s.place, r.at, r.at})
	}
}

// close ends the time in which a circuit was open.
func (t *tally) close(r *run, s *site) {
	for i := len(t.opened) - 1; i >= 0; i-- {
		if o := &t.opened[i]; o.site == s.place {
			if o.to == o.from {
				o.to = r.at
			}
			return
		}
	}
}

// drew counts what a call was drawn from; nil: there was nothing.
func (t *tally) drew(s *site, m *met, tick uint32, weight float64) {
	t.draws += weight
	if m == nil {
		t.missing[s.place] += weight
		return
	}
	if apart := time.Duration(int64(m.at)-int64(tick)) * time.Millisecond; apart > farAway || apart < -farAway {
		t.far += weight
	}
}

// end counts a request that is over.
func (t *tally) end(r *run, j *job, as ending) {
	b := t.at(j.came)
	b.requests++
	if !j.request.Deadline.IsZero() {
		b.deadlines++
		if as == answered && !r.is.After(j.request.Deadline) {
			b.met++
		}
	}
	switch as {
	case answered:
		b.answered++
	case refused:
		b.refused++
	case expired:
		b.expired++
		return
	}
	took := time.Duration(r.at - j.came)
	waited := max(0, took-j.on)
	b.ended++
	b.completion += took.Seconds()
	b.waited += waited.Seconds()
	if waited > time.Second {
		b.waitedLong++
	}
	b.spread.add(took)
}

// left counts those that were not over when the run was.
func (t *tally) left(r *run) {
	b := t.at(r.at)
	b.requests += float64(r.counts)
	b.unfinished += float64(r.counts)
	for _, s := range r.order {
		if s.open {
			t.close(r, s)
		}
	}
}

// A histogram counts durations by their logarithm: buckets are 4% wide.
type histogram struct {
	from  int // the first of counts
	count []float32
}

const (
	perDecade = 60
	bucketsOf = 14 * perDecade // from a microsecond to three years
)

func bucketOf(d time.Duration) int {
	if d <= time.Microsecond {
		return 0
	}
	return min(bucketsOf-1, int(perDecade*math.Log10(float64(d)/float64(time.Microsecond))))
}

func (h *histogram) add(d time.Duration) {
	at := bucketOf(d)
	switch {
	case len(h.count) == 0:
		h.from, h.count = at, make([]float32, 1, 64)
	case at < h.from:
		h.count = append(make([]float32, h.from-at), h.count...)
		h.from = at
	}
	for at >= h.from+len(h.count) {
		h.count = append(h.count, 0)
	}
	h.count[at-h.from]++
}

// A spread is a histogram of all blocks.
type spread [bucketsOf]float64

func (s *spread) add(h *histogram, times float64) {
	for i, n := range h.count {
		s[h.from+i] += times * float64(n)
	}
}

// quantile is in seconds; zero of none.
func (s *spread) quantile(q float64) float64 {
	all := 0.0
	for _, n := range s {
		all += n
	}
	if all == 0 {
		return 0
	}
	rest := q * all
	for i, n := range s {
		if rest <= n && n > 0 {
			return 1e-6 * math.Pow(10, (float64(i)+rest/n)/perDecade)
		}
		rest -= n
	}
	return 1e-6 * math.Pow(10, bucketsOf/perDecade)
}
