package routing

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"tidegate/jobs"
)

// reloads configures the route anew, and returns the targets that are called in
// another way now.
func (s *story) reloads(chain ...*jobs.Target) (moved []string) {
	moved = s.router.Reload([]jobs.Route{{Name: theRoute, Chain: chain}})
	for _, t := range s.router.plan.Load().targets {
		s.targets[t.Name] = t
	}
	return moved
}

// but is a target that is configured in another way.
func but(target *jobs.Target, change func(*jobs.Target)) *jobs.Target {
	other := *target
	change(&other)
	return &other
}

// wrongKey is what a provider says to one that is revoked.
var wrongKey = jobs.Error{Class: jobs.Auth, Status: 401, Said: true}

func TestReloadIsTakenByTheNextCall(t *testing.T) {
	t.Parallel()
	a := &jobs.Target{Name: "a", Model: "old", Price: jobs.Price{Output: jobs.USD(1)}, Timeouts: jobs.Timeouts{Total: time.Minute}}
	s := chainOf(t, a)
	s.provider.usage = jobs.Usage{Output: 1_000_000}
	var during []string
	s.provider.during = func(context.Context, string, []byte) *jobs.Error {
		if during == nil {
			during = s.reloads(but(a, func(t *jobs.Target) { t.Model, t.Price.Output, t.Timeouts.Total = "new", jobs.USD(5), time.Hour }))
		}
		return nil
	}
	for _, want := range []struct {
		model string
		cost  jobs.MicroUSD
	}{{"old", jobs.USD(1)}, {"new", jobs.USD(5)}} {
		s.routes(1).to("a")
		if got := s.outcome.Trace.Cost(); s.outcome.Answer.Model != want.model || got != want.cost {
			t.Errorf("%s for %s, want %s for %s", s.outcome.Answer.Model, got, want.model, want.cost)
		}
	}
	if !slices.Equal(during, []string{"a"}) {
		t.Errorf("called in another way: %v", during)
	}
}

func TestReloadChangesChains(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b")
	a, b, c := s.targets["a"].Target, s.targets["b"].Target, &jobs.Target{Name: "c"}
	var told []jobs.Circuit
	s.router.config.OnChange = func(c jobs.Circuit) { told = append(told, c) }
	s.routes(1).to("a")
	s.reloads(b, a)
	s.routes(1).to("b")
	s.reloads(c, b)
	s.routes(1).to("c").fails("c", jobs.Overload, 1).routes(1).to("b").calls("a", 1)
	if circuits := s.router.Circuits(); len(circuits) != 2 || circuits[0].Target != "c" {
		t.Errorf("the circuits are %+v", circuits)
	}
	if len(told) == 0 || told[0].Target != "c" || told[0].State != jobs.CircuitClosed {
		t.Errorf("of what is new it tells %+v", told)
	}
	if s.router.Grant("a", 0) || s.router.Probe(t.Context(), "a") != nil {
		t.Error("a target of no chain is still probed")
	}
	s.router.Reload([]jobs.Route{{Name: "another", Chain: []*jobs.Target{a}}})
	s.routes(1).refused(jobs.BadRequest)
}

// What leaves all chains and comes back is where it was.
func TestReloadKeepsWhatIsKnown(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b")
	a, b := s.targets["a"].Target, s.targets["b"].Target
	before := s.targets["a"]
	before.tokens.learnInput(100, 300)
	opened(t, before.circuit)
	s.reloads(but(a, func(t *jobs.Target) { t.Price.Output, t.ContextTokens, t.Region = 7, 1000, "eu" }), b)
	s.circuit("a", jobs.CircuitOpen).routes(1).to("b")
	s.reloads(b)
	s.passes(time.Second).routes(1).to("b").calls("a", 0)
	s.reloads(a, b)
	s.circuit("a", jobs.CircuitOpen)
	if after := s.targets["a"]; after.circuit != before.circuit || after.pace != before.pace || after.tokens.input(100).tokens != 300 {
		t.Error("it was forgotten what was known of it")
	}
	s.reloads(but(a, func(t *jobs.Target) { t.Model = "another" }), b)
	if got := s.targets["a"].tokens.input(100).tokens; got != 100 {
		t.Errorf("what one model makes of 100 tokens is said of another: %d", got)
	}
	s.reloads(a, b)
	s.routes(1).to("a").circuit("a", jobs.CircuitClosed)
	if !s.outcome.Trace[0].Attempt.Probe {
		t.Error("it was not probed")
	}
}

