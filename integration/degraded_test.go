package integration

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
)

// harbourBody is a completion of a document of some sentences, which is like no
// other and like all of them.
func harbourBody(n int) json.RawMessage {
	var text strings.Builder
	for i := range 8 + n%5 {
		fmt.Fprintf(&text, "In the year %d the harbour took %d ships with grain from the north. ", 1800+(n*7+i*13)%200, 100+(n*31+i*17)%900)
	}
	body, _ := json.Marshal(map[string]any{"model": "auto", "messages": []map[string]string{{"role": "user", "content": "Summarise: " + text.String()}}})
	return body
}

// twoWatched leaves two targets, whose circuits are probed soon.
func twoWatched(c *config.Config) {
	twoTargets(c)
	for i := range c.Targets {
		c.Targets[i].Circuit.Cooldown = 20 * time.Millisecond
	}
}

// harbours enqueues documents about harbours.
func (s *stage) harbours(from, n int, expect *jobs.Expect) jobs.Batch {
	s.Helper()
	return s.enqueue(n, func(i int, r *jobs.Request) {
		r.CustomID, r.Body, r.Expect = fmt.Sprintf("harbour-%d", from+i), harbourBody(from+i), expect
	})
}

// answered settles a batch of which every request was answered, at River's first
// attempt.
func (s *stage) answered(batch jobs.Batch) {
	s.Helper()
	if batch = s.settle(batch); batch.Completed != batch.Total {
		s.Errorf("%d of %d requests were answered", batch.Completed, batch.Total)
	}
	s.noneBurned()
}

// wellAgain tells whether a target is as before. That it is quicker or slower than
// before is the doing of this machine.
func wellAgain(c jobs.Circuit) bool {
	return c.State == jobs.CircuitClosed && (c.Degraded == "" || strings.Contains(c.Degraded, "tokens a second"))
}

// TestDegradedTarget: a provider begins to answer worse with a 200. It is found, and
// routed away from, within 50 answers; nothing is lost; what a request does not
// expect is not stored as its answer; and it is taken back when it recovers.
func TestDegradedTarget(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		mode   simulator.Mode
		expect *jobs.Expect
	}{
		"validators":         {simulator.Garbage, &jobs.Expect{Regex: "harbour"}},
		"baselines, garbage": {simulator.Garbage, nil},
		"baselines, smaller": {simulator.Smaller, nil},
		"baselines, refuses": {simulator.Refusing, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStorm(t, staging{config: twoWatched, latency: 5 * time.Millisecond})
			crew := s.crews(1, nil)[0]
			s.answered(s.harbours(0, 180, story.expect))
			if c := s.shared(cheap); !wellAgain(c) {
				t.Fatalf("while all is well: %+v", c)
			}

			before := s.sim.Calls("cheap").Total
			s.down("cheap", simulator.Fault{Mode: story.mode})
			worse := s.harbours(1000, 80, story.expect)
			fixture.Await(t, soon, "the target is found out", func() bool { return crew.circuit(cheap).State != jobs.CircuitClosed })
			if n := s.sim.Calls("cheap").Total - before; n > 50+atOnce {
				t.Errorf("found after %d answers", n)
			}
			s.answered(worse)
			fixture.Await(t, soon, "the fleet knows of it", func() bool {
				return strings.HasPrefix(s.shared(cheap).Reason, "degraded: ") || s.shared(cheap).Degraded != ""
			})
			if n := len(s.told("tidegate.v1.circuits." + cheap + ".open")); n == 0 {
				t.Error("there is no event of it")
			}
			if story.expect != nil {
				if n := s.count("SELECT count(*) FROM tidegate.results WHERE state = 'answered' AND position('harbour' IN convert_from(body, 'UTF8')) = 0"); n != 0 {
					t.Errorf("%d answers are stored that are not as expected", n)
				}
				if n := s.count("SELECT count(*) FROM tidegate.results WHERE bad_answers > 0"); n == 0 {
					t.Error("no result says that there was a bad answer")
				}
			}

			s.back()
			from := 2000
			fixture.Await(t, soon, "it is taken back", func() bool {
				s.answered(s.harbours(from, 20, story.expect))
				from += 20
				return wellAgain(s.shared(cheap))
			})
			again := s.sim.Calls("cheap").Total
			s.answered(s.harbours(5000, 20, story.expect))
			if n := s.sim.Calls("cheap").Total - again; n < 20 {
				t.Errorf("it got %d of 20 requests when it was taken back", n)
			}
		})
	}
}

