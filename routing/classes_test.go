package routing

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

// What every class does, seen from the outside. The chain is a, b; a sends the
// class, b answers.
var classEffects = map[jobs.Class]struct {
	state    jobs.CircuitState // of a after one call
	after5   jobs.CircuitState // of a after five, each as soon as it may be
	cooldown time.Duration     // of a after one call
	ends     bool              // the request is refused: b is not asked
	probed   jobs.CircuitState // of a, when a probe meets the class
}{
	jobs.OK:         {jobs.CircuitClosed, jobs.CircuitClosed, 0, false, jobs.CircuitClosed},
	jobs.Rate:       {jobs.CircuitClosed, jobs.CircuitClosed, 0, false, jobs.CircuitClosed}, // it waits for the pace
	jobs.Quota:      {jobs.CircuitOpen, jobs.CircuitOpen, time.Minute, false, jobs.CircuitOpen},
	jobs.DailyQuota: {jobs.CircuitOpen, jobs.CircuitOpen, time.Minute, false, jobs.CircuitOpen},
	jobs.Overload:   {jobs.CircuitClosed, jobs.CircuitOpen, 0, false, jobs.CircuitOpen},
	jobs.Transient:  {jobs.CircuitClosed, jobs.CircuitOpen, 0, false, jobs.CircuitOpen},
	jobs.Timeout:    {jobs.CircuitClosed, jobs.CircuitOpen, 0, false, jobs.CircuitOpen},
	jobs.Auth:       {jobs.CircuitOpen, jobs.CircuitOpen, time.Minute, false, jobs.CircuitOpen},
	jobs.Context:    {jobs.CircuitClosed, jobs.CircuitClosed, 0, false, jobs.CircuitClosed},
	jobs.Content:    {jobs.CircuitClosed, jobs.CircuitClosed, 0, true, jobs.CircuitClosed},
	jobs.BadRequest: {jobs.CircuitClosed, jobs.CircuitClosed, 0, true, jobs.CircuitClosed},
	jobs.Garbled:    {jobs.CircuitClosed, jobs.CircuitOpen, 0, false, jobs.CircuitOpen},
	jobs.Invalid:    {jobs.CircuitClosed, jobs.CircuitClosed, 0, false, jobs.CircuitClosed},
	jobs.Lost:       {jobs.CircuitClosed, jobs.CircuitClosed, 0, false, jobs.CircuitHalfOpen},
}

func TestEveryClass(t *testing.T) {
	t.Parallel()
	for _, class := range jobs.Classes() {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			want, known := classEffects[class]
			if !known {
				t.Fatal("this table does not say what the class does")
			}
			begin := func() *story {
				s := chain(t, "a", "b")
				if class != jobs.OK {
					s.provider.always["a"] = &jobs.Error{Class: class}
				}
				return s
			}
			t.Run("one call", func(t *testing.T) {
				t.Parallel()
				s := begin().routes(1).calls("a", 1).circuit("a", want.state).cools("a", want.cooldown).circuit("b", jobs.CircuitClosed)
				switch {
				case want.ends:
					s.refused(class).calls("b", 0)
				case class == jobs.OK:
					s.to("a").calls("b", 0)
				case class == jobs.Rate:
					s.held().calls("b", 0)
				default:
					s.to("b").calls("b", 1)
				}
			})
			t.Run("five calls", func(t *testing.T) {
				t.Parallel()
				s := begin()
				for range 5 {
					s.passes(s.rests("a")).routes(1)
				}
				s.calls("a", 5).circuit("a", want.after5)
			})
			t.Run("a probe", func(t *testing.T) {
				t.Parallel()
				s := begin()
				opened(t, s.targets["a"].circuit)
				s.passes(time.Second).routes(1).calls("a", 1).circuit("a", want.probed)
				if probed := s.outcome.Trace[0].Attempt; probed == nil || !probed.Probe {
					t.Errorf("the trace does not show the probe: %s", s.told())
				}
			})
		})
	}
	if len(classEffects) != len(jobs.Classes()) {
		t.Errorf("the table has %d classes, there are %d", len(classEffects), len(jobs.Classes()))
	}
}

