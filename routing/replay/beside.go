package replay

import (
	"container/heap"
	"slices"
	"time"
)

// What a fleet takes for a request beside its calls: the queue, and what is written down
// before and after. It is small beside most calls, and much where they are quick.
type beside struct {
	// pickup is from when a request comes to its first call, while places are free.
	pickup time.Duration
	// turn is from the end of a call to the next one in its place, while requests wait.
	turn time.Duration
}

const (
	// besideOf is of how many calls, the first ones of a log, that is learned.
	besideOf = 100_000
	// besideLeast is how many there must be of a kind.
	besideLeast = 20
	// besideMost is as much as it may be: what takes longer has another reason.
	besideMost = time.Second
)

// beside learns what a fleet takes beside calls from the gaps between them: the medians,
// since now and then a gap is an outage.
func (l *Log) beside() beside {
	a := &l.attempts
	running, free := &ends{}, []int64(nil) // places, by when they become and became free, the longest ago first
	last := map[uint32]int64{}             // when the last call of a request ended
	var pickups, turns []int64
	for i := range min(len(a.at), besideOf) {
		asker := l.requestOf(i)
		if asker < 0 {
			continue
		}
		began := int64(a.at[i]) * int64(time.Millisecond/time.Microsecond)
		for len(*running) > 0 && (*running)[0] <= began {
			free = append(free, heap.Pop(running).(int64))
		}
		own, again := last[uint32(asker)]
		end := began + int64(a.latency[i])
		last[uint32(asker)] = end
		heap.Push(running, end)
		switch {
		case again: // it has its place already, if that was at once
			if at := slices.Index(free, own); at >= 0 {
				free = slices.Delete(free, at, at+1)
			}
		case len(free) > 0:
			since := free[0]
			free = free[1:]
			if came := int64(l.requests.at[asker]) * int64(time.Millisecond/time.Microsecond); came > since {
				pickups = append(pickups, began-came)
			} else {
				turns = append(turns, began-since)
			}
		}
	}
	return beside{pickup: medianOf(pickups), turn: medianOf(turns)}
}

// medianOf is that of microseconds; zero of few.
func medianOf(of []int64) time.Duration {
	if len(of) < besideLeast {
		return 0
	}
	slices.Sort(of)
	return min(max(time.Duration(of[len(of)/2])*time.Microsecond, 0), besideMost)
}
