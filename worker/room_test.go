package worker

import (
	"container/heap"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/jobs"
)

// A gate admits n from a moment on.
type gate struct {
	mu       sync.Mutex
	n        int
	again    time.Time
	asked    int
	released int
	outcome  jobs.Outcome // instead of a pass, unless it is zero
	panics   string       // over the request of this id
}

func (g *gate) Admit(request *jobs.Request, _ jobs.Trace) (jobs.Pass, jobs.Outcome) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.panics != "" && g.panics == request.ID {
		panic("the router is broken")
	}
	g.asked++
	switch {
	case !g.again.IsZero() && time.Now().Before(g.again):
		return nil, jobs.Outcome{Verdict: jobs.Blocked, Held: true, Until: g.again}
	case g.outcome.Verdict != "":
		return nil, g.outcome
	case g.n == 0:
		return nil, jobs.Outcome{Verdict: jobs.Blocked, Held: true}
	}
	g.n--
	return ticket{g}, jobs.Outcome{}
}

func (g *gate) Admits(string) (int, time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n, g.again
}

func (g *gate) Beat(map[string]int) jobs.Beat { return jobs.Beat{} }

func (g *gate) set(n int, again time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n, g.again = n, again
}

// blocked sets what becomes of whoever asks, instead of a pass; zero: nothing else does.
func (g *gate) blocked(outcome jobs.Outcome) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.outcome = outcome
}

// A ticket is a pass that is only ever given back.
type ticket struct{ gate *gate }

func (p ticket) Release() {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	p.gate.released++
}

func (p ticket) Route(context.Context, func(context.Context, jobs.Begun) error) jobs.Outcome {
	panic("nobody is called here")
}

// A lobby is a room with a gate and those who were let go, in order.
type lobby struct {
	*room
	gate   *gate
	mu     sync.Mutex
	gone   []uint64
	leaves []departure // of those who are not done
	left   []error
	inner  sync.WaitGroup
}

// inRoom runs a test on a fake clock, on which a room runs. The gate holds.
func inRoom(t *testing.T, test func(t *testing.T, l *lobby)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{}
		l := &lobby{room: newRoom(g, 3, func() error { return nil }, time.Now), gate: g}
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { l.Run(ctx) })
		test(t, l)
		l.inner.Wait()
		cancel()
		run.Wait()
	})
}

// pass lets time pass, on the fake clock.
func pass(d time.Duration) { <-time.After(d) }

// enter lets somebody wait with a ticket, and go for good.
func (l *lobby) enter(ctx context.Context, ticket uint64) { l.visit(ctx, ticket, false) }

func (l *lobby) visit(ctx context.Context, ticket uint64, alone bool) {
	l.inner.Go(func() {
		g := guest{request: &jobs.Request{Route: "r"}, ticket: ticket, alone: alone}
		left, err := l.Wait(ctx, g)
		l.mu.Lock()
		defer l.mu.Unlock()
		if err != nil {
			l.left = append(l.left, err)
			return
		}
		l.gone, l.leaves = append(l.gone, ticket), append(l.leaves, departure{g, left})
	})
	synctest.Wait()
}

// done ends the call of whoever went first and is not done.
func (l *lobby) done() {
	l.mu.Lock()
	first := l.leaves[0]
	l.leaves = l.leaves[1:]
	l.mu.Unlock()
	l.Done(first.guest)
	l.Settled(first.guest)
	synctest.Wait()
}

type departure struct {
	guest
	leave
}

// went says who went so far, once everything has come to rest.
func (l *lobby) went() []uint64 {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.gone)
}

func (l *lobby) expect(t *testing.T, when string, want ...uint64) {
	t.Helper()
	if got := l.went(); !slices.Equal(got, want) {
		t.Errorf("%s: %v went, not %v", when, got, want)
	}
}

