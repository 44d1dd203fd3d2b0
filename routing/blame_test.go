package routing

import (
	"context"
	"slices"
	"testing"
	"time"

	"tidegate/jobs"
)

// poisonous is a request for which each target fails.
func poisonous() *jobs.Request {
	return &jobs.Request{ID: "poison", Body: []byte("poison"), Route: theRoute}
}

// poisoned is a chain whose targets fail one request and answer all others.
func poisoned(t *testing.T, names ...string) *story {
	s := chain(t, names...)
	s.provider.during = func(_ context.Context, _ string, body []byte) *jobs.Error {
		if string(body) == "poison" {
			return &jobs.Error{Class: jobs.Transient, Status: 500, Message: "internal error", Said: true}
		}
		return nil
	}
	return s.asks(poisonous())
}

func TestPoisonIsRefusedAndOpensNoCircuit(t *testing.T) {
	t.Parallel()
	s := poisoned(t, "a")
	for range 8 { // the first failure is nobody's fault yet
		s.tries().circuit("a", closed)
		if s.outcome.Verdict != jobs.Blocked {
			t.Fatalf("ended too early: %s", s.told())
		}
		s.passes(s.outcome.Until.Sub(s.clock.now()))
		others(s, 1)
		s.passes(time.Millisecond)
	}
	s.tries().refused(jobs.Transient).because("8 times").because("internal error").circuit("a", closed).calls("a", 9+8)
	if s.outcome.Err.Status != 500 {
		t.Errorf("the status is %d", s.outcome.Err.Status)
	}
}

// others lets n other requests be answered, as fast as the pace lets them.
func others(s *story, n int) {
	for range n {
		s.passes(s.rests("a"))
		if o := s.router.Route(context.Background(), &jobs.Request{Route: theRoute}, nil); o.Verdict != jobs.Answered {
			s.t.Fatalf("another request got %+v", o)
		}
	}
}

func TestPoisonIsBlamedAtEveryTargetOfItsChain(t *testing.T) {
	t.Parallel()
	s := poisoned(t, "a", "b", "c")
	for range 10 {
		s.tries().circuit("a", closed).circuit("b", closed).circuit("c", closed)
		if s.outcome.Verdict == jobs.Refused {
			break
		}
		s.passes(time.Second)
		for _, target := range s.targets {
			acquire(t, target.circuit).Done(Success, "")
		}
		s.passes(time.Millisecond)
	}
	s.refused(jobs.Transient)
	if n := len(s.history.Attempts()); n > 8+3+3 {
		t.Errorf("it took %d calls", n)
	}
}

func TestBlameDoesNotHideADeadTarget(t *testing.T) {
	t.Parallel()
	s := chain(t, "a").tries().to("a").down("a")
	for range 4 {
		s.passes(time.Millisecond).tries().circuit("a", closed)
	}
	s.passes(time.Millisecond).tries().circuit("a", open).held()
}

// The only request in the whole system, while nobody answers, is an outage and
// not poison, however often it fails.
func TestLoneRequestWaitsOutAnOutage(t *testing.T) {
	t.Parallel()
	s := chain(t, "a").down("a")
	for range 4 {
		s.tries().circuit("a", closed)
		s.passes(s.outcome.Until.Sub(s.clock.now()))
	}
	s.tries().circuit("a", open).held().calls("a", 5)
	for range 300 { // hours of failing probes
		s.passes(s.cooldown("a")).tries().held().circuit("a", open)
	}
	s.up("a").passes(s.cooldown("a")).tries().to("a")
	for _, a := range s.history.Attempts() {
		if a.Blamed {
			t.Fatal("an attempt during the outage was blamed on the request")
		}
	}
}

// In a brown-out others are answered, too: what keeps an innocent request from
// being refused is that the circuit opens.
func TestBrownOutCondemnsNobody(t *testing.T) {
	t.Parallel()
	s := chain(t, "a")
	for range 30 {
		s.passes(s.rests("a")).fails("a", jobs.Overload, 1).tries() // our request fails again
		if s.outcome.Verdict == jobs.Refused {
			t.Fatalf("condemned: %s", s.told())
		}
		others(s, 3)
		for range 5 {
			s.passes(time.Millisecond+s.rests("a")).fails("a", jobs.Overload, 1).routes(1)
		}
		s.circuit("a", open).passes(s.cooldown("a"))
		others(s, 3) // the probe, and more
		s.passes(time.Millisecond).circuit("a", closed)
	}
	s.passes(s.rests("a")).tries().to("a")
}

// A healthy target that is down on the word of poison must soon be up again:
// whose probe failed goes to the end of the line, as a worker does it.
func TestPoisonDoesNotKeepACircuitOpen(t *testing.T) {
	t.Parallel()
	s := poisoned(t, "a")
	opened(t, s.targets["a"].circuit)
	began := s.clock.now()
	poison := poisonous()
	line := []*jobs.Request{poison, poison, poison, {Route: theRoute}, {Route: theRoute}}
	for s.targets["a"].circuit.Snapshot().State != closed {
		n, again := s.router.Admits(theRoute)
		if n == 0 {
			s.clock.pass(again.Sub(s.clock.now()))
			continue
		}
		first := line[0]
		line = slices.Concat(line[1:], line[:1])
		s.router.Route(context.Background(), first, nil)
	}
	if took := s.clock.now().Sub(began); took > 5*time.Second {
		t.Errorf("a healthy target was shut for %s", took)
	}
	others(s, 1)
}

func TestPoisonCountsOncePerGeneration(t *testing.T) {
	t.Parallel()
	s := poisoned(t, "a")
	for range 4 { // one failure of ours, then others are answered: the row is broken
		s.tries().passes(time.Second)
		others(s, 1)
	}
	if blamed := s.history.Attempts(); blamed[0].Blamed || !blamed[1].Blamed || !blamed[3].Blamed {
		t.Errorf("blamed: %v %v %v", blamed[0].Blamed, blamed[1].Blamed, blamed[3].Blamed)
	}
	if got := s.targets["a"].circuit.breaker.Metrics().Failures(); got != 1 {
		t.Errorf("%d failures count, want 1", got)
	}
}

// That others were answered once, after the first failure, says nothing of the
// failures since: blame looks at what happened after the last one.
func TestBlameEndsWhenNobodyIsAnsweredAnyMore(t *testing.T) {
	t.Parallel()
	s := poisoned(t, "a").tries().passes(time.Second)
	others(s, 1)
	for range 3 {
		s.passes(time.Second).tries()
	}
	got := s.history.Attempts()
	if !got[1].Blamed || got[2].Blamed || got[3].Blamed {
		t.Errorf("blamed: %v %v %v, want only the first of them", got[1].Blamed, got[2].Blamed, got[3].Blamed)
	}
}

// A target that dies goes on answering what it had begun: such answers between
// two failures of a request do not make the second its own fault.
func TestAnswersThatBeganBeforeBlameNobody(t *testing.T) {
	t.Parallel()
	s := poisoned(t, "a")
	earlier, ok := s.router.plan.Load().targets[0].circuit.Acquire()
	if !ok {
		t.Fatal("no permit")
	}
	s.passes(time.Millisecond)
	s.tries()
	s.passes(time.Millisecond)
	earlier.Done(Success, "")
	s.passes(s.outcome.Until.Sub(s.clock.now()))
	s.tries()
	if last := s.outcome.Trace.Attempts(); len(last) != 1 || last[0].Blamed {
		t.Errorf("the second failure is blamed on the request: %+v", last)
	}
}