// What decides how a target is called makes it due for a probe; nothing else does.
func TestReloadTriesWhatIsCalledInAnotherWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*jobs.Target)
		due    bool
	}{
		"key":            {func(t *jobs.Target) { t.Key = "k2" }, true},
		"base URL":       {func(t *jobs.Target) { t.BaseURL = "https://eu" }, true},
		"model":          {func(t *jobs.Target) { t.Model = "m2" }, true},
		"account":        {func(t *jobs.Target) { t.Provider = "two" }, true},
		"dialect":        {func(t *jobs.Target) { t.Dialect = "gemini" }, true},
		"price":          {func(t *jobs.Target) { t.Price.Output = 7 }, false},
		"context window": {func(t *jobs.Target) { t.ContextTokens = 7 }, false},
		"region":         {func(t *jobs.Target) { t.Region = "eu" }, false},
		"limits":         {func(t *jobs.Target) { t.Limits.RequestsPerMinute = 600 }, false},
		"timeouts":       {func(t *jobs.Target) { t.Timeouts.Total = time.Hour }, false},
		"thresholds":     {func(t *jobs.Target) { t.Circuit.Window = 7 }, false},
		"nothing":        {func(*jobs.Target) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, refusal := range []jobs.Error{wrongKey, {Class: jobs.Quota, Status: 402, RetryAfter: time.Hour}, {Class: jobs.Rate, RetryAfter: time.Hour}} {
				a := &jobs.Target{Name: "a", Provider: "one", Key: "k1", Model: "m", BaseURL: "https://us"}
				s := chainOf(t, a)
				s.says("a", refusal).routes(1).held().flows(0)
				wait := s.cooldown("a")
				moved := s.reloads(but(a, c.change))
				if (len(moved) == 1) != c.due {
					t.Errorf("called in another way: %v", moved)
				}
				if !c.due {
					s.flows(0).cools("a", wait)
					continue
				}
				s.flows(1).cools("a", 0).routes(1).to("a").circuit("a", jobs.CircuitClosed)
				if !s.outcome.Trace[0].Attempt.Probe {
					t.Errorf("%s: it is called by all at once", refusal.Class)
				}
			}
		})
	}
}

// A new key that is wrong, too, begins with a minute again.
func TestReloadForgetsTheDoubling(t *testing.T) {
	t.Parallel()
	a := &jobs.Target{Name: "a", Provider: "one", Key: "k1"}
	s := chainOf(t, a)
	for range 3 {
		s.says("a", wrongKey).routes(1).passes(s.cooldown("a"))
	}
	s.reloads(but(a, func(t *jobs.Target) { t.Key = "k2" }))
	s.says("a", wrongKey).routes(1).cools("a", time.Minute)
}

// In a fleet it is the fleet's word, in which a person's stands; what only this
// host saw is its own.
func TestReloadLeavesTheFleetItsWord(t *testing.T) {
	t.Parallel()
	a := &jobs.Target{Name: "a", Key: "k1"}
	newFleet := func() (*Router, *Circuit, *clock) {
		clock := newClock()
		r := New(Config{Routes: []jobs.Route{{Name: theRoute, Chain: []*jobs.Target{a}}}, Now: clock.now, Fleet: true})
		return r, r.plan.Load().targets[0].circuit, clock
	}
	next := []jobs.Route{{Name: theRoute, Chain: []*jobs.Target{but(a, func(t *jobs.Target) { t.Key = "k2" })}}}

	r, c, clock := newFleet()
	acquire(t, c).trip(noMoney(time.Hour))
	before := c.Snapshot()
	if moved := r.Reload(next); !slices.Equal(moved, []string{"a"}) {
		t.Errorf("called in another way: %v", moved)
	}
	if got := c.Snapshot(); got.Generation != before.Generation || left(c, clock) != time.Hour {
		t.Errorf("it took the fleet's word from it: %+v", got)
	}

	r, c, clock = newFleet()
	failures5(t, c, false)
	r.Reload(next)
	if n, _ := r.Admits(theRoute); n != 1 || left(c, clock) > 0 {
		t.Errorf("what only this host saw is not tried: %d may go, %+v", n, c.Snapshot())
	}
}

