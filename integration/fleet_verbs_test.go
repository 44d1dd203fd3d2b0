package integration

import (
	"strings"
	"testing"
	"time"

	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
)

// A shownCircuit is what `circuits --json` says of a target.
type shownCircuit struct {
	Target        string    `json:"target"`
	Region        string    `json:"region"`
	State         string    `json:"state"`
	Since         time.Time `json:"since"`
	CooldownUntil time.Time `json:"cooldown_until"`
	UntilClosed   bool      `json:"until_closed"`
	Prober        string    `json:"prober"`
	Reason        string    `json:"reason"`
	Generation    int       `json:"generation"`
	ByPerson      bool      `json:"by_person"`
}

// A shownFleet is what `circuits --json` says.
type shownFleet struct {
	Circuits []shownCircuit `json:"circuits"`
	Drills   []shownDrill   `json:"drills"`
}

func (s *stage) shownCircuits(args ...string) map[string]shownCircuit {
	s.Helper()
	shown := map[string]shownCircuit{}
	for _, c := range lastLine[shownFleet](s.T, s.must(append([]string{"circuits", "--json"}, args...)...).out).Circuits {
		shown[c.Target] = c
	}
	return shown
}

// share tells the fleet of circuits as a worker does.
func (s *stage) share(circuits ...jobs.Circuit) {
	s.Helper()
	check(s.T, s.store.ShareCircuits(s.Context(), "w-1", circuits))
}

func TestCircuitsAreListedOpenedAndClosed(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	if got := s.must("circuits"); !strings.Contains(got.out, "No worker has spoken") {
		t.Errorf("of nothing it says %q", got.out)
	}
	if got := s.tidegate("circuits", "close", "a"); got.code != 1 || !strings.Contains(got.errors, "start one that has it in a chain") {
		t.Errorf("of nothing it closes %q", got.errors)
	}
	now := time.Now()
	s.share(
		jobs.Circuit{Target: "mini", Region: "eu", State: jobs.CircuitOpen, Generation: 3, Reason: "OVERLOAD: status 503", Since: now.Add(-time.Minute), CooldownUntil: now.Add(time.Hour)},
		jobs.Circuit{Target: "haiku", State: jobs.CircuitClosed, Generation: 1, Since: now, CooldownUntil: now.Add(-time.Hour)},
	)
	all := s.shownCircuits()
	mini := all["mini"]
	if len(all) != 2 || mini.State != "open" || mini.Region != "eu" || mini.Generation != 3 || mini.Reason != "OVERLOAD: status 503" || mini.ByPerson ||
		time.Until(mini.CooldownUntil) < 50*time.Minute || time.Since(mini.Since) < time.Minute || !all["haiku"].CooldownUntil.IsZero() {
		t.Errorf("it lists %+v", all)
	}
	text := s.must("circuits", "mini").out
	if !strings.Contains(text, "OVERLOAD: status 503") || !strings.Contains(text, "eu") || strings.Contains(text, "haiku") {
		t.Errorf("of mini it says\n%s", text)
	}

	if got := s.shownCircuits("close", "mini")["mini"]; got.State != "closed" || !got.ByPerson || got.Generation != 4 || !got.CooldownUntil.IsZero() {
		t.Errorf("closed, it is %+v", got)
	}
	if got := s.shownCircuits("open", "haiku", "--for", "30m", "--reason", "wrong answers")["haiku"]; got.State != "open" || got.Reason != "wrong answers" ||
		time.Until(got.CooldownUntil) > 30*time.Minute || time.Until(got.CooldownUntil) < 29*time.Minute {
		t.Errorf("opened, it is %+v", got)
	}
}

// A circuit that a person opened for no given time has no end that a clock knows,
// wherever it is shown.
func TestCircuitsStayOpenUntilTheyAreClosed(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{config: func(c *config.Config) { c.Routes[0].Chain = c.Routes[0].Chain[:1] }})
	s.work(nil)
	s.settle(s.enqueue(1, nil)) // the stream is there, and the route is worked
	target := s.config.Targets[0].Name
	text := s.must("circuits", "open", target, "--reason", "wrong answers").out
	if !strings.Contains(text, "until it is closed") {
		t.Errorf("circuits says\n%s", text)
	}
	if c := s.shownCircuits()[target]; c.State != "open" || !c.UntilClosed || !c.CooldownUntil.IsZero() {
		t.Errorf("circuits is told %+v", c)
	}
	shown := lastLine[struct{ Targets []shownCircuit }](t, s.must("status", "--json").out).Targets
	if len(shown) != 1 || !shown[0].UntilClosed || !shown[0].CooldownUntil.IsZero() {
		t.Errorf("status is told %+v", shown)
	}
	text = s.must("status").out
	for _, says := range []string{"open, until it is closed", "wrong answers"} {
		if !strings.Contains(text, says) {
			t.Errorf("status does not say %q:\n%s", says, text)
		}
	}
	if strings.Contains(text, "h0m") || strings.Contains(text, "left") {
		t.Errorf("status knows an end:\n%s", text)
	}
	fixture.Await(t, soon, "it is an event", func() bool { return len(s.told("tidegate.v1.circuits."+target+".open")) == 1 })
	s.must("circuits", "close", target)
	if c := s.shownCircuits()[target]; c.State != "closed" || c.UntilClosed {
		t.Errorf("closed, it is %+v", c)
	}
}

func TestVerbsOfTheFleetSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.share(jobs.Circuit{Target: "mini", State: jobs.CircuitClosed, Generation: 1}, jobs.Circuit{Target: "haiku", State: jobs.CircuitClosed, Generation: 1})
	s.must("migrate")
	_, routes := s.config.Build()
	check(t, s.store.SaveRoutes(t.Context(), routes))
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"a target that is near":    {[]string{"circuits", "mimi"}, 1, `did you mean "mini"?`},
		"a target that is nowhere": {[]string{"circuits", "open", "qqqqqqqqqq", "--reason", "r"}, 1, "there are haiku, mini"},
		"no reason":                {[]string{"circuits", "open", "mini"}, 2, "--reason"},
		"two targets":              {[]string{"circuits", "mini", "haiku"}, 2, "the name of a target"},
		"no target":                {[]string{"circuits", "close"}, 2, "the name of one target"},
		"no time":                  {[]string{"circuits", "open", "mini", "--for", "0s", "--reason", "r"}, 2, "--for"},
		"too much time":            {[]string{"circuits", "open", "mini", "--for", "366d", "--reason", "r"}, 2, "leave it out"},
		"a reason of many lines":   {[]string{"circuits", "open", "mini", "--reason", "a\nb"}, 2, "one line"},
		"a reason without an end":  {[]string{"pause", summaries, "--reason", strings.Repeat("x", 201)}, 2, "more than 200"},
		"a route that is near":     {[]string{"pause", "sumaries"}, 1, `"summaries"`},
		"a route that is nowhere":  {[]string{"resume", "qqqqqqqqqqqqqq"}, 1, "there are summaries"},
		"no route":                 {[]string{"pause"}, 2, "the name of one route"},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.tidegate(c.args...)
			if got.code != c.code || !strings.Contains(got.errors, c.says) || got.out != "" {
				t.Errorf("exit code %d: %s%s", got.code, got.errors, got.out)
			}
		})
	}
}

// A paused route accepts and works nothing; resumed, it works all of it. Both
// are events.
func TestPauseHoldsARouteUntilResumed(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	s.settle(s.enqueue(1, nil)) // the stream is there
	type paused struct {
		Route  string `json:"route"`
		Paused bool   `json:"paused"`
		Pauses []struct {
			Owner  string    `json:"owner"`
			Reason string    `json:"reason"`
			Since  time.Time `json:"since"`
		} `json:"pauses"`
	}
	told := lastLine[paused](t, s.must("pause", summaries, "--json", "--reason", "lunch").out)
	if !told.Paused || told.Route != summaries || len(told.Pauses) != 1 || told.Pauses[0].Owner != "person" || told.Pauses[0].Reason != "lunch" ||
		time.Since(told.Pauses[0].Since).Abs() > time.Minute {
		t.Errorf("it says %+v", told)
	}
	fixture.Await(t, soon, "the pause is an event", func() bool { return len(s.told("tidegate.v1.routes.summaries.paused")) == 1 })
	if text := s.must("status").out; !strings.Contains(text, "paused") || !strings.Contains(text, "by a person: lunch") {
		t.Errorf("status does not say who paused it:\n%s", text)
	}
	batch := s.enqueue(20, nil)
	if got := s.must("pause", summaries); !strings.Contains(got.out, "summaries is paused by a person, since ") || !strings.Contains(got.out, ": lunch\n") {
		t.Errorf("paused again, it says %q", got.out)
	}
	if n := s.results(); n != 1 {
		t.Errorf("%d results of a paused route", n-1)
	}
	if got := s.must("resume", summaries); got.out != "summaries is not paused any more.\n" {
		t.Errorf("resumed, it says %q", got.out)
	}
	s.settle(batch)
	fixture.Await(t, soon, "the resume is an event", func() bool { return len(s.told("tidegate.v1.routes.summaries.resumed")) == 1 })
	s.published(batch)
	s.noneBurned()
}

// status shows which worker supervises, which one fell silent, and where
// circuits are.
func TestStatusShowsTheFleet(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	for _, name := range []string{"w-1", "w-2"} {
		_, err := s.store.Beat(t.Context(), jobs.Beat{Worker: name})
		check(t, err)
	}
	_, err := s.Pool.Exec(t.Context(), "UPDATE tidegate.workers SET beat_at = now() - interval '1 minute' WHERE id = 'w-2'")
	check(t, err)
	_, leads, err := s.store.Lead(t.Context(), "w-1", time.Hour)
	check(t, err)
	s.share(jobs.Circuit{Target: "mini", Region: "eu", State: jobs.CircuitOpen, Generation: 2, Reason: "503", Since: time.Now()})
	status := lastLine[struct {
		Workers []struct {
			Worker     string
			State      string
			Supervises bool
		}
		Targets []struct{ Target, Region string }
	}](t, s.must("status", "--json").out)
	if w := status.Workers; !leads || len(w) != 2 || w[0].State != "alive" || !w[0].Supervises || w[1].State != "silent" || w[1].Supervises {
		t.Errorf("the workers are %+v", w)
	}
	if len(status.Targets) != 1 || status.Targets[0].Region != "eu" {
		t.Errorf("the targets are %+v", status.Targets)
	}
	text := s.must("status").out
	for _, says := range []string{"WORKER", "w-1", "silent", "SUPERVISES", "REGION", "eu"} {
		if !strings.Contains(text, says) {
			t.Errorf("it does not say %q:\n%s", says, text)
		}
	}
}

// told lists the events of the stream under a subject.
func (s *stage) told(subject string) (found []event) {
	s.Helper()
	for _, e := range readStream(s.T, s.Conn) {
		if e.subject == subject {
			found = append(found, e)
		}
	}
	return found
}
