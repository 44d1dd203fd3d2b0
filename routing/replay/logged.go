package replay

import (
	"sort"
	"time"

	"tidegate/jobs"
)

// A pastOf is what became of the requests of some stretches of a log, as the log has it:
// of those alone that are counted, for a log may have millions.
type pastOf struct {
	stretches []stretch // in the order of time
	before    []int     // by stretch: how many requests those before it have

	done   []uint32 // when its last call ended, in tenths of a millisecond after it came
	on     []uint32 // for how long it was called, likewise
	cost   []uint32 // micro-USD
	calls  []uint8
	moves  []uint8 // calls that went elsewhere than the one before
	last   []uint16
	answer []bool
}

const tenth = 100 * time.Microsecond

// logged counts what became of the requests of some stretches, as if it were a run.
func (w *world) logged(p *plan) *tally {
	l := w.log
	t := newTally(len(l.targets))
	of := l.past(p.stretches)
	for i := range p.stretches {
		s := &p.stretches[i]
		part := tallyOf(l, s, len(l.targets), p.length)
		for i := s.counted; i < s.to; i++ {
			of.count(l, i, of.place(i), part.at(int64(l.requests.at[i])*int64(time.Millisecond)))
		}
		t.join(part)
	}
	for i, target := range l.attempts.target {
		if l.attempts.request[i] != noRequest {
			t.calls[target]++
		}
	}
	return t
}

func (l *Log) past(stretches []stretch) *pastOf {
	of := &pastOf{stretches: stretches}
	n := 0
	for i := range stretches {
		of.before = append(of.before, n)
		n += stretches[i].to - stretches[i].counted
	}
	of.done, of.on, of.cost, of.calls = make([]uint32, n), make([]uint32, n), make([]uint32, n), make([]uint8, n)
	of.moves, of.last, of.answer = make([]uint8, n), make([]uint16, n), make([]bool, n)
	a := &l.attempts
	for i, asker := range a.request {
		if asker == noRequest {
			continue
		}
		request := of.place(int(asker))
		if request < 0 {
			continue
		}
		began := max(0, int64(a.at[i])-int64(l.requests.at[asker])) * int64(time.Millisecond/tenth)
		takes := int64(a.latency[i]) / int64(tenth/time.Microsecond)
		of.done[request] = max(of.done[request], uint32(began+takes))
		of.on[request] += uint32(takes)
		of.cost[request] += a.cost[i]
		if of.calls[request] > 0 && of.last[request] != a.target[i] {
			of.moves[request]++
		}
		of.last[request] = a.target[i]
		of.calls[request] = max(of.calls[request], of.calls[request]+1)
		of.answer[request] = of.answer[request] || classes[a.class[i]] == jobs.OK
	}
	return of
}

// place is where a request stands here; below zero: it is not counted.
func (of *pastOf) place(request int) int {
	i := sort.Search(len(of.stretches), func(i int) bool { return of.stretches[i].counted > request }) - 1
	if i < 0 || request >= of.stretches[i].to {
		return -1
	}
	return of.before[i] + request - of.stretches[i].counted
}

// count adds a request of the log, that stands at a place, to a block.
func (of *pastOf) count(l *Log, request, i int, b *block) {
	b.requests++
	b.calls += float64(of.calls[i])
	b.reroutes += float64(of.moves[i])
	b.cost += float64(of.cost[i])
	took := time.Duration(of.done[i]) * tenth
	if after := l.requests.deadline.get(request); after > 0 {
		b.deadlines++
		if of.answer[i] && took <= time.Duration(after)*time.Millisecond {
			b.met++
		}
	}
	switch {
	case of.answer[i]:
		b.answered++
	case of.calls[i] > 0:
		b.refused++
	default:
		b.unfinished++
		return
	}
	waited := took - time.Duration(of.on[i])*tenth
	b.ended++
	b.completion += took.Seconds()
	b.waited += max(0, waited).Seconds()
	if waited > time.Second {
		b.waitedLong++
	}
	b.spread.add(took)
}
