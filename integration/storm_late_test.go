package integration

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing"
	"tidegate/routing/simulator"
)

// A lateness keeps the answer to the first call through it until it is let go.
type lateness struct {
	first  sync.Once
	kept   chan struct{} // closed when there is an answer
	let    chan struct{} // closed by the test
	behind http.Handler
}

func (l *lateness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mine := false
	l.first.Do(func() { mine = true })
	if !mine {
		l.behind.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	l.behind.ServeHTTP(answer, r)
	close(l.kept)
	select {
	case <-l.let:
	case <-r.Context().Done():
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// TestAnswerThatIsLate: in each of two workers a call began before the trip, and
// is answered while a probe is out. The answers are kept. They say nothing of the
// target: its circuit stays open, in both, until a probe is answered.
func TestAnswerThatIsLate(t *testing.T) {
	t.Parallel()
	s := newStorm(t, staging{config: oneTarget})
	let, door := make(chan struct{}), newDoor()
	door.providers = s.sim
	ways := [2]*lateness{}
	for i := range ways {
		ways[i] = &lateness{kept: make(chan struct{}), let: let, behind: s.before(door)}
	}
	crews := s.crews(2, func(i int, c *app.StackConfig) { s.through(c, "", serve(t, ways[i])) })
	batch := s.enqueue(10*inHand, nil)
	fixture.Await(t, soon, "each worker waits for an answer", func() bool { return over(ways[0].kept) && over(ways[1].kept) })
	s.awaitResults(4)
	s.down("*", simulator.Fault{Mode: simulator.Unavailable})
	s.awaitAllShut(cheap, crews...)
	answered := s.sim.Calls("*").Outcomes[simulator.OK] - len(ways) // whose answers are kept
	fixture.Await(t, soon, "what was answered is stored", func() bool { return s.results() == answered })
	before, probes := s.results(), s.probes()
	door.Shut()
	fixture.Await(t, soon, "a probe is out", func() bool { return s.underWay() == 1 })
	close(let)
	s.awaitResults(before + 2)
	s.rounds(2) // each worker has heard of whatever there was to hear
	if s.underWay() != 1 {
		t.Errorf("%d calls are under way, not the probe", s.underWay())
	}
	door.Open()
	s.awaitProbes(probes + 2)
	for _, c := range crews {
		if now := c.circuit(cheap); now.State == jobs.CircuitClosed {
			t.Errorf("a circuit is %+v", now)
		}
	}
	if n := len(s.told("tidegate.v1.circuits." + cheap + ".closed")); n != 0 || s.results() != before+2 {
		t.Errorf("%d events of a circuit that closed, %d answers", n, s.results()-before)
	}
	s.back()
	s.drained(batch)
	s.awaitClosed(cheap, crews...)
	if n := len(s.told("tidegate.v1.circuits." + cheap + ".closed")); n != 1 {
		t.Errorf("%d events of a circuit that closed once", n)
	}
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

// A panicky provider panics in the next calls, as often as it was told.
type panicky struct {
	routing.Provider
	left *atomic.Int64

	mu *sync.Mutex
	at *[]time.Time // when it did
}

func (p panicky) Complete(ctx context.Context, target *jobs.Target, of jobs.Endpoint, body []byte) (*jobs.Answer, *jobs.Error) {
	if target.Name == cheap && p.left.Add(-1) >= 0 {
		p.mu.Lock()
		*p.at = append(*p.at, time.Now())
		p.mu.Unlock()
		panic("a bug in an adapter")
	}
	return p.Provider.Complete(ctx, target, jobs.EndpointChat, body)
}

func (p panicky) panicked() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]time.Time{}, *p.at...)
}

// TestProbeThatPanics: the adapter panics in two probes, be they requests that
// wait or minimal calls. Each frees its probe and counts as one that failed; the
// workers live, the next probe goes, and the circuit closes when the target is
// well. A panic costs the one request that met it an attempt, and nobody else.
func TestProbeThatPanics(t *testing.T) {
	t.Parallel()
	for name, conf := range map[string]func(*config.Config){"a request": oneTarget, "a minimal call": twoTargets} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStorm(t, staging{config: conf})
			bug := panicky{left: new(atomic.Int64), mu: new(sync.Mutex), at: new([]time.Time)}
			crews := s.crews(2, func(_ int, c *app.StackConfig) {
				c.Provider = func(p routing.Provider) routing.Provider { bug := bug; bug.Provider = p; return bug }
			})
			s.down("cheap", down503)
			batch := s.enqueue(3*inHand, nil)
			s.awaitAllShut(cheap, crews...)
			if name == "a minimal call" {
				s.settle(batch)
			}
			bug.left.Store(2)
			fixture.Await(t, soon, "it has panicked twice", func() bool { return len(bug.panicked()) == 2 })
			if at := bug.panicked(); at[1].Sub(at[0]) < soonestAgain {
				t.Errorf("it panicked twice within %s", at[1].Sub(at[0]))
			}
			before := s.sim.Calls("cheap").Total
			fixture.Await(t, soon, "another probe goes", func() bool { return s.sim.Calls("cheap").Total > before })
			s.back()
			s.awaitClosed(cheap, crews...)
			if name == "a minimal call" {
				s.drained(batch)
				if n := s.attempts()[cheap+" LOST probe"]; n != 2 {
					t.Errorf("%d panics are written down", n)
				}
				return
			}
			batch = s.settle(batch)
			s.answeredAfter(batch, 2)
		})
	}
}

// answeredAfter checks that all of a batch was answered, and that River worked
// no more than some of its jobs a second time.
func (s *storm) answeredAfter(batch jobs.Batch, panics int) {
	s.Helper()
	if batch.Completed != batch.Total || s.sim.Seen("*").AnsweredTwice != 0 {
		s.Errorf("the batch ended as %+v", batch)
	}
	again := s.count("SELECT count(*) FROM tidegate.river_job WHERE state = 'completed' AND attempt = 2")
	if once := s.count("SELECT count(*) FROM tidegate.river_job WHERE state = 'completed' AND attempt = 1"); again > panics || once != batch.Total-again {
		s.Errorf("%d jobs were worked once, %d twice, after %d panics", once, again, panics)
	}
}