func TestRateLimitedProbeClosesTheCircuitWithACooldown(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct{ hint, cooldown time.Duration }{
		"no hint":      {0, time.Second},
		"a short hint": {10 * time.Millisecond, time.Second},
		"a long hint":  {time.Hour, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := chain(t, "a")
			opened(t, s.targets["a"].circuit)
			var flowed bool // at any moment before the cooldown was there
			s.targets["a"].circuit.onChange = func(c jobs.Circuit) {
				flowed = flowed || c.State == jobs.CircuitClosed && !c.CooldownUntil.After(s.clock.now())
			}
			s.passes(time.Second).says("a", jobs.Error{Class: jobs.Rate, RetryAfter: want.hint})
			s.routes(1).held().circuit("a", jobs.CircuitClosed).cools("a", want.cooldown)
			if flowed {
				t.Error("the circuit closed before its cooldown began")
			}
			s.because("RATE").passes(want.cooldown)
			s.passes(s.rests("a")).routes(1).to("a")
		})
	}
}

func TestManyRateLimitsNeverOpenACircuit(t *testing.T) {
	t.Parallel()
	s := chain(t, "a")
	for i := range 200 {
		s.fails("a", jobs.Rate, 1).routes(1).held().circuit("a", jobs.CircuitClosed)
		if i < droughtFrom-1 {
			s.cools("a", 0)
		} else if cools := s.cooldown("a"); cools > droughtMost {
			t.Fatalf("it cools down for %s", cools)
		}
		s.passes(s.rests("a") + time.Minute)
	}
	s.routes(1).to("a")
}

// A target that takes nothing at all for long has no pace that would be worth
// waiting for: requests go on to the next target, and it is asked now and then.
func TestDroughtIsACooldown(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b")
	s.provider.always["a"] = &jobs.Error{Class: jobs.Rate, Status: 429, Said: true}
	until := func(verdict jobs.Verdict) *story { // it is called as fast as its pace lets it be
		for s.routes(1).outcome.Verdict != verdict {
			s.held().circuit("a", jobs.CircuitClosed).cools("a", 0).passes(s.rests("a") + 10*time.Millisecond)
		}
		return s
	}
	began := s.clock.now()
	until(jobs.Answered).to("b").cools("a", droughtLeast).circuit("a", jobs.CircuitClosed)
	if took := s.clock.now().Sub(began); took < droughtAfter || took > 90*time.Second || s.provider.calls["a"] < droughtFrom {
		t.Errorf("it took %s and %d calls until the next target was asked", took, s.provider.calls["a"])
	}
	for _, want := range []time.Duration{10, 20, 40, 60, 60} {
		s.passes(s.cooldown("a"))
		until(jobs.Answered).to("b").cools("a", want*time.Second).circuit("a", jobs.CircuitClosed)
	}
	delete(s.provider.always, "a")
	s.passes(s.cooldown("a"))
	until(jobs.Answered).to("a")
	s.fails("a", jobs.Rate, 1).passes(s.rests("a")).routes(1).held().cools("a", 0) // it is a matter of the pace again
}

// Refusals among which calls are taken are never a drought, however long.
func TestThrottleIsNoDrought(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b")
	for i := range 300 {
		if i%droughtFrom != 0 {
			s.fails("a", jobs.Rate, 1)
		}
		s.routes(1).cools("a", 0).passes(s.rests("a") + time.Second)
	}
	s.calls("b", 0)
}

func TestRateLimitsNeitherCountNorResetFailures(t *testing.T) {
	t.Parallel()
	s := chain(t, "a")
	for range 4 {
		for _, class := range []jobs.Class{jobs.Overload, jobs.Rate} {
			s.fails("a", class, 1).routes(1).circuit("a", jobs.CircuitClosed).passes(s.rests("a"))
		}
	}
	s.fails("a", jobs.Overload, 1).routes(1).circuit("a", jobs.CircuitOpen)
}

func TestRetryAfterOfAFailureHoldsTheTarget(t *testing.T) {
	t.Parallel()
	s := chain(t, "a")
	s.says("a", jobs.Error{Class: jobs.Overload, Status: 503, RetryAfter: 30 * time.Second}).routes(1)
	s.held().circuit("a", jobs.CircuitClosed).cools("a", 30*time.Second).flows(0)
	s.passes(30*time.Second).fails("a", jobs.Overload, 3).routes(3)
	s.says("a", jobs.Error{Class: jobs.Overload, RetryAfter: time.Minute}).routes(1) // the fifth in a row
	s.circuit("a", jobs.CircuitOpen).cools("a", time.Minute)
	s.passes(time.Minute).says("a", jobs.Error{Class: jobs.Overload, RetryAfter: 10 * time.Minute}).routes(1) // the probe
	s.circuit("a", jobs.CircuitOpen).cools("a", 10*time.Minute)
}

