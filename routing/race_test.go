package routing

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"tidegate/jobs"
)

// Real goroutines on the real clock: never two probes at once, and after the
// storm nothing is left in anybody's hands.
func TestCircuitUnderManyCallers(t *testing.T) {
	t.Parallel()
	c := newCircuit(&jobs.Target{Name: "a", Circuit: jobs.Thresholds{FailuresInARow: 2, Cooldown: time.Microsecond}}, Config{Now: time.Now})
	var probes, met atomic.Int64
	inParallel(16, func() {
		for range 5000 {
			permit, ok := c.Acquire()
			if !ok {
				c.Ready()
				continue
			}
			if permit.Probe() {
				if probes.Add(1) != 1 {
					t.Error("two probes at once")
				}
				met.Add(1)
				probes.Add(-1)
			}
			switch {
			case permit.Probe(): // a failed one would wait a second
				permit.Done([]Outcome{Success, Neutral}[rand.N(2)], "")
			default:
				permit.Done([]Outcome{Success, Neutral, Failure, Failure}[rand.N(4)], "dead")
			}
		}
	})
	if met.Load() == 0 {
		t.Error("there was no probe at all: this test shows nothing")
	}
}

// A storm of requests against targets that fail, throttle and refuse.
func TestRouterUnderManyCallers(t *testing.T) {
	t.Parallel()
	s := chainOf(
		t,
		&jobs.Target{Name: "a", Provider: "one", Limits: jobs.Limits{Concurrency: 3}, Circuit: jobs.Thresholds{Cooldown: time.Microsecond}},
		&jobs.Target{Name: "b", Provider: "one", Limits: jobs.Limits{Concurrency: 5}},
		&jobs.Target{Name: "c", Provider: "two", Limits: jobs.Limits{Concurrency: 4}},
	)
	var changes atomic.Int64
	for _, target := range s.targets {
		target.circuit.onChange = func(jobs.Circuit) { changes.Add(1) }
	}
	var calls atomic.Int64
	s.provider.during = func(context.Context, string, []byte) *jobs.Error {
		if calls.Add(1)%64 == 0 {
			s.clock.pass(time.Second)
		}
		switch rand.N(8) {
		case 0:
			return &jobs.Error{Class: jobs.Overload}
		case 1:
			return &jobs.Error{Class: jobs.Rate, RetryAfter: time.Millisecond}
		case 2:
			return &jobs.Error{Class: jobs.Quota, RetryAfter: time.Millisecond}
		case 3:
			return &jobs.Error{Class: jobs.Lost}
		default:
			return nil
		}
	}
	var answered atomic.Int64
	inParallel(32, func() {
		for range 500 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.N(3000))*time.Microsecond)
			o := s.router.Route(ctx, &jobs.Request{Route: theRoute}, nil)
			cancel()
			switch {
			case o.Verdict == jobs.Answered:
				answered.Add(1)
			case o.Verdict == jobs.Refused:
				t.Errorf("refused: %+v", o)
			case o.Held:
				s.clock.pass(10 * time.Millisecond)
			}
			s.router.Admits(theRoute)
		}
	})
	if answered.Load() == 0 || changes.Load() == 0 {
		t.Errorf("%d answered, %d changes: this test shows nothing", answered.Load(), changes.Load())
	}
	s.provider.during = nil
	for name, target := range s.targets {
		s.free(name)
		if target.circuit.probeOut {
			t.Errorf("the probe of %s has leaked", name)
		}
	}
	s.passes(time.Hour).routes(1).to("a")
}

// The same prompts, counted, learned from and forgotten by many at once.
func TestPromptsUnderManyCallers(t *testing.T) {
	t.Parallel()
	s := chainOf(
		t,
		&jobs.Target{Name: "a", Provider: "one", ContextTokens: 2000},
		&jobs.Target{Name: "b", Provider: "two", Model: "gpt-4", ContextTokens: 8000, Limits: jobs.Limits{TokensPerMinute: 1e12}},
		&jobs.Target{Name: "c", Provider: "three", ContextTokens: 1_000_000},
	)
	s.provider.usage = jobs.Usage{Input: 900, Output: 20}
	var requests []*jobs.Request
	for i, n := range []int{10, 1000, 7000, 30_000} {
		requests = append(requests, &jobs.Request{ID: fmt.Sprint(i), Route: theRoute, Body: chatBody(t, words(n))})
	}
	inParallel(8, func() {
		for i := range 20 {
			s.clock.pass(time.Second)
			r := requests[(i+rand.N(2))%len(requests)]
			if o := s.router.Route(context.Background(), r, nil); o.Verdict == jobs.Refused {
				t.Errorf("refused: %+v", o)
			}
			if pass, _ := s.router.Admit(r, nil); pass != nil {
				pass.Release()
			}
		}
	})
	if s.provider.calls["b"] < 2 || s.targets["a"].tokens.calls == 0 {
		t.Errorf("%v: this test shows nothing", s.provider.calls)
	}
}

// Real goroutines: what is taken comes back, and the bounds hold meanwhile.
func TestPaceUnderManyCallers(t *testing.T) {
	t.Parallel()
	clock := newClock()
	p := newPace(jobs.Limits{RequestsPerMinute: 6_000_000, Concurrency: 8}, clock.now, rand.New(rand.NewPCG(1, 1)))
	var out atomic.Int64
	inParallel(16, func() {
		for range 2000 {
			clock.pass(10 * time.Microsecond)
			ok, _, _ := p.take(10)
			if !ok {
				p.snapshot()
				p.follow(paceShare{Share: 1, LastGood: 100_000})
				continue
			}
			if n := out.Add(1); n > 8 {
				t.Errorf("%d calls at once", n)
			}
			out.Add(-1)
			if rand.N(4) == 0 {
				p.refund(10)
			} else {
				p.done(paceEnd{class: jobs.OK, tokens: 10})
			}
		}
	})
	if s := p.snapshot(); s.InFlight != 0 {
		t.Errorf("after all calls ended: %+v", s)
	}
}
