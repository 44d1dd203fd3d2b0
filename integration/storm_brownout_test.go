package integration

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
)

// TestBrownOutOfTheFirstTarget: a target fails a share of its calls, with another
// one behind it that is well. Its circuit opens after about as many calls as the
// defaults promise; every request is answered while the brown-out goes on, and
// nobody is blamed for it.
func TestBrownOutOfTheFirstTarget(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		rate float64
		most int // calls until the circuit opens: 1 in 25 stories would take longer
	}{"a quarter": {0.25, 75}, "a half": {0.5, 30}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStorm(t, staging{config: twoTargets})
			// From the first call on: the simulator draws by the number of a call, so
			// that the story is the same each time.
			s.down("cheap", simulator.Fault{Mode: simulator.ServerError, Rate: story.rate})
			crew := s.crews(1, nil)[0]
			batch := s.enqueue(150, nil)
			fixture.Await(t, soon, "the circuit opens", func() bool { return crew.circuit(cheap).State != jobs.CircuitClosed })
			if n := s.sim.Calls("cheap").Total; n > story.most+atOnce {
				t.Errorf("it opened after %d calls, at most %d", n, story.most)
			}
			s.drained(batch)
			s.innocent()
			if n := s.count("SELECT count(*) FROM tidegate.attempts WHERE target <> $1 AND class <> 'OK'", cheap); n != 0 {
				t.Errorf("%d calls failed at the one that is well", n)
			}
			fixture.Await(t, soon, "the fleet knows of it", func() bool { return s.shared(cheap).Generation > 0 })
		})
	}
}

// TestBrownOutOfEveryTarget: a third of all calls fail, wherever they go, in two
// workers. All requests are answered at last, and none of them pays for it with an
// attempt.
func TestBrownOutOfEveryTarget(t *testing.T) {
	t.Parallel()
	s := newStorm(t, staging{config: twoTargets})
	s.down("*", simulator.Fault{Mode: simulator.Unavailable, Rate: 0.33})
	s.crews(2, nil)
	s.drained(s.enqueue(24, nil))
	s.innocent()
	if n := s.calls(jobs.Overload); n < 5 {
		t.Errorf("only %d calls failed", n)
	}
}

// innocent checks that no request came near to being refused for what its targets
// did to it.
func (s *storm) innocent() {
	s.Helper()
	const blamed = "SELECT max(n) FROM (SELECT count(*) FILTER (WHERE blamed) AS n FROM tidegate.attempts GROUP BY request_id) r"
	if n := s.count(blamed); n > 4 {
		s.Errorf("a request was blamed %d times", n)
	}
}

// short are timeouts for a provider that says nothing. An answer that takes
// longer, on a busy machine, is bought twice.
func short(c *config.Config) {
	oneTarget(c)
	c.Targets[0].Timeouts = config.Timeouts{Connect: time.Second, FirstByte: time.Second, Idle: time.Second, Total: 1500 * time.Millisecond}
}

// TestProviderThatHangs: it accepts calls and never answers, or sends an empty
// line now and then so that nobody hangs up. In two workers that is a TIMEOUT,
// which opens the circuit for both; one probe goes at a time; it drains when it
// is over.
func TestProviderThatHangs(t *testing.T) {
	t.Parallel()
	var keeps keepsAlive
	for name, story := range map[string]struct {
		staging
		begin, end func(*storm)
		patience   time.Duration // of who calls
	}{
		"not a byte": {
			staging{config: short},
			func(s *storm) { s.down("*", simulator.Fault{Mode: simulator.Hang}) }, func(s *storm) { s.back() },
			time.Second,
		},
		"keep-alive lines": {
			staging{config: short},
			func(*storm) { keeps.on.Store(true) }, func(*storm) { keeps.on.Store(false) },
			1500 * time.Millisecond,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &storm{tape: &tape{}}
			story.serve = func(t *testing.T, providers http.Handler) string { return s.record(t, keeps.before(providers, name)) }
			s.stage = newStage(t, story.staging)
			crews := s.crews(2, nil)
			batch := s.enqueue(5*inHand, nil)
			s.awaitResults(inHand / 2)
			story.begin(s)
			fixture.Await(t, soon, "both know that the fleet's circuit is open", func() bool {
				return !slices.ContainsFunc(crews, func(c *crew) bool { now := c.circuit(cheap); return now.State == jobs.CircuitClosed || now.Local })
			})
			began := s.awaitAllShut(cheap, crews...)
			fixture.Await(t, soon, "it is written down", func() bool { return s.shared(cheap).State != jobs.CircuitClosed })
			if got := s.shared(cheap); !strings.Contains(got.Reason, "TIMEOUT") {
				t.Errorf("the fleet's circuit is %+v", got)
			}
			before := s.probes()
			s.awaitProbes(before + 2)
			s.apart(givenUp(s.since(began, time.Now()), story.patience), soonestAgain, latestAgain)
			story.end(s)
			s.oneEach(s.settle(batch))
			s.awaitClosed(cheap, crews...)
			for what, n := range s.attempts() {
				if !strings.HasPrefix(what, cheap+" OK") && !strings.HasPrefix(what, cheap+" TIMEOUT") {
					t.Errorf("%d calls ended as %s", n, what)
				}
			}
		})
	}
}

// givenUp is how calls ended for who made them: whoever serves hears of that later,
// on a busy machine much later.
func givenUp(calls []span, patience time.Duration) []span {
	for i := range calls {
		if last := calls[i].began.Add(patience); calls[i].ended.IsZero() || calls[i].ended.After(last) {
			calls[i].ended = last
		}
	}
	return calls
}

// keepsAlive is a provider that sends empty lines while it is on, as some do to
// those who wait for a long answer, and nothing else.
type keepsAlive struct{ on atomic.Bool }

// before answers in place of the providers of one story.
func (k *keepsAlive) before(providers http.Handler, story string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !k.on.Load() || story != "keep-alive lines" {
			providers.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusOK)
		lines := time.NewTicker(50 * time.Millisecond)
		defer lines.Stop()
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte("\n"))
			_ = http.NewResponseController(w).Flush()
			select {
			case <-lines.C:
			case <-r.Context().Done():
			}
		}
	})
}