// Of those who wait for their answers, tenants take turns, and one that comes late does
// not wait for all who came before. Each route has an order of its own.
func TestTenantsTakeTurns(t *testing.T) {
	inRoom(t, func(t *testing.T, l *lobby) {
		whose := map[uint64]string{}
		come := func(tenant string, n int) {
			for range n {
				ticket := l.ArriveFirst("r", tenant)
				if whose[ticket] != "" {
					t.Fatalf("two have the ticket %d", ticket)
				}
				whose[ticket] = tenant
				l.enter(t.Context(), ticket)
			}
		}
		order := func(n int) (order string) {
			for range n {
				before := len(l.went())
				l.gate.set(1, time.Time{})
				l.Changed()
				gone := l.went()
				if len(gone) != before+1 {
					t.Fatalf("%d went at once", len(gone)-before)
				}
				order += whose[gone[before]][:1]
				l.done()
			}
			return order
		}
		for range 100 {
			l.ArriveFirst("another", "big")
		}
		come("big", 9)
		if got := order(2); got != "bb" {
			t.Errorf("alone: %s", got)
		}
		come("small", 3)
		come("third", 1)
		if got := order(7); got != "stbsbsb" {
			t.Errorf("three together: %s", got)
		}
		if got := order(4); got != "bbbb" {
			t.Errorf("who is left: %s", got)
		}
		l.enter(t.Context(), l.Arrive("r"))
		come("big", 1)
		if first := l.ArriveFirst("r", "small"); first >= firstTicket {
			t.Errorf("who waits goes by %d", first)
		}
		if got := order(1); got != "b" {
			t.Errorf("before a queue: %s", got)
		}
		if n := len(l.firsts["r"].next); n > 2 {
			t.Errorf("%d tenants are remembered", n)
		}
		l.gate.set(1, time.Time{})
		l.Changed()
	})
}

func TestRoomLetsGoInOrder(t *testing.T) {
	inRoom(t, func(t *testing.T, l *lobby) {
		for _, ticket := range []uint64{3, 1, 4, 2} {
			l.enter(t.Context(), ticket)
		}
		if n := l.Waiting("r"); n != 4 {
			t.Errorf("%d wait", n)
		}
		var want []uint64
		for ticket := range uint64(4) { // one at a time, so that the order can be seen
			l.gate.set(1, time.Time{})
			if l.Changed(); ticket == 3 { // three calls at once is the most
				l.done()
			}
			want = append(want, ticket+1)
			l.expect(t, "one more", want...)
		}
		if n := l.Waiting("r"); n != 0 {
			t.Errorf("%d wait", n)
		}
	})
}

// The gate that admits a probe lets one go, and the others when it flows.
func TestRoomLetsOneProbeGo(t *testing.T) {
	inRoom(t, func(t *testing.T, l *lobby) {
		for ticket := range uint64(3) {
			l.enter(t.Context(), ticket+1)
		}
		l.expect(t, "it holds")
		l.gate.set(1, time.Now().Add(10*time.Minute)) // the cooldown
		l.Changed()
		pass(10*time.Minute - time.Millisecond)
		l.expect(t, "before the cooldown ends")
		pass(2 * time.Millisecond)
		l.expect(t, "the cooldown has ended", 1)
		pass(recheck)
		l.expect(t, "nothing was heard of the probe", 1)
		for ticket := range uint64(2) {
			l.gate.set(1, time.Time{})
			l.Changed()
			l.expect(t, "it flows", []uint64{1, 2, 3}[:ticket+2]...)
		}
	})
}

func TestRoomDoesNotMissWhoLeaves(t *testing.T) {
	inRoom(t, func(t *testing.T, l *lobby) {
		leaves := errors.New("it leaves")
		ctx, leave := context.WithCancelCause(t.Context())
		l.enter(ctx, 1)
		l.enter(t.Context(), 2)
		leave(leaves)
		synctest.Wait()
		if n := l.Waiting("r"); n != 1 {
			t.Errorf("%d wait", n)
		}
		l.gate.set(1, time.Time{})
		l.Changed()
		l.expect(t, "one may go", 2)
		if len(l.left) != 1 || !errors.Is(l.left[0], leaves) {
			t.Errorf("left with %v", l.left)
		}
		if n := l.Waiting("r"); n != 0 {
			t.Errorf("%d wait", n)
		}
	})
}

// Nobody tells the room that a cooldown is over: it looks for itself.
func TestRoomLooksAgain(t *testing.T) {
	inRoom(t, func(t *testing.T, l *lobby) {
		l.enter(t.Context(), 1)
		l.gate.set(100, time.Time{}) // and nobody says so
		l.expect(t, "at once")
		pass(recheck)
		l.expect(t, "after a second", 1)
	})
}

