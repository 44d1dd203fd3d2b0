package replay

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"tidegate/jobs"
)

// ErrEmpty says that a log has no requests.
var ErrEmpty = errors.New("the log holds no request: there is nothing to replay; ask for a longer time, or for another route")

// Log returns what was added, in order. The Builder is used up.
func (b *Builder) Log() (*Log, error) {
	l := b.log
	if len(l.requests.at) == 0 {
		return nil, ErrEmpty
	}
	if b.unsorted {
		b.orderRequests()
	}
	if b.mixed > 0 {
		l.warn("%d of %d requests stood out of order: they were sorted by time", b.mixed, len(l.requests.at))
	}
	if b.called {
		b.orderAttempts()
	}
	if n := b.dropRepeated(); n > 0 {
		l.warn("%d calls stood there more than once, of the same request, time, target and latency: each counts once", n)
	}
	b.shift(-time.Duration(l.requests.first(l.attempts.at)) * time.Millisecond)
	b.orderTargets()
	if b.early > 0 {
		l.warn("%d of %d calls began more than %s before their requests came: the clocks of the database and of the workers differ", b.early, len(l.attempts.at), earlyCall)
	}
	if b.capped > 0 {
		l.warn("%d numbers were larger than a log holds, and count as the largest that it does", b.capped)
	}
	if b.instant > 0 {
		l.warn("%d of %d calls were answered and took no time, which no call does: the log does not tell how long they took, and times are too short by that", b.instant, len(l.attempts.at))
	}
	if len(l.attempts.at) == 0 {
		l.warn("no request has a call: the log tells when requests came, and nothing of how targets do")
	}
	return l, nil
}

func (l *Log) warn(format string, args ...any) {
	l.warnings = append(l.warnings, fmt.Sprintf(format, args...))
}

// first is the time of the first record.
func (r *requests) first(calls []uint32) uint32 {
	if len(calls) > 0 {
		return min(r.at[0], calls[0])
	}
	return r.at[0]
}

// places lists 0 to n-1 by a key; of equals, the first that came.
func places(by []uint32) []uint32 {
	order := make([]uint32, len(by))
	ends := []int{} // of the runs that are in order already
	for i := range order {
		order[i] = uint32(i)
		if i > 0 && by[i] < by[i-1] {
			ends = append(ends, i)
		}
	}
	if ends = append(ends, len(by)); len(ends) > manyRuns {
		slices.SortFunc(order, func(a, b uint32) int { return cmp.Or(cmp.Compare(by[a], by[b]), cmp.Compare(a, b)) })
		return order
	}
	return merged(order, by, ends)
}

// manyRuns are so many that to sort takes less than to merge them.
const manyRuns = 256

// merged merges neighbouring runs until there is one.
func merged(order, by []uint32, ends []int) []uint32 {
	into := make([]uint32, len(order))
	for len(ends) > 1 {
		var left []int
		from := 0
		for i := 0; i < len(ends); i += 2 {
			middle, to := ends[i], ends[min(i+1, len(ends)-1)]
			merge(into[from:to], order[from:middle], order[middle:to], by)
			left = append(left, to)
			from = to
		}
		order, into, ends = into, order, left
	}
	return order
}

// merge merges two runs into one.
func merge(into, a, b, by []uint32) {
	for i := range into {
		if len(b) == 0 || len(a) > 0 && by[a[0]] <= by[b[0]] {
			into[i], a = a[0], a[1:]
		} else {
			into[i], b = b[0], b[1:]
		}
	}
}

// orderRequests sorts them by time, and tells where each went.
func (b *Builder) orderRequests() (to []uint32) {
	r := &b.log.requests
	order := places(r.at)
	r.at, r.kind = reordered(r.at, order), reordered(r.kind, order)
	for _, c := range []*column[uint32]{&r.deadline, &r.most, &r.body, &r.input, &r.output, &r.cached, &r.reasoning} {
		c.reorder(order)
	}
	to = make([]uint32, len(order))
	for place, was := range order {
		to[was] = uint32(place)
	}
	for i, was := range b.log.attempts.request {
		if was != noRequest {
			b.log.attempts.request[i] = to[was]
		}
	}
	return to
}

func (b *Builder) orderAttempts() { b.log.attempts.reorder(places(b.log.attempts.at)) }

// dropRepeated drops calls that stand there more than once, as where files of times that
// overlap are read, and tells how many. They are in the order of time.
func (b *Builder) dropRepeated() int {
	type call struct {
		request, latency uint32
		target           uint16
		class            uint8
	}
	a := &b.log.attempts
	var kept []uint32 // nil: all
	seen := map[call]bool{}
	for from, to := 0, 0; from < len(a.at); from = to {
		for to = from + 1; to < len(a.at) && a.at[to] == a.at[from]; to++ {
		}
		clear(seen)
		for i := from; i < to; i++ {
			is := call{a.request[i], a.latency[i], a.target[i], a.class[i]}
			repeated := to > from+1 && is.request != noRequest && seen[is]
			if repeated && kept == nil {
				kept = make([]uint32, i, len(a.at))
				for j := range kept {
					kept[j] = uint32(j)
				}
			}
			if kept != nil && !repeated {
				kept = append(kept, uint32(i))
			}
			if to > from+1 {
				seen[is] = true
			}
		}
	}
	if kept == nil {
		return 0
	}
	n := len(a.at) - len(kept)
	a.reorder(kept)
	return n
}

// reorder has those at some places stay, in their order.
func (a *attempts) reorder(order []uint32) {
	a.at, a.request, a.latency, a.cost = reordered(a.at, order), reordered(a.request, order), reordered(a.latency, order), reordered(a.cost, order)
	a.target, a.propensity = reordered(a.target, order), reordered(a.propensity, order)
	a.class, a.flags = reordered(a.class, order), reordered(a.flags, order)
	a.first.reorder(order)
	usages := make(map[uint32]jobs.Usage, len(a.usages))
	for place, was := range order {
		if usage, own := a.usages[was]; own {
			usages[uint32(place)] = usage
		}
	}
	a.usages = usages
}

func reordered[T any](of []T, order []uint32) []T {
	made := make([]T, len(order))
	for place, was := range order {
		made[place] = of[was]
	}
	return made
}

func (c *column[T]) reorder(order []uint32) {
	if c.of == nil {
		return
	}
	made := make([]T, len(order))
	for place, was := range order {
		made[place] = c.get(int(was))
	}
	c.of = made
}

// orderTargets numbers the targets by their names, so that a log does not depend on
// which of them was met first.
func (b *Builder) orderTargets() {
	l := b.log
	sorted := slices.Sorted(slices.Values(l.targets))
	to := make([]uint16, len(sorted))
	for number, name := range l.targets {
		at, _ := slices.BinarySearch(sorted, name)
		to[number] = uint16(at)
	}
	for i, was := range l.attempts.target {
		l.attempts.target[i] = to[was]
	}
	l.targets = sorted
}
