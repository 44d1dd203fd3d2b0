package worker

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A gate admits n at a time from a moment on.
type gate struct {
	mu    sync.Mutex
	n     int
	again time.Time
	asked int
}

func (g *gate) admits(string) (int, time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	if !g.again.IsZero() && time.Now().Before(g.again) {
		return 0, g.again
	}
	return g.n, time.Time{}
}

func (g *gate) set(n int, again time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n, g.again = n, again
}

// A lobby is a room with a gate and those who were let go, in order.
type lobby struct {
	*room
	gate  *gate
	mu    sync.Mutex
	gone  []uint64
	left  []error
	inner sync.WaitGroup
}

// inRoom runs a test on a fake clock, on which a room runs. The gate holds.
func inRoom(t *testing.T, test func(t *testing.T, l *lobby)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{}
		l := &lobby{room: newRoom(g.admits, time.Now), gate: g}
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

// enter lets somebody wait with a ticket.
func (l *lobby) enter(ctx context.Context, ticket uint64) {
	l.inner.Go(func() {
		err := l.Wait(ctx, "r", ticket)
		l.mu.Lock()
		defer l.mu.Unlock()
		if err != nil {
			l.left = append(l.left, err)
			return
		}
		l.gone = append(l.gone, ticket)
	})
	synctest.Wait()
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

func TestRoomLetsGoInOrder(t *testing.T) {
	inRoom(t, func(t *testing.T, l *lobby) {
		for _, ticket := range []uint64{3, 1, 4, 2} {
			l.enter(t.Context(), ticket)
		}
		if n := l.Waiting("r"); n != 4 {
			t.Errorf("%d wait", n)
		}
		var want []uint64
		l.gate.set(1, time.Time{})
		for ticket := range uint64(4) { // one at a time, so that the order can be seen
			l.Changed()
			want = append(want, ticket+1)
			l.expect(t, "one more", want...)
		}
		if n := l.Waiting("r"); n != 0 {
			t.Errorf("%d wait", n)
		}
	})
}

// The gate that admits a probe lets one go, and the next only after the probe
// is known to have failed, or after a second if it never called.
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
		l.expect(t, "nothing was heard of the probe", 1, 2)
		l.gate.set(100, time.Time{})
		l.Changed()
		l.expect(t, "it flows", 1, 2, 3)
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
		asked := 0
		r := newRoom(func(string) (int, time.Time) { asked++; return 0, time.Now().Add(-time.Hour) }, time.Now)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var run sync.WaitGroup
		run.Go(func() { r.Run(ctx) })
		if err := r.Wait(ctx, "r", r.Ticket()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it waited until %v", err)
		}
		run.Wait()
		if asked > 1100 {
			t.Errorf("it was asked %d times in a second", asked)
		}
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