// Calls that went out by the old key say nothing of the new one, and the probe
// among them frees its place.
func TestRefusalOfAnOldKeyOpensNothing(t *testing.T) {
	t.Parallel()
	for name, probes := range map[string]bool{"a call": false, "a probe": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &jobs.Target{Name: "a", Provider: "one", Key: "k1"}
			b := &jobs.Target{Name: "b", Provider: "one", Key: "k1"}
			s := chainOf(t, a, b)
			if probes {
				opened(t, s.targets["a"].circuit)
				s.passes(time.Second)
			}
			s.provider.during = func(_ context.Context, target string, _ []byte) *jobs.Error {
				if target == "b" {
					return nil
				}
				s.reloads(but(a, func(t *jobs.Target) { t.Key = "k2" }), b)
				refused := wrongKey
				return &refused
			}
			s.routes(1).to("b").circuit("b", jobs.CircuitClosed).cools("a", 0)
			s.provider.during = nil
			s.routes(1).to("a").circuit("a", jobs.CircuitClosed)
			s.says("a", wrongKey).routes(1).circuit("a", jobs.CircuitOpen).circuit("b", jobs.CircuitClosed)
		})
	}
}

func TestReloadOfThresholds(t *testing.T) {
	t.Parallel()
	a := &jobs.Target{Name: "a"}
	with := func(th jobs.Thresholds) *jobs.Target { return but(a, func(t *jobs.Target) { t.Circuit = th }) }
	s := chainOf(t, a)
	s.fails("a", jobs.Overload, 3).routes(2)
	s.reloads(with(jobs.Thresholds{FailuresInARow: 3, Cooldown: time.Minute}))
	s.circuit("a", jobs.CircuitClosed).routes(1).circuit("a", jobs.CircuitOpen).cools("a", time.Minute)

	s.reloads(with(jobs.Thresholds{Window: 4, FailureRate: 0.5, FailuresInARow: 100}))
	s.circuit("a", jobs.CircuitOpen).cools("a", time.Minute)
	s.passes(time.Minute).routes(1).to("a").circuit("a", jobs.CircuitClosed)
	for _, fails := range []int{1, 0, 1} {
		s.circuit("a", jobs.CircuitClosed).passes(time.Second).fails("a", jobs.Overload, fails).routes(1)
	}
	s.circuit("a", jobs.CircuitOpen)

	s.passes(time.Second)
	probe := acquire(t, s.targets["a"].circuit)
	s.reloads(with(jobs.Thresholds{Window: 9}))
	s.circuit("a", jobs.CircuitHalfOpen).flows(0)
	refuses(t, s.targets["a"].circuit)
	probe.Done(Success, "")
	s.circuit("a", jobs.CircuitClosed)
}

func TestReloadOfLimits(t *testing.T) {
	t.Parallel()
	a := &jobs.Target{Name: "a", Limits: jobs.Limits{RequestsPerMinute: 6000, TokensPerMinute: 6000, Concurrency: 8}}
	s := chainOf(t, a)
	p := paced{pace: s.targets["a"].pace, t: t, clock: s.clock}
	p.ends(p.takes(1), jobs.OK)
	p.works(10 * time.Second)
	p.rates(100)
	p.clock.pass(time.Second)
	if n := p.takes(8); n != 8 {
		t.Fatalf("%d calls at once", n)
	}
	s.reloads(but(a, func(t *jobs.Target) {
		t.Limits = jobs.Limits{RequestsPerMinute: 600, TokensPerMinute: 60, Concurrency: 2}
	}))
	p.rates(10)
	p.ends(6, jobs.OK)
	p.clock.pass(time.Second)
	if n := p.takes(9); n != 0 {
		t.Errorf("%d calls beyond a limit of 2 at once", n)
	}
	p.ends(2, jobs.OK)
	if n := p.takes(9); n != 2 || p.tokens.rate != 1 {
		t.Errorf("%d calls at once, %v tokens a second", n, p.tokens.rate)
	}
	p.ends(2, jobs.OK)
	if made := p.works(10 * time.Second); made > 105 {
		t.Errorf("%d calls in 10 s at 10 a second", made)
	}
	s.reloads(but(a, func(t *jobs.Target) { t.Limits = jobs.Limits{RequestsPerMinute: 6000} }))
	p.works(10 * time.Second)
	p.rates(100)
}

