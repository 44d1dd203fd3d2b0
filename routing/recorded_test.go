package routing

import (
	"testing"
	"time"

	"tidegate/jobs"
)

// Of a request of the past nobody has the body: its record says what it was.
func TestRecordedRequest(t *testing.T) {
	t.Parallel()
	s := chainOf(t, &jobs.Target{Name: "a", Price: jobs.Price{Input: 1_000_000, Output: 2_000_000}, Limits: jobs.Limits{TokensPerMinute: 600_000}},
		&jobs.Target{Name: "b", Price: jobs.Price{Input: 1_000_000, Output: 2_000_000}, ContextTokens: 1000})
	s.asks(&jobs.Request{Recorded: &jobs.Recorded{Body: 12_000, Input: 3000}, Goal: Balanced})
	w := s.walks()
	if got := w.place.tokens; got != 3000+expectedOutput {
		t.Errorf("it is thought to use %d tokens", got)
	}
	if got, want := w.try.usage(w.place.target), (jobs.Usage{Input: 3000, Output: expectedOutput}); got != want {
		t.Errorf("it is thought to use %+v", got)
	}
	if why := w.try.unfit(s.targets["b"]); why == "" {
		t.Error("3000 tokens fit a window of 1000")
	}
	if input, output := w.try.expected(); input != 3000 || output != expectedOutput {
		t.Errorf("%v and %v tokens are expected", input, output)
	}
	w.Release()
	s.passes(time.Minute)
	s.request.Recorded = &jobs.Recorded{Body: 12_000, Input: 3000, Output: 77}
	if input, output := s.walks().try.expected(); input != 3000 || output != 77 {
		t.Errorf("of what is foreseen %v and %v tokens are expected", input, output)
	}
	s.passes(time.Minute)
	s.request.Recorded = &jobs.Recorded{Body: 12_000}
	if got := s.walks().try.usage(s.targets["a"]).Input; got != 3000 {
		t.Errorf("where only its length is known, it is thought to have %d tokens", got)
	}
}

// Its answers have no words that could be judged, or be like others.
func TestRecordedAnswersAreNotJudged(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b")
	s.serves(jobs.Route{Chain: s.router.plan.Load().routes[theRoute].Chain, Expect: &jobs.Expect{MinCharacters: 10}})
	s.asks(&jobs.Request{Recorded: &jobs.Recorded{Body: 100, Input: 25}})
	for i := range 200 {
		w := s.walks()
		if ready, no := w.Begin(); !ready {
			t.Fatal(no)
		}
		s.passes(time.Second)
		no := w.End(&jobs.Answer{Usage: jobs.Usage{Input: 25, Output: 1 + i}, FinishReason: "stop"}, nil)
		if no == nil || no.Verdict != jobs.Answered {
			t.Fatalf("answer %d: %+v", i, no)
		}
		if attempt := no.Trace.Attempts()[0]; attempt.Decision != nil {
			t.Fatal("nobody writes down why it was that target")
		}
	}
	if known := s.targets["a"].baselines.of; len(known) > 0 {
		t.Errorf("what its answers are like was learned: %v", known)
	}
	s.request.Recorded = nil
	w := s.walks()
	w.Begin()
	if no := w.End(&jobs.Answer{Body: []byte(`{"choices":[{"message":{"content":"no"}}]}`), FinishReason: "stop"}, nil); no != nil && no.Verdict == jobs.Answered {
		t.Error("an answer of now is not judged: this would prove nothing")
	}
}

// Whoever makes the calls himself makes a minimal call, too.
func TestProbeStepByStep(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b")
	if s.router.WalkProbe("a") != nil || s.router.WalkProbe("nobody") != nil {
		t.Error("what is closed, or is not there, is probed")
	}
	opened(t, s.targets["a"].circuit)
	s.passes(time.Hour)
	w := s.router.WalkProbe("a")
	if w == nil {
		t.Fatal("there is no probe")
	}
	if s.router.WalkProbe("a") != nil {
		t.Error("there are two")
	}
	s.passes(3 * time.Second)
	attempt := w.EndProbe(&jobs.Answer{Body: []byte(`{}`)}, nil)
	if !attempt.Probe || attempt.Latency != 3*time.Second || attempt.Class != jobs.OK {
		t.Errorf("%+v", attempt)
	}
	s.circuit("a", jobs.CircuitClosed)
}
