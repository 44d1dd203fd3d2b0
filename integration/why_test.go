package integration

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing"
	"tidegate/routing/simulator"
)

// A whyView is what why --json says, in part.
type whyView struct {
	RequestID string `json:"request_id"`
	CustomID  string `json:"custom_id"`
	State     string
	Target    string
	Calls     int
	InShort   []string `json:"in_short"`
	Steps     []struct {
		At      time.Time
		Skipped *jobs.Skip
		Waited  *jobs.Wait
		Choice  *struct {
			Goal       string `json:"optimization_goal"`
			Estimator  string
			Candidates []struct {
				Target      string
				Score       float64
				SuccessRate float64       `json:"success_rate"`
				Cost        jobs.MicroUSD `json:"expected_cost_micro_usd"`
			}
		}
		Call *struct {
			Target string
			Class  jobs.Class
		}
	}
}

func (s *stage) says(text string, parts ...string) {
	s.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			s.Errorf("it does not say %q:\n%s", part, text)
		}
	}
}

// TestWhyTellsOfAReroute: a request that was refused at one target and answered by
// another, with all that the choice was made of.
func TestWhyTellsOfAReroute(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{config: func(c *config.Config) {
		c.Routes[0].Goal = routing.Cost
		c.Targets[1].Price = c.Targets[2].Price // or else it is about as good at times, and may be chosen
	}})
	s.work(nil)
	s.settle(s.enqueue(20, nil)) // so that something is known of the first
	s.down("cheap", simulator.Fault{Mode: simulator.Unavailable})
	batch := s.settle(s.enqueue(1, nil))
	text := s.must("why", "n-000", "--batch", batch.ID).out
	s.says(text, "(n-000), answered", "sim-cheap, the first of the chain, was called and did not answer: OVERLOAD HTTP 503",
		"that could be called, answered after", "2 calls in all cost $", "chose sim-cheap, by cost and what decayed expects", "SCORE", "call 1, sim-cheap: OVERLOAD", "call 2, sim-", "answered")
	view := lastLine[whyView](t, strings.ReplaceAll(s.must("why", "n-000", "--batch", batch.ID, "--json").out, "\n", " "))
	if view.State != "answered" || view.Calls != 2 || view.Target == "sim-cheap" || view.CustomID != "n-000" || len(view.InShort) == 0 {
		t.Errorf("%+v", view)
	}
	for _, step := range view.Steps {
		if step.Choice == nil {
			continue
		}
		if c := step.Choice; c.Goal != "cost" || len(c.Candidates) != 3 || c.Candidates[0].Target != "sim-cheap" || c.Candidates[0].Score <= c.Candidates[1].Score ||
			c.Candidates[0].SuccessRate < 0.5 || c.Candidates[0].Cost <= 0 {
			t.Errorf("%+v", c)
		}
	}
	if by := s.must("why", view.RequestID).out; by != text {
		t.Errorf("by its id:\n%s\nby its name:\n%s", by, text)
	}
}

// TestWhyTellsWhatARequestWaitsFor: in an outage of all, in a queue that a person
// paused, and before any worker lives.
func TestWhyTellsWhatARequestWaitsFor(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	first := s.enqueue(1, nil)
	s.says(s.must("why", "n-000", "--batch", first.ID).out, ", waiting", "It waits in its queue for a worker.")
	s.must("pause", summaries, "--reason", "the auditors are here")
	s.says(s.must("why", "n-000", "--batch", first.ID).out, "The queue summaries is paused by its person", "the auditors are here.")
	s.must("resume", summaries)
	crew := s.work(nil)
	s.settle(first)
	s.down("*", simulator.Fault{Mode: simulator.Unavailable})
	batch := s.enqueue(20, func(i int, r *jobs.Request) { r.Body = body(100 + i) })
	fixture.Await(t, soon, "all circuits are open, and some wait in the worker", func() bool {
		return crew.Worker.Waiting(summaries) > 0 && s.count("SELECT count(*) FROM tidegate.circuits WHERE state <> 'closed'") == 3
	})
	s.says(s.must("why", "n-019", "--batch", batch.ID).out, "sim-cheap may not be called: its circuit is", "OVERLOAD")
	s.back()
	s.settle(batch)
	s.says(s.must("why", "n-019", "--batch", batch.ID).out, "It was first called", "answered after")
}

// shut opens circuits by hand, once a worker has spoken of them, and waits until it has
// heard of it.
func (s *stage) shut(of *crew, targets ...string) {
	s.Helper()
	for _, target := range targets {
		fixture.Await(s.T, soon, "the circuit is open", func() bool {
			return s.tidegate("circuits", "open", target, "--for", "2h", "--reason", "for the test").code == 0
		})
		fixture.Await(s.T, soon, "the worker has heard of it", func() bool {
			return slices.ContainsFunc(of.Router.Circuits(), func(c jobs.Circuit) bool { return c.Target == target && c.State == jobs.CircuitOpen })
		})
	}
}