// TestEscalation: after a bad answer a stronger target outside the chain is asked,
// and the result says so; where nobody can answer as expected the request ends
// refused, and harms no circuit.
func TestEscalation(t *testing.T) {
	t.Parallel()
	s := newStorm(t, staging{config: func(c *config.Config) {
		c.Routes[0].Chain = c.Routes[0].Chain[:2]
		c.Routes[0].EscalateTo = []string{"sim-dear"}
	}, latency: 5 * time.Millisecond})
	s.crews(1, nil)
	s.down("cheap", simulator.Fault{Mode: simulator.Refusing})
	helped := s.settle(s.harbours(0, 5, &jobs.Expect{Regex: "harbour"}))
	never := &jobs.Expect{Regex: "^never$", Tries: 2}
	kept := &jobs.Expect{Regex: "^never$", Tries: 1, Otherwise: jobs.OtherwiseKeep}
	refused := s.settle(s.harbours(100, 3, never))
	marked := s.settle(s.harbours(200, 2, kept))
	if helped.Completed != 5 || refused.Failed != 3 || marked.Completed != 2 {
		t.Fatalf("%+v, %+v, %+v", helped, refused, marked)
	}
	results, _ := s.events()
	for _, r := range results {
		b := r.body
		switch {
		case b.BatchID == helped.ID && (b.Target != "sim-dear" || !b.Escalated || b.BadAnswers != 1 || b.Attempts != 2 || b.Unmet != ""):
			t.Errorf("after one bad answer: %+v", b)
		case b.BatchID == refused.ID && (b.Error == nil || b.Error.Class != jobs.Invalid || b.Error.Code != "regex" || b.BadAnswers != 3):
			t.Errorf("as nobody could: %+v, %+v", b, b.Error)
		case b.BatchID == marked.ID && (b.Unmet != "regex: it does not match" || b.Escalated || len(b.Response) == 0 || b.BadAnswers != 2):
			t.Errorf("kept: %+v", b)
		}
	}
	if n := s.sim.Calls("fast").Total; n != 3 {
		t.Errorf("the second of the chain was asked %d times, 3 are those that the stronger one could not help", n)
	}
	if n := s.count("SELECT count(*) FROM tidegate.circuits WHERE state <> 'closed' OR degraded IS NOT NULL"); n != 0 {
		t.Errorf("%d circuits were harmed", n)
	}
}

// TestCanary: a provider answers with another model under the same name, on a route
// whose requests expect nothing and hardly come. The canary prompt finds it, keeps
// what it cost, and takes it back.
func TestCanary(t *testing.T) {
	t.Parallel()
	s := newStorm(t, staging{config: twoWatched, latency: 5 * time.Millisecond})
	canary := jobs.Canary{
		Name: "harbour", Targets: []string{cheap, "sim-fast"}, Every: time.Second, Body: harbourBody(1), Expect: &jobs.Expect{Regex: "harbour"}, Failures: 2,
	}
	crew := s.crews(1, func(_ int, c *app.StackConfig) { c.Canaries = []jobs.Canary{canary} })[0]
	asked := func(class jobs.Class) int {
		return s.count("SELECT count(*) FROM tidegate.attempts WHERE request_id = $1 AND NOT probe AND target = $2 AND class = $3", jobs.NoRequest, cheap, string(class))
	}
	fixture.Await(t, soon, "the canary is answered", func() bool { return asked(jobs.OK) > 0 })
	if c := crew.circuit(cheap); c.Degraded != "" || c.State != jobs.CircuitClosed {
		t.Fatalf("while all is well: %+v", c)
	}
	s.down("cheap", simulator.Fault{Mode: simulator.Garbage})
	const mark = "the canary harbour is not answered as expected: regex"
	fixture.Await(t, soon, "the fleet knows of it", func() bool { return strings.Contains(s.shared(cheap).Degraded, mark) })
	fixture.Await(t, soon, "its calls are written down", func() bool { return asked(jobs.Invalid) >= 2 })
	if c := s.shared("sim-fast"); c.Degraded != "" {
		t.Errorf("the other target: %+v", c)
	}
	s.answered(s.harbours(0, 5, nil))
	s.back()
	fixture.Await(t, soon, "it is taken back", func() bool {
		c := s.shared(cheap)
		return c.State == jobs.CircuitClosed && c.Degraded == ""
	})
	if n := s.count("SELECT count(*) FROM tidegate.river_job WHERE kind = 'canary' AND state NOT IN ('completed', 'available', 'running', 'scheduled')"); n != 0 {
		t.Errorf("%d jobs of the canary did not end well", n)
	}
}
