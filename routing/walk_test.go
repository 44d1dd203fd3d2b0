package routing

import (
	"testing"
	"time"

	"tidegate/jobs"
)

// walks begins a walk for the request that is told of.
func (s *story) walks() *Walk {
	s.t.Helper()
	w, outcome := s.router.Walk(s.request, s.history)
	if w == nil {
		s.t.Fatalf("there is no walk: %+v", outcome)
	}
	return w
}

func TestWalkStepByStep(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b", "c")
	w := s.walks()
	if ready, no := w.Begin(); !ready || no != nil || w.Target().Name != "a" {
		t.Fatalf("ready: %t, %+v", ready, no)
	}
	began := s.clock.now()
	s.passes(3 * time.Second)
	if no := w.End(nil, &jobs.Error{Class: jobs.Overload, Status: 503, Said: true}); no != nil {
		t.Fatalf("a failure of one of three ends it: %+v", no)
	}
	opened(t, s.targets["b"].circuit) // which has its permit
	if ready, no := w.Begin(); ready || no != nil || w.Target().Name != "c" {
		t.Fatalf("the place at b stands though its circuit opened: %t, %+v", ready, no)
	}
	if ready, _ := w.Begin(); !ready {
		t.Fatal("c is not ready")
	}
	s.passes(time.Second)
	s.outcome = *w.End(&jobs.Answer{Body: []byte(`{}`)}, nil)
	s.to("c").skips("b", "circuit open")
	attempts := s.outcome.Trace.Attempts()
	if len(attempts) != 2 || !attempts[0].At.Equal(began) || attempts[0].Latency != 3*time.Second || attempts[1].Latency != time.Second {
		t.Errorf("the attempts are %+v", attempts)
	}
	for _, name := range []string{"a", "b", "c"} {
		if out := s.targets[name].pace.snapshot().InFlight; out != 0 {
			t.Errorf("%d places of %s are taken", out, name)
		}
	}
}

// A walk that is given up leaves nothing taken, whenever that is.
func TestWalkIsReleased(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b")
	s.walks().Release()
	w := s.walks()
	w.Begin()
	w.Release()
	w.Release()
	if out := s.targets["a"].pace.snapshot().InFlight; out != 0 {
		t.Errorf("%d places are taken", out)
	}
}

// Many walks of one router may be under way at once, as on the clock of a replay.
func TestWalksInterleave(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b")
	var out []*Walk
	for range fewPlaces {
		w := s.walks()
		w.Begin()
		out = append(out, w)
	}
	if w, outcome := s.router.Walk(s.request, nil); w != nil || !outcome.Held {
		t.Errorf("a fifth has a place: %+v", outcome)
	}
	for i := len(out) - 1; i >= 0; i-- {
		if no := out[i].End(&jobs.Answer{}, nil); no == nil || no.Verdict != jobs.Answered || len(no.Trace) != 1 {
			t.Errorf("walk %d: %+v", i, no)
		}
	}
	s.walks().Release()
}
