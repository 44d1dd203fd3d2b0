package integration

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/integration/fixture"
	"tidegate/jobs"
)

// A drilled is what `drill --json` reports.
type drilled struct {
	Target         string   `json:"target"`
	Calls          int      `json:"calls"`
	Probes         int      `json:"probes"`
	Failed         int      `json:"failed"`
	Answered       int      `json:"answered"`
	Rerouted       int      `json:"rerouted"`
	Openings       int      `json:"openings"`
	OpenedAfterS   *float64 `json:"opened_after_s"`
	NoticedAfterS  *float64 `json:"noticed_after_s"`
	DrainedAfterS  *float64 `json:"drained_after_s"`
	AttemptsBurned int      `json:"attempts_burned"`
	Lost           int      `json:"lost"`
	Routes         []struct {
		Route string  `json:"route"`
		HeldS float64 `json:"held_s"`
	} `json:"routes"`
}

// drill runs `tidegate drill` beside the test, and gives what it said when it is
// over. end is a Ctrl-C.
func (s *stage) drill(args ...string) (over <-chan said, end func()) {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	done := make(chan said, 1)
	var run sync.WaitGroup
	run.Go(func() {
		got := tidegateUntil(ctx, s.T, append(args, "--database-url", s.URL, "--nats-url", s.NATSURL)...)
		if s.Failed() {
			s.Logf("%s%s", got.errors, got.out)
		}
		done <- got
	})
	s.Cleanup(func() { cancel(); run.Wait() })
	return done, cancel
}

// drilling is how many drills are on.
func (s *stage) drilling() int {
	return s.count("SELECT count(*) FROM tidegate.drills WHERE until > now()")
}

// TestDrillIsAnOutage: while it is on, no call to the target leaves the worker
// and all goes elsewhere; afterwards the target is called again, and the report
// tells what the tables tell.
func TestDrillIsAnOutage(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	target := s.config.Targets[0].Name
	s.settle(s.enqueue(1, nil))
	over, _ := s.drill("drill", "--target", target, "--for", "1h", "--json")
	fixture.Await(t, soon, "the drill is on", func() bool { return s.drilling() == 1 })
	fixture.Await(t, soon, "the worker has heard of it", func() bool {
		s.settle(s.enqueue(2, nil))
		return s.calls(jobs.Overload) > 0
	})
	before := s.sim.Calls("cheap").Total
	s.settle(s.enqueue(40, func(i int, r *jobs.Request) { r.Body = body(100 + i) }))
	if n := s.sim.Calls("cheap").Total - before; n != 0 {
		t.Errorf("%d calls have left the worker", n)
	}
	s.must("drill", "--end", target)
	var got said
	fixture.Await(t, soon, "it reports", func() bool {
		select {
		case got = <-over:
			return true
		default:
			s.settle(s.enqueue(2, func(i int, r *jobs.Request) { r.Body = body(1000 + i) })) // somebody must probe
			return false
		}
	})
	r := lastLine[drilled](t, got.out)
	if got.code != 0 || r.Target != target || r.Lost != 0 || r.AttemptsBurned != 0 || r.Rerouted < 40 || r.Answered < r.Rerouted {
		t.Errorf("exit code %d: %+v\n%s", got.code, r, got.errors)
	}
	if failed := s.count("SELECT count(*) FROM tidegate.attempts WHERE code = 'drill'"); r.Failed == 0 || r.Failed > failed || r.Calls+r.Probes < r.Failed {
		t.Errorf("%d calls were failed, the attempts say %d: %+v", r.Failed, failed, r)
	}
	if r.Openings != 1 || r.OpenedAfterS == nil || r.NoticedAfterS == nil || r.DrainedAfterS == nil || *r.OpenedAfterS > soon.Seconds() {
		t.Errorf("of the circuit it says %+v", r)
	}
	if len(r.Routes) != 1 || r.Routes[0].Route != summaries || r.Routes[0].HeldS != 0 {
		t.Errorf("of the routes it says %+v", r.Routes)
	}
	for _, words := range []string{"fails now", "is open: 5 failures in a row: OVERLOAD: status 503 drill", "the outage is over", "is closed", "drained"} {
		if !strings.Contains(got.errors, words) {
			t.Errorf("on the way it did not say %q:\n%s", words, got.errors)
		}
	}
	open, closed := s.told("tidegate.v1.circuits."+target+".open"), s.told("tidegate.v1.circuits."+target+".closed")
	if len(open) != 1 || len(closed) != 1 {
		t.Errorf("%d and %d events", len(open), len(closed))
	}
}

// A drill that is interrupted is over at once, and reports.
func TestDrillEndsOnInterrupt(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	over, interrupt := s.drill("drill", "--target", s.config.Targets[0].Name, "--for", "1h", "--mode", "hang", "--rate", "0.5")
	fixture.Await(t, soon, "the drill is on", func() bool { return s.drilling() == 1 })
	interrupt()
	got := await(t, over)
	if got.code != 0 || s.drilling() != 0 || !strings.Contains(got.out, "mode hang, 50% of its calls") || !strings.Contains(got.out, "Nobody called") {
		t.Errorf("exit code %d, %d drills: %s%s", got.code, s.drilling(), got.out, got.errors)
	}
}

func TestDrillEndsFromElsewhere(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	target := s.config.Targets[0].Name
	over, _ := s.drill("drill", "--target", target, "--for", "1h")
	fixture.Await(t, soon, "the drill is on", func() bool { return s.drilling() == 1 })
	if got := s.tidegate("drill", "--target", target); got.code != 1 || !strings.Contains(got.errors, "--end "+target) {
		t.Errorf("a second one: exit code %d: %s", got.code, got.errors)
	}
	if got := s.must("drill", "--end", target); !strings.Contains(got.out, "is over") {
		t.Errorf("it says %q", got.out)
	}
	if got := await(t, over); got.code != 0 || !strings.Contains(got.out, "drained") {
		t.Errorf("exit code %d: %s%s", got.code, got.out, got.errors)
	}
	if got := s.tidegate("drill", "--end", target); got.code != 1 || !strings.Contains(got.errors, "no drill") {
		t.Errorf("ended again: exit code %d: %s", got.code, got.errors)
	}
}

func TestDrillSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	target := s.config.Targets[0].Name
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no target":          {nil, 2, "--target"},
		"another target":     {[]string{"--target", target + "x"}, 1, `did you mean "` + target + `"?`},
		"a mode of tomorrow": {[]string{"--target", target, "--mode", "flood"}, 2, "503, 500, 429, hang, refused, quota"},
		"no time":            {[]string{"--target", target, "--for", "0s"}, 2, "--for"},
		"more than a day":    {[]string{"--target", target, "--for", "1d1s"}, 2, "24h0m1s is more than 24h"},
		"no share":           {[]string{"--target", target, "--rate", "0"}, 2, "--rate"},
		"more than all":      {[]string{"--target", target, "--rate", "NaN"}, 2, "--rate"},
		"time runs back":     {[]string{"--target", target, "--drain", "-1s"}, 2, "--drain"},
		"both at once":       {[]string{"--end", target, "--target", target}, 2, "--target does not go with --end"},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.tidegate(append([]string{"drill"}, c.args...)...)
			if got.code != c.code || !strings.Contains(got.errors, c.says) || got.out != "" || s.drilling() != 0 {
				t.Errorf("exit code %d: %s%s", got.code, got.errors, got.out)
			}
		})
	}
}

func await(t *testing.T, over <-chan said) said {
	t.Helper()
	select {
	case got := <-over:
		return got
	case <-time.After(soon):
		t.Fatal("it goes on and on")
		return said{}
	}
}
