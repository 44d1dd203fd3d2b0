package replay

import (
	"container/heap"
	"time"
)

// Busiest is how many calls of one route there were at once, at most: so many the fleet
// made at least.
func (l *Log) Busiest() int {
	most := 0
	running := map[string]*ends{}
	for i, at := range l.attempts.at {
		request := l.requestOf(i)
		if request < 0 {
			continue
		}
		route := l.names.kinds[l.requests.kind[request]].route
		of := running[route]
		if of == nil {
			of = &ends{}
			running[route] = of
		}
		began := int64(at) * int64(time.Millisecond/time.Microsecond)
		for len(*of) > 0 && (*of)[0] <= began {
			heap.Pop(of)
		}
		// A call that follows another in its place may seem to begin a tick before that has ended.
		heap.Push(of, began+int64(l.attempts.latency[i])-int64(time.Millisecond/time.Microsecond))
		most = max(most, len(*of))
	}
	return most
}

// ends are when calls end that have begun, the first one first.
type ends []int64

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i] < e[j] }
func (e ends) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }

// Push adds one.
func (e *ends) Push(x any) { *e = append(*e, x.(int64)) }

// Pop takes the last one away.
func (e *ends) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}