// Two keys of one account in two regions, one model.
func TestKeysAndRegionsAfterReload(t *testing.T) {
	t.Parallel()
	regions := func(first, second jobs.Secret) []*jobs.Target {
		var chain []*jobs.Target
		for _, region := range []string{"eu", "us"} {
			for i, key := range []jobs.Secret{first, second} {
				chain = append(chain, &jobs.Target{Name: fmt.Sprintf("%s-%d", region, i+1), Provider: "one", Region: region, BaseURL: "https://" + region, Key: key, Model: "m"})
			}
		}
		return chain
	}
	state := func(s *story) (open []string) {
		for _, c := range s.router.Circuits() {
			if c.State == jobs.CircuitOpen {
				open = append(open, c.Target)
			}
		}
		return open
	}
	s := chainOf(t, regions("k1", "k2")...)
	s.says("eu-1", wrongKey).routes(1).to("eu-2")
	if open := state(s); !slices.Equal(open, []string{"eu-1", "us-1"}) {
		t.Errorf("of one key are shut %v", open)
	}
	if moved := s.reloads(regions("k3", "k2")...); !slices.Equal(moved, []string{"eu-1", "us-1"}) {
		t.Errorf("called in another way: %v", moved)
	}
	s.flows(All).routes(1).to("eu-1").circuit("us-1", jobs.CircuitOpen).cools("us-1", 0)
	s.says("eu-1", jobs.Error{Class: jobs.Quota, Status: 402}).routes(1).held()
	if open := state(s); len(open) != 4 {
		t.Errorf("of one account are shut %v", open)
	}
}

// Real goroutines: whatever a router is asked, it may be reloaded meanwhile.
func TestReloadUnderManyCallers(t *testing.T) {
	t.Parallel()
	s := chainOf(t, &jobs.Target{Name: "t0"}, &jobs.Target{Name: "t1"}, &jobs.Target{Name: "t2"})
	known := s.router.known
	s.router.config.OnChange = func(jobs.Circuit) {}
	s.provider.during = func(context.Context, string, []byte) *jobs.Error {
		s.clock.pass(time.Millisecond)
		if class := jobs.Classes()[rand.N(len(jobs.Classes()))]; rand.N(3) == 0 && !class.Final() && class != jobs.OK {
			return &jobs.Error{Class: class, RetryAfter: time.Millisecond}
		}
		return nil
	}
	var answered, reloaded atomic.Int64
	inParallel(12, func() {
		for range 300 {
			switch rand.N(6) {
			case 0:
				s.router.Reload([]jobs.Route{{Name: theRoute, Chain: anyChain()}})
				reloaded.Add(1)
			case 1:
				circuits := s.router.Circuits()
				s.router.Follow(&jobs.Fleet{Circuits: circuits, Peers: []jobs.Peer{{Beat: jobs.Beat{Worker: "b", Demand: map[string]int{"t1": 3}}}}}, "a")
				s.router.Grant("t1", circuits[0].Generation)
				s.router.Beat(map[string]int{theRoute: 4})
			case 2:
				s.router.Probe(t.Context(), fmt.Sprintf("t%d", rand.N(5)))
			default:
				if pass, _ := s.router.Admit(&jobs.Request{Route: theRoute}, nil); pass != nil && rand.N(4) == 0 {
					pass.Release()
				} else if pass != nil && pass.Route(t.Context(), func(context.Context, jobs.Begun) error { return nil }).Verdict == jobs.Answered {
					answered.Add(1)
				}
				s.router.Admits(theRoute)
				s.clock.pass(20 * time.Millisecond)
			}
		}
	})
	if answered.Load() == 0 || reloaded.Load() == 0 {
		t.Errorf("%d answered, %d reloads: this test shows nothing", answered.Load(), reloaded.Load())
	}
	if len(known) != 5 {
		t.Errorf("%d targets are known, want 5", len(known))
	}
	for name, target := range known {
		if n := target.pace.snapshot().InFlight; n != 0 || target.circuit.probeOut {
			t.Errorf("%s: %d calls have leaked; or a probe: %v", name, n, target.circuit.probeOut)
		}
	}
	s.provider.during = nil
	s.passes(time.Hour).routes(1)
	if s.outcome.Verdict != jobs.Answered {
		t.Errorf("after the storm: %s", s.told())
	}
}

