package worker

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/jobs"
)

// A probing is a prober that runs, with the circuits of its worker.
type probing struct {
	*village
	*breakers
	*prober
	stop func()

	mu   sync.Mutex
	lets int // how often requests were asked for
	life error
	kept []*jobs.Attempt
}

// newProbing runs a prober until the returned stop is called. By itself a minimal
// call is answered, and closes the circuit.
func newProbing(t *testing.T, circuit jobs.Circuit) *probing {
	t.Helper()
	p := &probing{village: newVillage(), breakers: &breakers{grant: func() bool { return true }}}
	p.set(circuit)
	p.onProbe(func() *jobs.Attempt {
		p.set(closedNow)
		return &jobs.Attempt{Target: "a", Class: jobs.OK, Probe: true}
	})
	p.prober = newProber(p.alone(p.breakers), func() error { return p.alive() }, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.lets++
	}, func(a *jobs.Attempt) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.kept = append(p.kept, a)
	})
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { p.Run(ctx) })
	p.stop = func() { cancel(); run.Wait() }
	return p
}

// asked is how often requests were asked for.
func (p *probing) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lets
}

func (p *probing) alive() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life
}

// first is the first minimal call.
func (p *probing) first() jobs.Attempt {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *p.kept[0]
}

// classes are those of the minimal calls so far.
func (p *probing) classes() (all []jobs.Class) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.kept {
		all = append(all, a.Class)
	}
	return all
}

// When the cooldown is over the probe is taken, requests are asked for, and after
// 250 ms without one a minimal call is made.
func TestProberProbesWhenItIsDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newProbing(t, openFor(time.Minute))
		defer p.stop()
		after(59 * time.Second)
		p.mustDo(t)
		after(1100 * time.Millisecond)
		p.mustDo(t, "ask")
		if p.asked() != 1 || p.classes() != nil {
			t.Errorf("%d requests asked for, calls %v", p.asked(), p.classes())
		}
		after(250 * time.Millisecond)
		if !slices.Equal(p.classes(), []jobs.Class{jobs.OK}) {
			t.Errorf("calls %v", p.classes())
		}
		after(time.Hour)
		p.mustDo(t) // what moved on frees the probe itself
	})
}

// A request that is the probe leaves nothing to do but to wait for its end.
func TestProberLeavesItToARequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newProbing(t, openFor(0))
		defer p.stop()
		p.onProbe(func() *jobs.Attempt { return nil })
		after(time.Minute)
		p.mustDo(t, "ask")
		p.set(closedNow)
		after(time.Minute)
		p.mustDo(t)
		if p.asked() != 1 || p.classes() != nil {
			t.Errorf("%d requests asked for, calls %v", p.asked(), p.classes())
		}
	})
}

// While another worker has the probe nobody is called here, and it is asked for
// less and less often, up to once a second.
func TestProberWaitsForAnothersProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newProbing(t, openFor(0))
		defer p.stop()
		p.change(func() { p.holder = "two" })
		after(time.Minute)
		if n := len(p.did()); n < 60 || n > 70 || p.asked() != 0 {
			t.Errorf("asked for %d times in a minute, %d requests let go", n, p.asked())
		}
		p.change(func() { p.holder = "" }) // it was given back
		after(2 * time.Second)
		if !slices.Equal(p.classes(), []jobs.Class{jobs.OK}) {
			t.Errorf("calls %v", p.classes())
		}
	})
}

// One that gets the probe of a circuit that moved on meanwhile gives it back.
func TestProberGivesBackWhatIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newProbing(t, openFor(time.Second))
		defer p.stop()
		p.onGrant(func() bool {
			p.set(closedNow)
			return false
		})
		after(10 * time.Second)
		p.mustDo(t, "ask", "free")
		if p.classes() != nil {
			t.Errorf("calls %v", p.classes())
		}
	})
}