// TestWhyTellsOfAWaitForAPrice: for whom a parked request waits, and what it would have
// cost elsewhere, before it was ever called, also when it was looked at again; and no more
// once it was called.
func TestWhyTellsOfAWaitForAPrice(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{config: func(c *config.Config) {
		c.Routes[0].WhenOpen, c.Routes[0].Goal, c.Routes[0].Deadline = string(jobs.WhenOpenWait), "ordered", 0
	}})
	s.prepare()
	s.shut(s.work(nil), "sim-cheap")
	batch := s.enqueue(1, nil)
	why := func(more ...string) string {
		return s.must(append([]string{"why", "n-000", "--batch", batch.ID}, more...)...).out
	}
	// A circuit that a person changed has all who wait looked at again, at once and 10 s
	// later: then a worker has the request in hand, and remembers when its wait began.
	var passed time.Time
	for look := range 2 {
		var text string
		var now time.Time
		fixture.Await(t, soon, "it is parked", func() bool {
			text = why()
			now = s.waitsForCheap(lastLine[whyView](t, strings.ReplaceAll(why("--json"), "\n", " ")))
			return strings.Contains(text, ", waiting") && strings.Contains(text, "waits for sim-cheap") && now.After(passed)
		})
		s.says(text, "It waits for sim-cheap: sim-fast would cost $", " more, and there is no deadline.", "  waits for sim-cheap: ", "passed over sim-cheap: ")
		if strings.Count(text, "waits for sim-cheap") != 2 { // in short, and in its place
			t.Errorf("after %d looks it says\n%s", look+1, text)
		}
		passed = now
		if look == 0 {
			_, err := s.store.UnparkRoutes(t.Context(), []string{summaries})
			check(t, err)
		}
	}
	s.must("circuits", "close", "sim-cheap")
	s.settle(batch)
	if text := why(); strings.Count(text, "waits for sim-cheap") != 1 || !strings.Contains(text, "It waited for sim-cheap") {
		t.Errorf("in the end it says\n%s", text)
	}
}

// waitsForCheap checks that all that became of a request is one wait for a target and
// that this was passed over, and returns when that was, of late. Zero: nothing is told yet.
func (s *stage) waitsForCheap(view whyView) (passed time.Time) {
	s.Helper()
	if len(view.Steps) == 0 {
		return passed
	}
	waits := 0
	for _, step := range view.Steps {
		switch {
		case step.Waited != nil && step.Waited.Target == "sim-cheap" && step.Waited.Next == "sim-fast" && step.Waited.ExtraCost > 0:
			waits++
		case step.Skipped != nil && step.Skipped.Target == "sim-cheap":
			passed = step.At
		default:
			s.Errorf("it tells of something else: %+v", step)
		}
	}
	if len(view.Steps) != 2 || waits != 1 {
		s.Errorf("%d waits in %+v", waits, view.Steps)
	}
	return passed
}

// TestWhyTellsWhoWasPassedOver: also where no call was made. The prompt is too long for
// one target, and nobody may call the others.
func TestWhyTellsWhoWasPassedOver(t *testing.T) {
	t.Parallel()
	for _, admission := range []string{jobs.AdmissionDirect, jobs.AdmissionFair} {
		t.Run(admission, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, staging{config: func(c *config.Config) { c.Targets[0].ContextTokens, c.Routes[0].Admission = 500, admission }})
			s.prepare()
			s.shut(s.work(nil), "sim-fast", "sim-dear")
			batch := s.enqueue(1, func(_ int, r *jobs.Request) {
				r.Body = []byte(`{"model":"auto","messages":[{"role":"user","content":"Summarise:` + strings.Repeat(" the tide rose.", 1000) + `"}]}`)
			})
			why := func() string { return s.must("why", "n-000", "--batch", batch.ID).out }
			var text string // what is parked looks again now and then
			fixture.Await(t, soon, "it is parked", func() bool {
				text = why()
				return strings.Contains(text, ", waiting") && strings.Contains(text, "passed over sim-cheap")
			})
			s.says(text, ", waiting", "sim-cheap, the first of the chain, was passed over: ", "  passed over sim-fast: ", "  passed over sim-dear: ")
			s.must("circuits", "close", "sim-dear")
			s.settle(batch)
			s.says(why(), "(n-000), answered", "sim-dear", "sim-cheap, the first of the chain, was passed over: ")
		})
	}
}

// TestWhyTellsOfABudget: whose it is, and how the request goes on, where the job is
// parked and where it waits for its turn.
func TestWhyTellsOfABudget(t *testing.T) {
	t.Parallel()
	for _, admission := range []string{jobs.AdmissionDirect, jobs.AdmissionFair} {
		t.Run(admission, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, staging{config: func(c *config.Config) { c.Routes[0].Admission = admission }})
			s.prepare()
			s.must("budgets", "set", "--tenant", "acme", "--total", "0.000001")
			batch := s.enqueue(1, func(_ int, r *jobs.Request) { r.Tenant = "acme" })
			s.work(nil)
			var text string
			fixture.Await(t, soon, "it waits for money", func() bool {
				text = s.must("why", "n-000", "--batch", batch.ID).out
				return strings.Contains(text, "holds no place")
			})
			s.says(text, ", waiting", "It waits, and holds no place: budget of tenant acme: the request alone may cost",
				"it goes on when that is raised: tidegate budgets set --tenant acme --total AMOUNT.")
		})
	}
}

// TestWhyOfWhatIsNotThere: the error says what to name instead.
func TestWhyOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	batch := s.enqueue(2, func(_ int, r *jobs.Request) { r.CustomID = "same" })
	for _, c := range []struct {
		says string
		code int
		args []string
	}{
		{"a custom_id needs its --batch", 1, []string{"same"}},
		{"not found", 1, []string{"01a20aa4-c8ca-75b5-a7d0-750cfcc3a7fe"}},
		{"name one of its requests", 2, []string{batch.ID}},
		{"stands more than once", 1, []string{"same", "--batch", batch.ID}},
		{"not found", 1, []string{"other", "--batch", batch.ID}},
		{"batch_none", 1, []string{"same", "--batch", "batch_none"}},
	} {
		got := s.tidegate(append([]string{"why"}, c.args...)...)
		if got.code != c.code || !strings.Contains(got.errors, c.says) {
			t.Errorf("%v: %d %s", c.args, got.code, got.errors)
		}
	}
}
