package worker

import (
	"container/heap"
	"context"
	"math"
	"sync"
	"time"
)

// recheck bounds how long a waiter that was let go as a probe, and then did not
// call, can keep the others from trying.
const recheck = time.Second

// breath bounds how often a gate is asked whose time has come and that still
// admits nobody.
const breath = time.Millisecond

// A room is where jobs wait for the gate of their route, in the order of their
// tickets, without a row being written. Safe for concurrent use.
type room struct {
	admits func(route string) (n int, again time.Time)
	now    func() time.Time
	wake   chan struct{}

	mu      sync.Mutex
	tickets uint64
	waiting map[string]*queue
}

func newRoom(admits func(string) (int, time.Time), now func() time.Time) *room {
	return &room{admits: admits, now: now, wake: make(chan struct{}, 1), waiting: map[string]*queue{}}
}

// Ticket gives a place in the order. A job keeps its ticket from wait to wait.
func (r *room) Ticket() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tickets++
	return r.tickets
}

// Wait returns nil when the gate of the route lets the holder of the ticket go,
// or the cause why ctx ended first.
func (r *room) Wait(ctx context.Context, route string, ticket uint64) error {
	w := &waiter{ticket: ticket, let: make(chan struct{})}
	r.mu.Lock()
	if r.waiting[route] == nil {
		r.waiting[route] = &queue{}
	}
	heap.Push(r.waiting[route], w)
	r.mu.Unlock()
	r.Changed()
	select {
	case <-w.let:
		return nil
	case <-ctx.Done():
		r.leave(route, w)
		return context.Cause(ctx)
	}
}

func (r *room) leave(route string, w *waiter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.at >= 0 {
		heap.Remove(r.waiting[route], w.at)
	}
}

// Waiting counts the jobs that wait for a route.
func (r *room) Waiting(route string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := r.waiting[route]; q != nil {
		return q.Len()
	}
	return 0
}

// Changed says that a circuit has changed. It never blocks.
func (r *room) Changed() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run lets waiters go until ctx ends; those who still wait then are for their
// own contexts to end.
func (r *room) Run(ctx context.Context) {
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for {
		select {
		case <-r.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		timer.Reset(r.letGo())
	}
}

// letGo lets go whom the gates admit, and says when to look again.
func (r *room) letGo() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := time.Duration(math.MaxInt64)
	for route, q := range r.waiting {
		if q.Len() == 0 {
			continue
		}
		n, again := r.admits(route)
		for ; n > 0 && q.Len() > 0; n-- {
			close(heap.Pop(q).(*waiter).let)
		}
		if q.Len() == 0 {
			continue
		}
		next = min(next, recheck)
		if !again.IsZero() {
			next = min(next, max(again.Sub(r.now()), breath))
		}
	}
	return next
}

type waiter struct {
	ticket uint64
	at     int // in the queue; -1: no longer there
	let    chan struct{}
}

// A queue is a heap of waiters, the lowest ticket first.
type queue []*waiter

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].ticket < q[j].ticket }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i]; q[i].at, q[j].at = i, j }

func (q *queue) Push(w any) {
	w.(*waiter).at = len(*q)
	*q = append(*q, w.(*waiter))
}

func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	(*q)[len(*q)-1] = nil
	*q = (*q)[:len(*q)-1]
	last.at = -1
	return last
}