// What only this host saw it probes by itself.
func TestProberOfALocalCircuit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		local := openFor(0)
		local.Local = true
		p := newProbing(t, local)
		defer p.stop()
		after(time.Second)
		p.mustDo(t)
		if !slices.Equal(p.classes(), []jobs.Class{jobs.OK}) {
			t.Errorf("calls %v", p.classes())
		}
	})
}

// A worker that did not reach the target the last time lets others go first.
func TestProberYields(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		unreached := openFor(time.Second)
		unreached.Unreached = true
		p := newProbing(t, unreached)
		defer p.stop()
		after(1200 * time.Millisecond)
		p.mustDo(t)
		after(100 * time.Millisecond)
		p.mustDo(t, "ask") // nobody else did
		after(time.Second)
		unreached.Generation, unreached.CooldownUntil = 2, time.Now().Add(time.Second)
		p.set(unreached)
		p.Wake()
		after(1200 * time.Millisecond)
		p.set(closedNow) // another was faster
		after(time.Second)
		p.mustDo(t)
	})
}

// A worker of which the fleet has not heard for a while makes no minimal call: it
// may have been missed, and the probe may be another's.
func TestProberOfAStaleWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newProbing(t, openFor(0))
		defer p.stop()
		stale := func(err error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.life = err
		}
		stale(errStale)
		after(time.Minute)
		if p.classes() != nil {
			t.Errorf("calls %v", p.classes())
		}
		stale(nil)
		after(time.Second)
		if !slices.Equal(p.classes(), []jobs.Class{jobs.OK}) {
			t.Errorf("calls %v", p.classes())
		}
	})
}

// A panic in a minimal call is a call of class LOST, and the prober goes on.
func TestProberSurvivesAPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newProbing(t, openFor(0))
		defer p.stop()
		answers := p.breakers.probe
		p.onProbe(func() *jobs.Attempt {
			next := openFor(time.Second)
			next.Generation = 2
			p.set(next)
			p.onProbe(answers)
			panic("a bug")
		})
		after(time.Second)
		if !slices.Equal(p.classes(), []jobs.Class{jobs.Lost}) || !p.first().Probe || p.first().Target != "a" {
			t.Errorf("calls %v", p.classes())
		}
		after(2 * time.Second)
		if !slices.Equal(p.classes(), []jobs.Class{jobs.Lost, jobs.OK}) {
			t.Errorf("calls %v", p.classes())
		}
	})
}

// A worker that stops gives back a probe that is not over.
func TestProberStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newProbing(t, openFor(0))
		p.onProbe(func() *jobs.Attempt { return nil })
		after(time.Second)
		p.stop()
		p.mustDo(t, "ask", "free")
		if p.holder != "" {
			t.Errorf("%s has the probe", p.holder)
		}
	})
}

// A new configuration took the target away that this worker had the probe of:
// another one may serve it still.
func TestProberOfATargetThatIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newProbing(t, openFor(0))
		defer p.stop()
		p.onProbe(func() *jobs.Attempt { return nil })
		after(time.Second)
		p.mustDo(t, "ask")
		p.set()
		after(time.Second)
		p.mustDo(t, "free")
		if p.holder != "" {
			t.Errorf("%s has the probe", p.holder)
		}
	})
}

// A configuration without the target takes the probe back; one with it again, soon
// after, finds this worker still lent it by the fleet.
func TestProberOfATargetThatComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newProbing(t, openFor(0))
		defer p.stop()
		granted, grants := false, 0
		p.onGrant(func() bool {
			granted = grants > 0 // the first is lost at once
			grants++
			return true
		})
		answers := p.breakers.probe
		p.onProbe(func() *jobs.Attempt {
			if !granted {
				return nil
			}
			return answers()
		})
		after(10 * time.Second)
		if !slices.Equal(p.classes(), []jobs.Class{jobs.OK}) {
			t.Errorf("calls %v", p.classes())
		}
	})
}
