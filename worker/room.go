package worker

import (
	"container/heap"
	"context"
	"math"
	"sync"
	"time"

	"tidegate/jobs"
)

// recheck bounds how long a gate is not asked that nobody says will change.
const recheck = time.Second

// breath bounds how often a gate is asked whose time has come and that still
// admits nobody.
const breath = time.Millisecond

// spell is how long the room lets go at once: a long prompt takes the router some
// milliseconds, and who has the room's lock keeps the worker's beat from going.
const spell = 20 * time.Millisecond

// firstTicket is that of the first who comes from a queue: behind all who ever go before
// these.
const firstTicket = 1 << 62

// A room is where jobs wait for the gate of their route, in the order of their
// tickets, without a row being written. Who is let go has a pass in hand, and one
// of the calls that the worker may make at once. Safe for concurrent use.
type room struct {
	router Router
	most   int // calls at once of each route
	now    func() time.Time
	lives  func() error            // nil: calls may begin
	spent  func(route string) bool // its budget is, so nobody goes; nil: there are none
	wake   chan struct{}

	mu       sync.Mutex
	tickets  uint64
	firsts   map[string]*turns // by route: of those who go before all others
	inHand   map[string]int    // by route: who is here, or was let go and is not done
	waiting  map[string]*queue // by route; those of the quarantine have one of their own
	held     map[*queue]holds
	calls    map[string]int // by route: who was let go and is not done
	out      int            // all of them, until what came of each is written down
	alone    bool           // one of them runs alone
	draining bool           // the next one is to run alone: nobody is let go until all are done
}

func newRoom(router Router, most int, lives func() error, now func() time.Time) *room {
	return &room{
		router: router, most: most, lives: lives, now: now, wake: make(chan struct{}, 1), tickets: firstTicket,
		inHand: map[string]int{}, firsts: map[string]*turns{}, waiting: map[string]*queue{}, held: map[*queue]holds{}, calls: map[string]int{},
	}
}

// A guest is a request that waits.
type guest struct {
	request *jobs.Request
	history jobs.Trace
	ticket  uint64
	alone   bool // nobody else is called beside it
}

// A leave is what a guest goes with: a pass, or what becomes of it instead.
type leave struct {
	pass    jobs.Pass
	outcome jobs.Outcome
	waited  jobs.WaitedFor
	panics  any // the router's panic over this guest, which ends its job and no other's; nil: none
}

// Arrive gives a place in the order. A job keeps its ticket from wait to wait.
func (r *room) Arrive(route string) (ticket uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inHand[route]++
	r.tickets++
	return r.tickets
}

// ArriveFirst is Arrive for somebody who goes before all who come from queues. Tenants
// take turns: one that sends many does not keep another one waiting.
func (r *room) ArriveFirst(route, tenant string) (ticket uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inHand[route]++
	if r.firsts[route] == nil {
		r.firsts[route] = &turns{}
	}
	return r.firsts[route].ticket(tenant)
}

// Ticket gives a place at the end of the order.
func (r *room) Ticket() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tickets++
	return r.tickets
}

// Depart says that a job is in this worker's hands no more.
func (r *room) Depart(route string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inHand[route]--
}

// InHand counts the jobs of each route that this worker has in hand.
func (r *room) InHand() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := make(map[string]int, len(r.inHand))
	for route, n := range r.inHand {
		counts[route] = n
	}
	return counts
}

// Wait returns when the guest may go, or with the cause why ctx ended first. Who
// goes with a pass must be Done. If the router panics over the guest, so does
// Wait.
func (r *room) Wait(ctx context.Context, g guest) (leave, error) {
	w := &waiter{guest: g, since: r.now(), let: make(chan struct{})}
	if waits := r.enter(w); waits {
		r.Changed() // so that somebody looks again in time
	}
	select {
	case <-w.let:
		if w.leave.panics != nil {
			panic(w.leave.panics) // for River to catch, as it would where there is no room
		}
		return w.leave, nil
	case <-ctx.Done():
		r.turnBack(w)
		return leave{}, context.Cause(ctx)
	}
}

// enter has a guest wait, and tells whether it still does.
func (r *room) enter(w *waiter) (waits bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.queue(w.guest)
	heap.Push(q, w)
	if q.Len() == 1 { // it need not wait for anybody before it
		r.letGo()
	}
	return w.at >= 0
}