// A gate whose time has come, and that admits nobody all the same, is not asked
// without end.
func TestRoomTakesABreath(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{outcome: jobs.Outcome{Verdict: jobs.Blocked, Held: true, Until: time.Now().Add(-time.Hour)}}
		r := newRoom(g, 3, func() error { return nil }, time.Now)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var run sync.WaitGroup
		run.Go(func() { r.Run(ctx) })
		if _, err := r.Wait(ctx, guest{request: &jobs.Request{Route: "r"}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it waited until %v", err)
		}
		run.Wait()
		if g.asked > 1100 {
			t.Errorf("it was asked %d times in a second", g.asked)
		}
	})
}

func TestRoomBoundsTheCallsOfARoute(t *testing.T) {
	inRoom(t, func(t *testing.T, l *lobby) {
		l.gate.set(100, time.Time{})
		for i := range uint64(5) {
			l.enter(t.Context(), i+1)
		}
		l.expect(t, "three at once", 1, 2, 3)
		l.done()
		l.expect(t, "one is done", 1, 2, 3, 4)
		l.done()
		l.expect(t, "all have gone", 1, 2, 3, 4, 5)
		if l.gate.asked != 5 {
			t.Errorf("the gate was asked %d times for five", l.gate.asked)
		}
	})
}

// What is not for the gate to say is the guest's to know at once.
func TestRoomTellsWhatElseBecomesOfAGuest(t *testing.T) {
	inRoom(t, func(t *testing.T, l *lobby) {
		l.gate.outcome = jobs.Outcome{Verdict: jobs.Refused}
		l.enter(t.Context(), 1)
		l.expect(t, "refused", 1)
		if left := l.leaves[0]; left.pass != nil || left.outcome.Verdict != jobs.Refused {
			t.Errorf("it left with %+v", left)
		}
	})
}

// Who is let go in the very moment in which it leaves has nothing in hand.
func TestRoomTakesBackWhatWasNotWanted(t *testing.T) {
	inRoom(t, func(t *testing.T, l *lobby) {
		w := &waiter{guest: guest{request: &jobs.Request{Route: "r"}}, let: make(chan struct{})}
		l.gate.set(1, time.Time{})
		l.mu.Lock()
		heap.Push(l.queue(w.guest), w)
		l.letGo()
		l.mu.Unlock()
		l.turnBack(w)
		if l.gate.released != 1 || l.out != 0 {
			t.Errorf("%d released, %d out", l.gate.released, l.out)
		}
	})
}

// Suspected poison runs with nobody beside it: others end first, and wait.
func TestRoomLetsSuspectsGoAlone(t *testing.T) {
	inRoom(t, func(t *testing.T, l *lobby) {
		l.gate.set(100, time.Time{})
		l.enter(t.Context(), 1)
		l.visit(t.Context(), 2, true)
		l.enter(t.Context(), 3)
		l.expect(t, "one is out", 1)
		l.done()
		l.expect(t, "the suspect runs alone", 1, 2)
		l.visit(t.Context(), 4, true)
		l.expect(t, "and so will the next", 1, 2)
		l.done()
		l.expect(t, "suspects first", 1, 2, 4)
		l.done()
		l.expect(t, "and then the others", 1, 2, 4, 3)
	})
}

// What came of the calls before it is written down before a suspect is called.
func TestRoomLetsSuspectsWaitForWhatIsNotWritten(t *testing.T) {
	inRoom(t, func(t *testing.T, l *lobby) {
		l.gate.set(100, time.Time{})
		l.enter(t.Context(), 1)
		l.visit(t.Context(), 2, true)
		l.Done(l.leaves[0].guest)
		l.expect(t, "the call has ended", 1)
		l.Settled(l.leaves[0].guest)
		l.expect(t, "it is written down", 1, 2)
	})
}

