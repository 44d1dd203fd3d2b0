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

// rounds runs a group whose answer to n is 10n. It returns the group, the rounds
// that it did so far, and a channel that each round waits for, unless it is nil.
func rounds(t *testing.T, linger time.Duration, most int, hold chan struct{}) (*group[int, int], func() [][]int) {
	t.Helper()
	var mu sync.Mutex
	var done [][]int
	g := newGroup(linger, most, func(_ context.Context, ins []int) []int {
		mu.Lock()
		done = append(done, slices.Clone(ins))
		mu.Unlock()
		if hold != nil {
			<-hold
		}
		out := make([]int, len(ins))
		for i, in := range ins {
			out[i] = 10 * in
		}
		return out
	})
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { g.Run(ctx) })
	t.Cleanup(func() { cancel(); run.Wait() })
	return g, func() [][]int {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(done)
	}
}

func TestGroupGathersCompany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, done := rounds(t, 2*time.Millisecond, 100, nil)
		began := time.Now()
		var callers sync.WaitGroup
		for i := range 10 {
			callers.Go(func() {
				if out, err := g.Do(t.Context(), i); out != 10*i || err != nil {
					t.Errorf("%d is answered by %d, %v", i, out, err)
				}
			})
		}
		callers.Wait()
		if got := done(); len(got) != 1 || len(got[0]) != 10 {
			t.Errorf("ten at once are done in rounds of %v", got)
		}
		if took := time.Since(began); took != 2*time.Millisecond {
			t.Errorf("a round lingers for %s", took)
		}
	})
}

func TestGroupIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, done := rounds(t, time.Hour, 3, nil) // a full round does not linger
		var callers sync.WaitGroup
		for i := range 9 {
			callers.Go(func() { _, _ = g.Do(t.Context(), i) })
		}
		callers.Wait()
		for _, round := range done() {
			if len(round) != 3 {
				t.Errorf("a round of %v", round)
			}
		}
	})
}

// While one round is under way, the next one fills.
func TestGroupFillsWhileARoundIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		g, done := rounds(t, time.Millisecond, 100, hold)
		var callers sync.WaitGroup
		callers.Go(func() { _, _ = g.Do(t.Context(), 1) })
		pass(time.Second)
		for i := range 5 {
			callers.Go(func() { _, _ = g.Do(t.Context(), i) })
		}
		pass(time.Second)
		close(hold)
		callers.Wait()
		if got := done(); len(got) != 2 || len(got[1]) != 5 {
			t.Errorf("rounds of %v", got)
		}
	})
}

func TestGroupDoesNotHoldACallerThatLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		g, _ := rounds(t, time.Millisecond, 1, hold)
		leaves := errors.New("it leaves")
		var callers sync.WaitGroup
		for i := range 2 { // one in a round, one before it
			callers.Go(func() {
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, leaves)
				defer cancel()
				if _, err := g.Do(ctx, i); !errors.Is(err, leaves) {
					t.Errorf("%d left with %v", i, err)
				}
			})
		}
		callers.Wait()
		close(hold)
		if out, err := g.Do(t.Context(), 7); out != 70 || err != nil { // the round goes on without them
			t.Errorf("the next is answered by %d, %v", out, err)
		}
	})
}