// anyChain is some of five targets in any order, each as it happens to be.
func anyChain() []*jobs.Target {
	chain := make([]*jobs.Target, 1+rand.N(5))
	for i, n := range rand.Perm(5)[:len(chain)] {
		chain[i] = &jobs.Target{
			Name: fmt.Sprintf("t%d", n), Provider: "one", Key: jobs.Secret([]string{"k1", "k2"}[rand.N(2)]),
			Limits:  jobs.Limits{Concurrency: 1 + rand.N(5), RequestsPerMinute: 60_000 * rand.N(2)},
			Circuit: jobs.Thresholds{Window: 10 * (1 + rand.N(2)), Cooldown: time.Millisecond},
		}
	}
	return chain
}

// A fleet's probe that a target had when it left is another's by the time it comes
// back.
func TestReloadGivesTheProbeBack(t *testing.T) {
	t.Parallel()
	clock := newClock()
	a, b := &jobs.Target{Name: "a"}, &jobs.Target{Name: "b"}
	with := func(chain ...*jobs.Target) []jobs.Route { return []jobs.Route{{Name: theRoute, Chain: chain}} }
	r := New(Config{Routes: with(a, b), Now: clock.now, Fleet: true, Provider: newScript()})
	c := r.plan.Load().byName["a"].circuit
	acquire(t, c).trip(noMoney(time.Minute))
	clock.pass(time.Minute)
	if !r.Grant("a", c.Snapshot().Generation) {
		t.Fatal("it gets no probe")
	}
	r.Reload(with(b))
	r.Reload(with(a, b))
	if ready, _, reason := c.Ready(); ready != Shut {
		t.Errorf("it may be probed by two (%s)", reason)
	}
	if !r.Grant("a", c.Snapshot().Generation) || r.Probe(t.Context(), "a") == nil {
		t.Error("it cannot be probed again")
	}
}

// What a target said of a request when it was another one, with a smaller window or
// another policy, must not end the request.
func TestReloadForgetsWhatWasSaidOfRequests(t *testing.T) {
	t.Parallel()
	a, b := &jobs.Target{Name: "a", Provider: "one", Model: "small", ContextTokens: 8000}, &jobs.Target{Name: "b", Provider: "two", Model: "m", ContextTokens: 16_000}
	for name, c := range map[string]struct {
		class  jobs.Class
		change func(*jobs.Target)
		again  bool
	}{
		"a larger window": {jobs.Context, func(t *jobs.Target) { t.Model, t.ContextTokens = "large", 128_000 }, true},
		"another policy":  {jobs.Content, func(t *jobs.Target) { t.Policy = "lenient" }, true},
		"another price":   {jobs.Context, func(t *jobs.Target) { t.Price.Input = 7 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := chainOf(t, a, b)
			s.router.plan.Load().routes[theRoute].OtherPolicies = true
			s.fails("a", c.class, 1).down("b").tries().waits(time.Second)
			s.passes(time.Second)
			s.reloads(but(a, c.change), b)
			s.router.plan.Load().routes[theRoute].OtherPolicies = true
			if s.tries(); c.again {
				s.to("a").calls("b", 1)
			} else {
				s.calls("a", 1).calls("b", 2).up("b").tries().to("b")
			}
		})
	}
}

// 429s of the account of before say nothing of the next one.
func TestReloadEndsADrought(t *testing.T) {
	t.Parallel()
	a := &jobs.Target{Name: "a", Provider: "one", Key: "k1"}
	s := chainOf(t, a, &jobs.Target{Name: "b"})
	s.provider.always["a"] = &jobs.Error{Class: jobs.Rate, Status: 429, Said: true}
	for s.routes(1).outcome.Verdict != jobs.Answered {
		s.passes(s.rests("a") + 10*time.Millisecond)
	}
	s.passes(s.cooldown("a"))
	s.reloads(but(a, func(t *jobs.Target) { t.Key, t.Provider = "k2", "two" }), s.targets["b"].Target)
	s.passes(s.rests("a")).routes(1).held().cools("a", 0).calls("b", 1)
}