// four targets: two keys of one account, a third target with the first key, and
// a stranger with the same key by chance.
func accounts() []*jobs.Target {
	return []*jobs.Target{
		{Name: "a", Provider: "one", Key: "k1"},
		{Name: "same-key", Provider: "one", Key: "k1"},
		{Name: "same-account", Provider: "one", Key: "k2"},
		{Name: "stranger", Provider: "two", Key: "k1"},
	}
}

func TestRefusalsReachAsFarAsTheirScope(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  jobs.Error
		open []string
	}{
		"no money":        {jobs.Error{Class: jobs.Quota, Status: 402}, []string{"a", "same-key", "same-account"}},
		"daily quota":     {jobs.Error{Class: jobs.DailyQuota, Status: 429}, []string{"a", "same-key", "same-account"}},
		"wrong key":       {jobs.Error{Class: jobs.Auth, Status: 401}, []string{"a", "same-key"}},
		"no permission":   {jobs.Error{Class: jobs.Auth, Status: 403}, []string{"a", "same-key"}},
		"no such model":   {jobs.Error{Class: jobs.Auth, Status: 404}, []string{"a"}},
		"not this model":  {jobs.Error{Class: jobs.Auth, Status: 403, Code: "model_not_found"}, []string{"a"}},
		"no such address": {jobs.Error{Class: jobs.Auth, Status: 405}, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := chainOf(t, accounts()...)
			s.says("a", test.err).routes(1)
			for name, target := range s.targets {
				want := jobs.CircuitClosed
				for _, open := range test.open {
					if open == name {
						want = jobs.CircuitOpen
						s.cools(name, time.Minute)
					}
				}
				s.circuit(name, want)
				if got := target.circuit.Snapshot().Reason; want == jobs.CircuitOpen && name != "a" && got != test.err.Error()+" (at a)" {
					t.Errorf("the reason of %s is %q", name, got)
				}
			}
		})
	}
}

func TestTargetsOfOneAccountDoubleTogether(t *testing.T) {
	t.Parallel()
	s := chainOf(t, accounts()[:3]...)
	for i, target := range []string{"a", "same-key", "same-account", "a"} { // whoever happens to probe
		permit := acquire(t, s.targets[target].circuit)
		try := newTry(s.router, nil, s.request, nil)
		try.trip(s.targets[target], permit, &jobs.Error{Class: jobs.Quota})
		want := time.Minute << i
		s.cools("a", want).cools("same-key", want).cools("same-account", want).passes(want)
	}
}

func TestManyCallsThatMeetOneRefusalDoubleNothing(t *testing.T) {
	t.Parallel()
	s := chainOf(t, accounts()...)
	var inFlight []*Permit
	var at []string
	for range 5 {
		for _, name := range []string{"a", "same-key", "same-account"} {
			inFlight, at = append(inFlight, acquire(t, s.targets[name].circuit)), append(at, name)
		}
	}
	var before []jobs.Circuit
	for i, permit := range inFlight {
		newTry(s.router, nil, s.request, nil).trip(s.targets[at[i]], permit, &jobs.Error{Class: jobs.Quota})
		if i == 0 {
			before = s.router.Circuits()
			s.cools("a", time.Minute).cools("same-key", time.Minute).cools("same-account", time.Minute).cools("stranger", 0)
		}
		s.passes(time.Second)
	}
	if diff := cmp.Diff(before, s.router.Circuits()); diff != "" {
		t.Errorf("later refusals changed the circuits:\n%s", diff)
	}
}

func TestTargetsWithoutAnAccountShareNothing(t *testing.T) {
	t.Parallel()
	s := chainOf(t, &jobs.Target{Name: "a"}, &jobs.Target{Name: "b"})
	s.fails("a", jobs.Quota, 1).routes(1).to("b").circuit("a", jobs.CircuitOpen).circuit("b", jobs.CircuitClosed)
}
