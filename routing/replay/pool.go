package replay

import (
	"math"
	"slices"
	"sort"

	"tidegate/jobs"
)

// A met is what a call of the past met, as far as another one may meet the same: of
// sixteen bytes, for there are millions.
type met struct {
	at      uint32 // of the log: when the call began
	latency uint32 // microseconds
	output  uint32 // tokens of the answer; zero: none, or not known
	class   uint8  // of classes
	first   uint8  // the first byte, in parts of the latency, of 255; zero: not known
	cached  uint8  // of the prompt, in parts of 255
}

// A pool is what the calls of one target met, in the order of time. It is not changed
// once it is there.
type pool struct {
	mets  []met
	start float64 // tokens that a call takes as long as, beside those of its answer
	limit limit
	peak  float64 // calls a second, in the busiest minute of the log
}

// poolsOf are those of all targets of a log, by their number.
func poolsOf(l *Log) []pool {
	pools := make([]pool, len(l.targets))
	a := &l.attempts
	count := make([]int, len(pools))
	for i, t := range a.target {
		if l.tells(i) {
			count[t]++
		}
	}
	for t, n := range count {
		pools[t].mets = make([]met, 0, n)
	}
	for i, t := range a.target {
		if l.tells(i) {
			pools[t].mets = append(pools[t].mets, l.met(i))
		}
	}
	limits, peaks := limitsOf(l), peaksOf(l)
	for t := range pools {
		pools[t].start = startOf(pools[t].mets)
		pools[t].limit, pools[t].peak = limits[t], peaks[t]
	}
	return pools
}

// tells tells whether what a call met is a matter of its target, and of the time. What
// is the request's own fault goes with the request, a 429 comes of how much was asked,
// and a minimal call that was answered is too short to be compared.
func (l *Log) tells(i int) bool {
	a := &l.attempts
	class, flags := classes[a.class[i]], a.flags[i]
	switch {
	case class == jobs.Rate, class == jobs.Lost, class.Scope() == jobs.OnRequest, flags&flagBlamed != 0:
		return false
	case a.request[i] == noRequest:
		return class != jobs.OK
	}
	return true
}

func (l *Log) met(i int) met {
	a := &l.attempts
	m := met{at: a.at[i], latency: a.latency[i], class: a.class[i], first: part(a.first.get(i), a.latency[i])}
	switch request := l.requestOf(i); {
	case a.flags[i]&flagOwnUsage != 0:
		use := a.usages[uint32(i)]
		m.output, m.cached = uint32(use.Output), part(uint32(use.CachedInput), uint32(use.Input))
	case request >= 0 && (a.flags[i]&flagUsage != 0 || classes[m.class] == jobs.Timeout):
		r := &l.requests
		m.output, m.cached = r.output.get(request), part(r.cached.get(request), r.input.get(request))
	}
	return m
}

// part is how much of a whole something is, of 255; what there is at all is one at
// least.
func part(of, whole uint32) uint8 {
	if of == 0 || whole == 0 {
		return 0
	}
	return uint8(max(1, min(255, math.Round(255*float64(of)/float64(whole)))))
}

// startMost bounds how many calls are looked at to find out how their latency goes with
// the length of their answers.
const startMost = 20_000

// starts are what may be the tokens that a call takes as long as, beside those of its
// answer.
var starts = []float64{0, 5, 10, 15, 20, 30, 40, 60, 80, 100, 130, 160, 200, 250, 300, 400, 600, 1000, 2000, 4000}

// startOf finds that number: the one by which the latency per token depends least on
// anything else.
func startOf(mets []met) float64 {
	step := max(1, len(mets)/startMost)
	best, least := usualStart, math.Inf(1)
	for _, start := range starts {
		var sum, squares, n float64
		for i := 0; i < len(mets); i += step {
			if m := &mets[i]; classes[m.class] == jobs.OK && m.latency > 0 && m.output > 0 {
				x := math.Log(float64(m.latency) / (float64(m.output) + start))
				sum, squares, n = sum+x, squares+x*x, n+1
			}
		}
		if n < 2*startLeast {
			return usualStart
		}
		if spread := squares/n - sum/n*sum/n; spread < least {
			best, least = start, spread
		}
	}
	return best
}

const (
	usualStart = 60.0 // where too few calls tell
	startLeast = 20
)

// from is the place of the first that began at a time or after it.
func (p *pool) from(tick uint32) int {
	return sort.Search(len(p.mets), func(i int) bool { return p.mets[i].at >= tick })
}

// peaksOf are the calls a second of the busiest minute, by target.
func peaksOf(l *Log) []float64 {
	const minute = 60_000
	peaks, now, since := make([]float64, len(l.targets)), make([]int, len(l.targets)), make([]uint32, len(l.targets))
	for i, t := range l.attempts.target {
		if of := l.attempts.at[i] / minute; of != since[t] {
			now[t], since[t] = 0, of
		}
		now[t]++
		peaks[t] = max(peaks[t], float64(now[t])/60)
	}
	return peaks
}

// A fault is what a request met that was its own doing, wherever it was sent.
type faults map[uint32]jobs.Class

// faultsOf are those of all requests of a log. One that was answered elsewhere has
// none.
func faultsOf(l *Log) faults {
	f := faults{}
	a := &l.attempts
	for i, request := range a.request {
		if request == noRequest {
			continue
		}
		switch class := classes[a.class[i]]; {
		case class.Scope() == jobs.OnRequest, a.flags[i]&flagBlamed != 0:
			f[request] = class
		case class == jobs.OK && len(f) > 0:
			delete(f, request)
		}
	}
	return f
}

// number is that of a target by its name; below zero: the log has no call of it.
func (l *Log) number(target string) int {
	if at, found := slices.BinarySearch(l.targets, target); found {
		return at
	}
	return -1
}
