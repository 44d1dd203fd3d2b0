package routing

import (
	"context"
	"testing"
	"time"

	"tidegate/jobs"
)

const (
	closed   = jobs.CircuitClosed
	open     = jobs.CircuitOpen
	halfOpen = jobs.CircuitHalfOpen
)

func TestRouteTakesTheFirstThatAnswers(t *testing.T) {
	t.Parallel()
	chain(t, "a", "b").routes(3).to("a").calls("a", 3).calls("b", 0)
}

func TestRouteFailsOver(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b").fails("a", jobs.Overload, 5).routes(5).to("b").circuit("a", open).calls("a", 5).calls("b", 5)
	s.routes(1).to("b").skips("a", "circuit open: 5 failures in a row").calls("a", 5)
	s.passes(time.Second).routes(1).to("a").circuit("a", closed).calls("b", 6)
}

func TestRouteKeepsATraceInOrder(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b", "c", "d")
	opened(t, s.targets["b"].circuit)
	s.provider.usage = jobs.Usage{Input: 100, Output: 10}
	s.targets["c"].Price = jobs.Price{Input: jobs.USD(10), Output: jobs.USD(100)}
	s.says("a", jobs.Error{Class: jobs.Timeout, Status: 504, Code: "late", Message: "too slow"}).routes(1).to("c")
	trace := s.outcome.Trace
	if len(trace) != 3 {
		t.Fatalf("%d steps, want 3: %s", len(trace), s.told())
	}
	if a := trace[0].Attempt; a == nil || a.Target != "a" || a.Class != jobs.Timeout || a.Status != 504 || a.Code != "late" || a.Message != "too slow" {
		t.Errorf("the first step is %+v", a)
	}
	if skip := trace[1].Skip; skip == nil || skip.Target != "b" || !skip.Until.Equal(s.clock.now().Add(time.Second)) {
		t.Errorf("the second step is %+v", skip)
	}
	if a := trace[2].Attempt; a == nil || a.Target != "c" || a.Class != jobs.OK || a.Status != 200 || a.Cost != 2000 || a.FirstByte != time.Millisecond {
		t.Errorf("the third step is %+v", a)
	}
}

func TestRouteAsksNobodyTwiceInOneTry(t *testing.T) {
	t.Parallel()
	a, b := &jobs.Target{Name: "a", Provider: "one"}, &jobs.Target{Name: "b", Provider: "two"}
	s := chainOf(t, a, b, a, b, a).down("a").down("b")
	s.routes(1).waits(time.Second).calls("a", 1).calls("b", 1)
}

func TestRouteSharesACircuitBetweenRoutes(t *testing.T) {
	t.Parallel()
	target := &jobs.Target{Name: "a"}
	r := New(Config{Routes: []jobs.Route{
		{Name: "one", Chain: []*jobs.Target{target}},
		{Name: "two", Chain: []*jobs.Target{target}},
	}})
	if plan := r.plan.Load(); len(r.Circuits()) != 1 || plan.routes["one"].chain[0] != plan.routes["two"].chain[0] {
		t.Errorf("two routes, %d circuits", len(r.Circuits()))
	}
}

func TestRouteHoldsWhenAllCircuitsAreOpen(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b").down("a").down("b").flows(All)
	s.routes(5).held().circuit("a", open).circuit("b", open).because("a: circuit open").because("b: circuit open").flows(0)
	if got := s.outcome.Until.Sub(s.clock.now()); got != time.Second {
		t.Errorf("held for %s, want 1s", got)
	}
	s.routes(100).held().calls("a", 5).calls("b", 5) // no calls at all
	s.passes(time.Second).flows(2).up("b").routes(1).to("b").calls("a", 6).flows(All)
}

func TestRouteWaitsLongerFromTryToTry(t *testing.T) {
	t.Parallel()
	loose := jobs.Thresholds{FailuresInARow: 100, Window: 1000}
	for _, names := range [][]string{{"a"}, {"a", "b", "c"}} { // however many fail it in one try
		targets := make([]*jobs.Target, len(names))
		for i, name := range names {
			targets[i] = &jobs.Target{Name: name, Circuit: loose}
		}
		s := chainOf(t, targets...)
		for _, name := range names {
			s.down(name)
		}
		for _, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			s.tries().waits(want * time.Second).because("OVERLOAD").passes(want * time.Second)
		}
		s.up("a").tries().to("a")
	}
}

func TestRouteRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	s := chain(t, "a")
	s.outcome = s.router.Route(context.Background(), &jobs.Request{Route: "elsewhere"}, nil)
	s.refused(jobs.BadRequest).because(`"elsewhere"`)
	s.asks(&jobs.Request{Goal: "beauty"}).tries().refused(jobs.BadRequest).because(`"beauty"`).because(Ordered)
	chainOf(t).flows(All).routes(1).refused(jobs.BadRequest).because("no target")
	if n, _ := s.router.Admits("elsewhere"); n != All {
		t.Errorf("an unknown route admits %d: its requests would wait for ever", n)
	}
}

func TestRouteStopsWithItsContext(t *testing.T) {
	t.Parallel()
	t.Run("before it begins", func(t *testing.T) {
		t.Parallel()
		s := chain(t, "a", "b")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.outcome = s.router.Route(ctx, s.request, nil)
		s.waits(0).because("the caller stopped waiting").calls("a", 0).calls("b", 0).free("a")
		if len(s.outcome.Trace) != 0 {
			t.Errorf("nobody was passed over, and yet %s", s.told())
		}
	})
	t.Run("during a call", func(t *testing.T) {
		t.Parallel()
		s := chain(t, "a", "b")
		ctx, cancel := context.WithCancel(context.Background())
		s.provider.during = func(context.Context, string, []byte) *jobs.Error {
			cancel()
			return &jobs.Error{Class: jobs.Lost}
		}
		opened(t, s.targets["a"].circuit)
		s.passes(time.Second) // the call is a probe
		s.outcome = s.router.Route(ctx, s.request, nil)
		s.waits(0).calls("a", 1).calls("b", 0).circuit("a", halfOpen).flows(All)
		if ready, _ := s.targets["a"].circuit.readiness(); ready != ProbeReady {
			t.Error("the cancelled probe was not freed")
		}
	})
	t.Run("but what was said by then counts", func(t *testing.T) {
		t.Parallel()
		for class, want := range map[jobs.Class]jobs.Verdict{jobs.OK: jobs.Answered, jobs.Content: jobs.Refused} {
			s := chain(t, "a", "b")
			ctx, cancel := context.WithCancel(context.Background())
			s.provider.during = func(context.Context, string, []byte) *jobs.Error {
				cancel()
				if class == jobs.OK {
					return nil
				}
				return &jobs.Error{Class: class}
			}
			if s.outcome = s.router.Route(ctx, s.request, nil); s.outcome.Verdict != want {
				t.Errorf("%s: got %s, want %s", class, s.told(), want)
			}
		}
	})
}

func TestRouteSurvivesAProviderThatBreaksItsWord(t *testing.T) {
	t.Parallel()
	t.Run("both", func(t *testing.T) {
		t.Parallel()
		r := New(Config{Routes: []jobs.Route{{Name: theRoute, Chain: []*jobs.Target{{Name: "a"}}}}, Provider: liar{&jobs.Answer{}, &jobs.Error{Class: jobs.Overload}}})
		if o := r.Route(context.Background(), &jobs.Request{Route: theRoute}, nil); o.Verdict != jobs.Blocked || o.Answer != nil {
			t.Errorf("an answer with an error is %+v", o)
		}
	})
	t.Run("neither", func(t *testing.T) {
		t.Parallel()
		r := New(Config{Routes: []jobs.Route{{Name: theRoute, Chain: []*jobs.Target{{Name: "a"}}}}, Provider: liar{}})
		if o := r.Route(context.Background(), &jobs.Request{Route: theRoute}, nil); o.Verdict != jobs.Blocked || o.Err.Class != jobs.Garbled {
			t.Errorf("nothing at all is %+v", o)
		}
	})
}

type liar struct {
	answer *jobs.Answer
	err    *jobs.Error
}

func (l liar) Check(*jobs.Target, jobs.Endpoint, []byte) error { return nil }

func (l liar) Complete(context.Context, *jobs.Target, jobs.Endpoint, []byte) (*jobs.Answer, *jobs.Error) {
	return l.answer, l.err
}

// A call that was not made takes no time: what came before the next one is no part of
// it.
func TestWalkCountsTheCallAlone(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b")
	w, _ := s.router.Walk(&jobs.Request{Route: theRoute}, nil)
	s.cooling("a", time.Hour)
	if ready, no := w.Begin(); ready || no != nil || w.Target().Name != "b" {
		t.Fatalf("ready %t, %v", ready, no)
	}
	s.passes(time.Minute)
	if ready, _ := w.Begin(); !ready {
		t.Fatal("b is not ready")
	}
	no := w.End(&jobs.Answer{Body: []byte("{}")}, nil)
	if a := no.Trace.Attempts()[0]; a.Latency != 0 || !a.At.Equal(s.clock.now()) {
		t.Errorf("it took %s, from %s", a.Latency, a.At)
	}
}
