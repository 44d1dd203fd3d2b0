package bench

import (
	"container/heap"
	"time"
)

// An Agenda is what will happen in a world on a virtual clock: in the order of time, and of
// one time in the order in which it was foreseen. The zero value begins at the zero time;
// Now is moved by Next, or before anything is foreseen. It is not safe for concurrent use.
type Agenda struct {
	Now    time.Time
	events events
	order  uint64
}

// After foresees something that happens after a while, at once if that is negative.
func (a *Agenda) After(while time.Duration, do func()) {
	a.order++
	heap.Push(&a.events, event{a.Now.Add(max(0, while)), a.order, do})
}

// Next goes to the next event until a time (zero: without end), and has it happen. It tells
// whether there was one.
func (a *Agenda) Next(until time.Time) bool {
	if len(a.events) == 0 || !until.IsZero() && a.events[0].at.After(until) {
		return false
	}
	next := heap.Pop(&a.events).(event)
	a.Now = next.at
	next.do()
	return true
}

type event struct {
	at    time.Time
	order uint64
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}
