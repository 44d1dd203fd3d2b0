package worker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/jobs"
)

// A host is lost when every route has held here for its budget while the fleet
// reaches some target; it is back when one flows here.
func TestEgressIsLostAlone(t *testing.T) {
	t.Parallel()
	here, there := openFor(time.Hour), openFor(time.Hour)
	here.Local = true
	for name, c := range map[string]struct {
		here  []jobs.Circuit
		fleet []jobs.Circuit
		lost  bool
	}{
		"it alone":             {[]jobs.Circuit{here}, []jobs.Circuit{closedNow}, true},
		"all of them":          {[]jobs.Circuit{there}, []jobs.Circuit{there}, false},
		"nobody":               {[]jobs.Circuit{closedNow}, []jobs.Circuit{closedNow}, false},
		"others, not it":       {[]jobs.Circuit{closedNow}, []jobs.Circuit{there}, false},
		"a probe of it is due": {[]jobs.Circuit{{Target: "a", State: jobs.CircuitOpen, Local: true}}, []jobs.Circuit{closedNow}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				router := &breakers{}
				e := newEgress(newVillage().alone(router))
				router.set(c.here...)
				fleet := jobs.Fleet{Chains: map[string][]string{"r": {"a"}}, Circuits: c.fleet}
				for range 119 {
					e.Look(&fleet)
					time.Sleep(time.Second)
				}
				if e.Lost().Err() != nil {
					t.Error("lost before its budget was over")
				}
				time.Sleep(time.Second)
				if e.Look(&fleet); (e.Lost().Err() != nil) != c.lost {
					t.Errorf("lost: %t", !c.lost)
				}
				if !c.lost {
					e.AwaitBack(t.Context()) // at once
				}
			})
		})
	}
}

// A moment in which a target is reached begins the budget anew; whoever waits for
// the host hears when it is back, and it can be lost again.
func TestEgressComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		router := &breakers{}
		e := newEgress(newVillage().alone(router))
		fleet := jobs.Fleet{Chains: map[string][]string{"r": {"a"}}, Circuits: []jobs.Circuit{closedNow}}
		look := func(all jobs.Circuit, span time.Duration) {
			router.set(all)
			for range span / time.Second {
				e.Look(&fleet)
				time.Sleep(time.Second)
			}
		}
		cut := openFor(time.Hour)
		for range 3 {
			look(cut, 100*time.Second)
			look(closedNow, time.Second)
			if e.Lost().Err() != nil {
				t.Fatal("lost, though it was back in between")
			}
		}
		for range 2 {
			look(cut, 125*time.Second)
			if e.Lost().Err() == nil {
				t.Fatal("not lost")
			}
			back := make(chan struct{})
			go func() { e.AwaitBack(t.Context()); close(back) }()
			synctest.Wait()
			if over(back) {
				t.Error("back before it is")
			}
			look(closedNow, time.Second)
			if synctest.Wait(); !over(back) || e.Lost().Err() != nil {
				t.Error("not back")
			}
		}
	})
}

func TestEgressWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEgress(newVillage().alone(&breakers{}))
		e.back = make(chan struct{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		e.AwaitBack(ctx)
		if ctx.Err() == nil {
			t.Error("it came back by itself")
		}
	})
}

// over tells whether a channel was closed.
func over(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