// A suspect whose gate holds is nobody's concern.
func TestRoomWaitsForNoSuspectThatIsHeld(t *testing.T) {
	inRoom(t, func(t *testing.T, l *lobby) {
		l.gate.set(1, time.Time{})
		l.enter(t.Context(), 1)
		l.visit(t.Context(), 2, true)
		l.enter(t.Context(), 3)
		l.expect(t, "the gate holds", 1)
		if l.mu.Lock(); l.draining {
			t.Error("all wait for one that may not go either")
		}
		l.mu.Unlock()
		l.gate.set(1, time.Time{})
		l.Changed()
		synctest.Wait()
		l.done()
		l.expect(t, "it flows", 1, 2)
		l.gate.set(1, time.Time{})
		l.done()
		l.expect(t, "and for the last one", 1, 2, 3)
	})
}

// A worker that its fleet does not hear of lets nobody go.
func TestRoomHoldsWhileTheFleetHearsNothing(t *testing.T) {
	inRoom(t, func(t *testing.T, l *lobby) {
		l.gate.set(1, time.Time{})
		var stale atomic.Bool
		stale.Store(true)
		l.lives = func() error {
			if stale.Load() {
				return errStale
			}
			return nil
		}
		l.enter(t.Context(), 1)
		l.expect(t, "stale")
		stale.Store(false)
		pass(recheck)
		l.expect(t, "heard of again", 1)
	})
}

func TestRoomWithNobodyAsksNobody(t *testing.T) {
	inRoom(t, func(t *testing.T, l *lobby) {
		l.Changed()
		pass(time.Hour)
		l.gate.mu.Lock()
		defer l.gate.mu.Unlock()
		if l.gate.asked != 0 {
			t.Errorf("the gate was asked %d times", l.gate.asked)
		}
	})
}

// A router that panics over a request ends that one's job, whoever had it asked,
// and nobody waits any longer for that.
func TestRoomSurvivesAPanicOfTheRouter(t *testing.T) {
	inRoom(t, func(t *testing.T, l *lobby) {
		l.gate.panics = "bad"
		caught := make(chan any, 2)
		enterBad := func() {
			l.inner.Go(func() {
				defer func() { caught <- recover() }()
				_, _ = l.Wait(t.Context(), guest{request: &jobs.Request{ID: "bad", Route: "r"}, ticket: 2})
			})
			synctest.Wait()
		}
		enterBad() // it asks itself
		l.enter(t.Context(), 1)
		enterBad() // behind another, so that the room asks
		l.gate.set(1, time.Time{})
		l.Changed()
		l.expect(t, "with one that panics behind it", 1)
		l.gate.set(1, time.Time{})
		l.enter(t.Context(), 3)
		l.expect(t, "after it", 1, 3)
		if n := l.Waiting("r"); n != 0 || len(caught) != 2 || <-caught == nil || <-caught == nil {
			t.Errorf("%d wait, and not both have panicked", n)
		}
	})
}

// A slow gate takes its time over every request, by a clock of its own.
type slowGate struct {
	gate
	takes time.Duration
	at    time.Time
}

func (g *slowGate) Admit(request *jobs.Request, history jobs.Trace) (jobs.Pass, jobs.Outcome) {
	g.at = g.at.Add(g.takes)
	return g.gate.Admit(request, history)
}

// Thousands of long prompts that are refused one after the other must not keep the
// worker's beat from going, which asks the room what it has in hand.
func TestRoomComesUpForAir(t *testing.T) {
	t.Parallel()
	g := &slowGate{takes: 5 * time.Millisecond}
	g.outcome = jobs.Outcome{Verdict: jobs.Refused}
	r := newRoom(g, 3, func() error { return nil }, func() time.Time { return g.at })
	const guests = 1000
	q := r.queue(guest{request: &jobs.Request{Route: "r"}})
	for n := range guests {
		heap.Push(q, &waiter{guest: guest{request: &jobs.Request{Route: "r"}, ticket: uint64(n)}, let: make(chan struct{})})
	}
	for looks := 0; r.Waiting("r") > 0; looks++ {
		before := g.at
		if again := r.look(); r.Waiting("r") > 0 && (again > breath || len(r.wake) == 0) {
			t.Fatalf("%d wait, and it looks again in %s", r.Waiting("r"), again)
		}
		if took := g.at.Sub(before); took > 2*spell {
			t.Fatalf("it took %s at once", took)
		}
		if looks > guests {
			t.Fatal("it does not get on")
		}
	}
}
