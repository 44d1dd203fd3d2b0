package worker

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/jobs"
)

// beating runs a heart until the returned function is called.
func (v *village) beating(t *testing.T) (h *heart, told func() int, stop func()) {
	t.Helper()
	var mu sync.Mutex
	n := 0
	h = newHeart(v.alone(&breakers{}), func() jobs.Beat { return jobs.Beat{} }, func(jobs.Fleet, []jobs.Circuit) {
		mu.Lock()
		defer mu.Unlock()
		n++
	})
	if err := h.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { h.Run(ctx) })
	return h, func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}, func() { cancel(); run.Wait() }
}

// after lets a bubble's time pass, and everything happen that it brings.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// A worker whose beats do not arrive is stale after 8 s, counted from when the
// last one was sent, and well again with the next.
func TestHeartIsStaleWithoutBeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVillage()
		h, _, stop := v.beating(t)
		defer stop()
		after(2100 * time.Millisecond) // the second beat was sent 100 ms ago
		v.change(func() { v.away = true })
		if after(7800 * time.Millisecond); h.Lives() != nil {
			t.Errorf("7.9 s after its last beat: %v", h.Lives())
		}
		if after(200 * time.Millisecond); !errors.Is(h.Lives(), errStale) {
			t.Errorf("8.1 s after its last beat: %v", h.Lives())
		}
		alive := make(chan error, 1)
		go func() { alive <- h.AwaitLife(t.Context()) }()
		synctest.Wait()
		v.change(func() { v.away = false })
		if after(2 * time.Second); len(alive) != 1 || <-alive != nil || h.Lives() != nil {
			t.Errorf("when Postgres is back: %v", h.Lives())
		}
	})
}

// A beat that takes long counts from when it was sent: the fleet may have seen it
// then.
func TestHeartCountsFromTheSending(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVillage()
		h, _, stop := v.beating(t)
		defer stop()
		v.change(func() { v.slow = 3 * time.Second }) // the one of 2 s arrives at 5 s
		after(5100 * time.Millisecond)
		v.change(func() { v.away = true })
		if after(4800 * time.Millisecond); h.Lives() != nil {
			t.Errorf("7.9 s after a beat was sent: %v", h.Lives())
		}
		if after(200 * time.Millisecond); !errors.Is(h.Lives(), errStale) {
			t.Errorf("8.1 s after a beat was sent: %v", h.Lives())
		}
	})
}

// Whoever was declared dead stays so, and nobody waits for its life.
func TestHeartHearsThatItDied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVillage()
		h, _, stop := v.beating(t)
		defer stop()
		v.change(func() { v.away = true })
		after(10 * time.Second)
		waits := make(chan error, 1)
		go func() { waits <- h.AwaitLife(t.Context()) }()
		v.change(func() { v.away, v.dead = false, true })
		if after(2 * time.Second); len(waits) != 1 || !errors.Is(<-waits, jobs.ErrDead) {
			t.Error("somebody still waits for its life")
		}
		v.change(func() { v.dead = false })
		if after(10 * time.Second); !errors.Is(h.Lives(), jobs.ErrDead) {
			t.Errorf("it lives again: %v", h.Lives())
		}
		select {
		case <-h.died:
		default:
			t.Error("its worker does not know")
		}
	})
}

func TestHeartWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVillage()
		h, _, stop := v.beating(t)
		defer stop()
		v.change(func() { v.away = true })
		after(9 * time.Second)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errStopping)
		if err := h.AwaitLife(ctx); !errors.Is(err, errStopping) {
			t.Errorf("it ends with %v", err)
		}
	})
}

// The fleet is read each second, and at once when somebody wakes; what its clock
// is ahead is known from then on.
func TestHeartReadsTheFleet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVillage()
		h, told, stop := v.beating(t)
		defer stop()
		if after(10100 * time.Millisecond); told() != 11 {
			t.Errorf("read %d times in 10 s", told())
		}
		v.change(func() { v.fleet.Ahead = time.Minute })
		h.Wake()
		if synctest.Wait(); told() != 12 || h.Ahead() != time.Minute {
			t.Errorf("woken, read %d times, %s ahead", told(), h.Ahead())
		}
	})
}