// queue requires mu.
func (r *room) queue(g guest) *queue {
	name := g.request.Route
	if g.alone {
		name = jobs.QuarantineQueue
	}
	if r.waiting[name] == nil {
		r.waiting[name] = &queue{}
	}
	return r.waiting[name]
}

// turnBack takes a guest out that does not want to go any more, perhaps just
// when it was let go.
func (r *room) turnBack(w *waiter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.at >= 0 {
		heap.Remove(r.queue(w.guest), w.at)
		return
	}
	if w.leave.pass != nil {
		w.leave.pass.Release()
		r.calls[w.request.Route]--
		r.settled(w.guest)
		r.Changed()
	}
}

// Done says that the call of a guest who went with a pass has ended: another one
// may be called.
func (r *room) Done(g guest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[g.request.Route]--
	r.Changed()
}

// Settled says that what came of that call is written down: until then it would
// be suspected, should the worker die.
func (r *room) Settled(g guest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled(g)
}

// settled requires mu.
func (r *room) settled(g guest) {
	r.out--
	if g.alone {
		r.alone = false
	}
	if r.draining || g.alone {
		r.Changed()
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

// Changed says that something has changed for those who wait. It never blocks.
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
		timer.Reset(r.look())
	}
}

func (r *room) look() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.letGo()
}

// letGo lets go who may, and says when to look again. It requires mu.
func (r *room) letGo() time.Duration {
	if r.lives() != nil {
		return recheck
	}
	next := time.Duration(math.MaxInt64)
	r.draining = false
	if q := r.waiting[jobs.QuarantineQueue]; q != nil {
		next = r.letAlone(q)
	}
	if r.draining || r.alone {
		return next
	}
	for name, q := range r.waiting {
		if name != jobs.QuarantineQueue {
			next = min(next, r.letGoOf(name, q))
		}
	}
	return next
}

// letGoOf lets the guests of one route go. It requires mu.
func (r *room) letGoOf(route string, q *queue) time.Duration {
	if r.spent != nil && r.spent(route) {
		r.hold(q, jobs.WaitedForBudget)
		return recheck
	}
	for until := r.now().Add(spell); q.Len() > 0 && r.calls[route] < r.most; {
		if again, ok := r.let(q); !ok {
			return again
		}
		if r.now().After(until) {
			r.Changed() // the others come after those who wait for the lock
			return breath
		}
	}
	return math.MaxInt64 // a call that ends will say
}

// letAlone lets a guest go beside whom nobody is called, once all others are
// done. While its gate holds, nobody waits for it. It requires mu.
func (r *room) letAlone(q *queue) time.Duration {
	for q.Len() > 0 && !r.alone {
		if r.out > 0 {
			n, again := r.router.Admits((*q)[0].request.Route)
			r.draining = n > 0
			return r.until(again)
		}
		if again, ok := r.let(q); !ok {
			return again
		}
		r.alone = r.out > 0
	}
	return math.MaxInt64
}

// let lets the first of a queue go, if it may. It requires mu.
func (r *room) let(q *queue) (again time.Duration, ok bool) {
	w := (*q)[0]
	left := r.admit(w.guest)
	if left.pass == nil && left.outcome.Verdict == jobs.Blocked && left.outcome.Held {
		r.hold(q, holdOf(left.outcome))
		return r.until(left.outcome.Until), false
	}
	heap.Pop(q)
	if turns := r.firsts[w.request.Route]; turns != nil && w.ticket < firstTicket {
		turns.went(w.ticket)
	}
	left.waited = r.waitedFor(q, w)
	w.leave = left
	if left.pass != nil {
		r.calls[w.request.Route]++
		r.out++
	}
	close(w.let)
	return 0, true
}

// admit asks the router. It may be asked on behalf of anybody who waits: its panic
// is that one's.
func (r *room) admit(g guest) (left leave) {
	defer func() {
		if cause := recover(); cause != nil {
			left = leave{panics: cause}
		}
	}()
	left.pass, left.outcome = r.router.Admit(g.request, g.history)
	return left
}

// until is how long it is to a time; zero is none that is known.
func (r *room) until(t time.Time) time.Duration {
	if t.IsZero() {
		return recheck
	}
	return min(max(t.Sub(r.now()), breath), recheck)
}

type waiter struct {
	guest
	since time.Time
	at    int // in the queue; -1: no longer there
	let   chan struct{}
	leave leave // set before let is closed
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
