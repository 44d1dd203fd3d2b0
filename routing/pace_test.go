package routing

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

// A paced is a pace under test, with its clock.
type paced struct {
	*pace
	t     testing.TB
	clock *clock
}

func newPaced(t testing.TB, limits jobs.Limits) paced {
	clock := newClock()
	return paced{pace: newPace(limits, clock.now, rand.New(rand.NewPCG(1, 1))), t: t, clock: clock}
}

// takes takes as many calls as it may have now, n at most.
func (p paced) takes(n int) (taken int) {
	for taken < n {
		if ok, _, _ := p.take(0); !ok {
			break
		}
		taken++
	}
	return taken
}

// ends ends n calls of a class.
func (p paced) ends(n int, class jobs.Class) {
	for range n {
		p.done(paceEnd{class: class})
	}
}

// works makes calls for that long, as many as it may, each answered at once.
func (p paced) works(d time.Duration) (made int) {
	for range d / (10 * time.Millisecond) {
		p.clock.pass(10 * time.Millisecond)
		n := p.takes(1000)
		p.ends(n, jobs.OK)
		made += n
	}
	return made
}

// refusesOnce makes a call that meets a 429.
func (p paced) refusesOnce(retryAfter time.Duration) {
	p.t.Helper()
	for range 1000 {
		if p.takes(1) == 1 {
			p.done(paceEnd{class: jobs.Rate, retryAfter: retryAfter})
			return
		}
		p.clock.pass(10 * time.Millisecond)
	}
	p.t.Fatal("it takes no call")
}

func (p paced) rates(want float64) {
	p.t.Helper()
	if got := p.snapshot().Rate; !(math.Abs(got-want) <= 1e-6*want || got == want) {
		p.t.Errorf("the rate is %v, want %v", got, want)
	}
}

func perMinute(perSecond int) jobs.Limits { return jobs.Limits{RequestsPerMinute: 60 * perSecond} }

// alone is what a fleet of one says.
func alone(lastGood float64) paceShare { return paceShare{Share: 1, Workers: 1, LastGood: lastGood} }

// A worker that starts in an outage makes five calls, however many wait.
func TestPaceStartsInAnOutage(t *testing.T) {
	t.Parallel()
	atOnce := map[jobs.Class]int{jobs.Overload: 1, jobs.Timeout: 0} // how many calls end at once; zero: all
	for name, limits := range map[string]jobs.Limits{"nothing is known": {}, "a limit": perMinute(500), "many places": {Concurrency: 200}} {
		for class := range atOnce {
			p := newPaced(t, limits)
			p.follow(alone(500))
			p.follow(alone(500))
			c := newCircuit(&jobs.Target{Name: "a"}, Config{Now: p.clock.now})
			calls := 0
			var out []*Permit
			begin := func() {
				for c.Snapshot().State == jobs.CircuitClosed && p.takes(1) == 1 {
					out = append(out, acquire(t, c))
					calls++
				}
			}
			for begin(); len(out) > 0 && calls < 100; begin() {
				for ends := orElse(atOnce[class], len(out)); ends > 0; ends-- {
					p.done(paceEnd{class: class})
					out[0].Done(Failure, "down")
					out = out[1:]
				}
				p.clock.pass(time.Second)
			}
			if calls != 5 {
				t.Errorf("%s, %s: %d calls, want 5", name, class, calls)
			}
		}
	}
}

// Without limits and history only places hold back, and those double.
func TestPaceStartsSlowly(t *testing.T) {
	t.Parallel()
	p := newPaced(t, jobs.Limits{})
	for _, want := range []int{4, 8, 16, 32, 64} {
		n := p.takes(1000)
		if n != want {
			t.Fatalf("%d calls at once, want %d", n, want)
		}
		p.clock.pass(6 * time.Second)
		p.ends(n, jobs.OK)
	}
	p.rates(math.Inf(1))
	if ok, again, reason := func() (bool, time.Time, string) { p.takes(128); return p.take(0) }(); ok || !again.IsZero() || !strings.Contains(reason, "at once") {
		t.Errorf("beyond its places: %v, again %v, %q", ok, again, reason)
	}
	p.done(paceEnd{class: jobs.Transient})
	if got := p.snapshot().Places; got != 128 {
		t.Errorf("one failure of a target that answers leaves %d places", got)
	}
	p.tripped()
	p.recovered()
	if got := p.snapshot(); got.Places != 0 || got.Rate != p.law.start*p.law.best {
		t.Errorf("what it did before the outage is known after it: %+v", got)
	}
	p.done(paceEnd{class: jobs.Rate})
	p.ends(126, jobs.OK)
	if s := p.snapshot(); s.InFlight != 0 || s.Places != 0 || math.IsInf(s.Rate, 1) {
		t.Errorf("after a 429 a rate bounds it, not places: %+v", s)
	}
}

// What says something of the target frees it from the few places; what does not,
// does not.
func TestPacePlacesByClass(t *testing.T) {
	t.Parallel()
	for _, class := range jobs.Classes() {
		p := newPaced(t, perMinute(500))
		p.takes(4)
		p.done(paceEnd{class: class})
		want := fewPlaces
		switch {
		case class.Answered(), class == jobs.Rate:
			want = 0
		case class.Trips():
			want = 1
		}
		if got := p.snapshot().Places; got != want {
			t.Errorf("%s leaves %d places, want %d", class, got, want)
		}
	}
}

func TestPaceKeepsConcurrency(t *testing.T) {
	t.Parallel()
	p := newPaced(t, jobs.Limits{Concurrency: 6})
	p.ends(p.takes(10), jobs.OK)
	if n := p.takes(10); n != 6 {
		t.Errorf("%d calls at once, want 6", n)
	}
	p.refund(0)
	if n := p.takes(10); n != 1 {
		t.Errorf("%d calls for a place that was given back", n)
	}
}

// Where there was next to no demand, what is known is no measure of the target: a
// ramp that began with it would take half a minute longer than one where nothing
// is known.
func TestPaceOfAQuietDay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits jobs.Limits
		want   float64
	}{"no limit": {jobs.Limits{}, 4}, "a limit": {jobs.Limits{RequestsPerMinute: 120}, 2}} {
		p := newPaced(t, c.limits)
		p.follow(alone(0.3)) // of the failures of an outage that the fleet started in, say
		p.tripped()
		p.recovered()
		if got := p.snapshot().Rate; got != c.want {
			t.Errorf("%s: the ramp begins at %v, want %v", name, got, c.want)
		}
	}
}

func TestPacePausesForRetryAfter(t *testing.T) {
	t.Parallel()
	p := newPaced(t, perMinute(100))
	p.ends(p.takes(1), jobs.OK)
	p.works(3 * time.Second)
	p.refusesOnce(2 * time.Second)
	until := p.snapshot().PausedUntil
	if wait := until.Sub(p.clock.now()); wait < 2*time.Second || wait > 2200*time.Millisecond {
		t.Errorf("paused for %v", wait)
	}
	if ok, again, reason := p.take(0); ok || !again.Equal(until) || !strings.Contains(reason, "left alone") {
		t.Errorf("in a pause: %v, again in %v, %q", ok, again.Sub(p.clock.now()), reason)
	}
	p.clock.pass(until.Sub(p.clock.now()))
	if n := p.takes(1000); n > 1 {
		t.Errorf("%d calls at once after a pause: it was saved up", n)
	}
	p.clock.pass(time.Second)
	p.refusesOnce(5 * time.Second)
	if s := p.snapshot(); !s.PausedUntil.IsZero() {
		t.Errorf("paused until %v for what is the circuit's cooldown", s.PausedUntil)
	}
}

// Who refuses everything, and never says for how long, is asked ever less.
func TestPacePausesInAStorm(t *testing.T) {
	t.Parallel()
	p := newPaced(t, perMinute(500))
	p.ends(p.takes(1), jobs.OK)
	p.works(5 * time.Second)
	calls := 0
	for range 6000 {
		p.clock.pass(10 * time.Millisecond)
		n := p.takes(1)
		calls += n
		p.ends(n, jobs.Rate)
	}
	if calls > 40 {
		t.Errorf("%d calls in a minute of nothing but 429s", calls)
	}
	p.works(90 * time.Second)
	if got := p.snapshot().Rate; got < 450 {
		t.Errorf("90 s later the rate is %v", got)
	}
	for range 30 { // half of them is no storm
		p.refusesOnce(0)
		p.ends(p.takes(1), jobs.OK)
		p.clock.pass(100 * time.Millisecond)
		p.ends(p.takes(1), jobs.OK)
	}
	if s := p.snapshot(); !s.PausedUntil.IsZero() {
		t.Errorf("paused, though it answers: %+v", s)
	}
}

func TestPacePauseGetsNoShorter(t *testing.T) {
	t.Parallel()
	p := newPaced(t, perMinute(6000))
	p.ends(p.takes(1), jobs.OK)
	p.works(time.Second)
	p.takes(2)
	p.done(paceEnd{class: jobs.Rate, retryAfter: 4 * time.Second})
	p.done(paceEnd{class: jobs.Rate, retryAfter: time.Second})
	if wait := p.snapshot().PausedUntil.Sub(p.clock.now()); wait < 4*time.Second {
		t.Errorf("paused for %v", wait)
	}
}

// A probe that meets a 429 closes the circuit, and the ramp begins at the floor,
// whichever the pace hears of first.
// A ramp that ends in a trip at once began too high.
func TestPaceLearnsLimits(t *testing.T) {
	t.Parallel()
	said := func(perSecond int) paceEnd {
		return paceEnd{class: jobs.OK, allowance: jobs.Allowance{RequestsPerMinute: 60 * perSecond}}
	}
	limit := func(p paced, want float64) {
		t.Helper()
		if got := p.snapshot().Limit; got != want {
			t.Errorf("the limit is %v, want %v", got, want)
		}
	}
	p := newPaced(t, jobs.Limits{})
	limit(p, math.Inf(1))
	p.takes(1)
	p.done(said(100))
	limit(p, 100)
	p.rates(50) // half of it, to begin with
	p.follow(paceShare{Share: 0.5, Workers: 2, Announced: 300})
	limit(p, 50) // it heard it itself
	p.clock.pass(2 * time.Minute)
	p.follow(paceShare{Share: 0.5, Workers: 2, Announced: 300})
	limit(p, 150)
	if _, announced := p.report(); announced != 0 {
		t.Errorf("it announces %v, which it heard long ago", announced)
	}
	p.heard(said(80))
	limit(p, 40)
	if _, announced := p.report(); announced != 80 {
		t.Errorf("it announces %v", announced)
	}

	p = newPaced(t, perMinute(100)) // of which others need the rest
	p.heard(said(1000))
	limit(p, 100)
	p.heard(said(30))
	limit(p, 30)
}

// Debt: a call goes out while anything is left, and what it took is paid off
// first. A second has 1000 tokens here.
func TestPaceCountsTokens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  paceEnd
		wait time.Duration // after a call of 3500 tokens with 500 saved up
	}{
		"answered for less":      {paceEnd{class: jobs.OK, usage: jobs.Usage{Input: 1000, Output: 500}}, time.Second},
		"answered for more":      {paceEnd{class: jobs.OK, usage: jobs.Usage{Input: 4000, Output: 500}}, 4 * time.Second},
		"answered, who knows":    {paceEnd{class: jobs.OK}, 3 * time.Second},
		"failed, who knows":      {paceEnd{class: jobs.Transient}, 3 * time.Second},
		"failed, and was billed": {paceEnd{class: jobs.Timeout, usage: jobs.Usage{Input: 1000}}, 500 * time.Millisecond},
		"refused":                {paceEnd{class: jobs.Rate, retryAfter: time.Minute}, 0},
		"twice the limit":        {paceEnd{class: jobs.Lost, allowance: jobs.Allowance{TokensPerMinute: 120_000}}, 3 * time.Second},
		"half the limit":         {paceEnd{class: jobs.Lost, allowance: jobs.Allowance{TokensPerMinute: 30_000}}, 6 * time.Second},
	} {
		p := newPaced(t, jobs.Limits{TokensPerMinute: 60_000})
		p.clock.pass(time.Minute)
		p.take(3500)
		if ok, again, reason := p.take(1); ok || again.Sub(p.clock.now()).Round(time.Millisecond) != 3*time.Second || !strings.Contains(reason, "tokens") {
			t.Errorf("%s: with a debt of 3000: %v, again in %v, %q", name, ok, again.Sub(p.clock.now()), reason)
		}
		c.end.tokens = 3500
		p.done(c.end)
		if wait := p.tokens.wait(0).Round(time.Millisecond); wait != c.wait {
			t.Errorf("%s: it waits %v, want %v", name, wait, c.wait)
		}
	}
}

// Again is when it goes: not a moment before, and not after.
func TestPaceSaysWhenToAskAgain(t *testing.T) {
	t.Parallel()
	p := newPaced(t, perMinute(3))
	p.ends(p.takes(1), jobs.OK)
	for range 1000 {
		ok, again, _ := p.take(0)
		if ok {
			p.done(paceEnd{class: jobs.OK})
			continue
		}
		wait := again.Sub(p.clock.now())
		p.clock.pass(wait - time.Microsecond)
		if ok, _, _ := p.take(0); ok {
			t.Fatal("it went a microsecond before it said")
		}
		p.clock.pass(time.Microsecond)
		if ok, _, _ := p.take(0); !ok {
			t.Fatal("it did not go when it said")
		}
		p.done(paceEnd{class: jobs.OK})
	}
}

// What the fleet found out stays as it is when its work moves between workers.
func TestPaceFollowsItsShare(t *testing.T) {
	t.Parallel()
	p := newPaced(t, perMinute(1000))
	share := func(share float64) { p.follow(paceShare{Share: share, Workers: 2, LastGood: 400}) }
	share(0.5)
	p.ends(p.takes(1), jobs.OK)
	p.tripped()
	p.recovered()
	p.rates(100)
	share(0.25)
	p.rates(50)
	share(0.75)
	p.rates(50)
	share(0.5)
	p.rates(100)
	share(0)
	p.rates(100) // an even one
	if s := p.snapshot(); s.Limit != 500 || s.Share != 0.5 {
		t.Errorf("%+v", s)
	}
	p.works(4 * time.Second)
	p.refusesOnce(0)
	before := p.law
	share(0.25)
	for name, ratio := range map[string]float64{
		"rate": p.law.rate / before.rate, "goal": p.law.goal / before.goal,
		"ceiling": p.law.ceiling / before.ceiling, "accepted rate": p.law.good / before.good,
	} {
		if math.Abs(ratio-0.5) > 1e-9 {
			t.Errorf("with half of the share the %s is ×%v", name, ratio)
		}
	}
}

// A clock that is set back an hour costs nothing, and one that is set forward
// lets nothing through.
func TestPaceBearsAClockThatJumps(t *testing.T) {
	t.Parallel()
	p := newPaced(t, perMinute(100))
	p.ends(p.takes(1), jobs.OK)
	p.works(5 * time.Second)
	p.refusesOnce(2 * time.Second)
	p.clock.pass(-time.Hour)
	if wait := p.snapshot().PausedUntil.Sub(p.clock.now()); wait > 2200*time.Millisecond {
		t.Errorf("the pause lasts %v", wait)
	}
	p.clock.pass(2500 * time.Millisecond)
	if made := p.works(10 * time.Second); made < 800 {
		t.Errorf("%d calls in 10 s", made)
	}
	p.clock.pass(1000 * time.Hour)
	if n := p.takes(1000); n > 51 {
		t.Errorf("%d calls at once", n)
	}
}

func TestPaceRefundRestores(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]jobs.Limits{"none": {}, "all": {RequestsPerMinute: 600, TokensPerMinute: 6000, Concurrency: 3}} {
		p := newPaced(t, limits)
		p.ends(p.takes(1), jobs.OK)
		p.works(2500 * time.Millisecond)
		p.clock.pass(400 * time.Millisecond)
		state := func() any {
			return []any{p.requests, p.tokens, p.places, p.law, p.snapshot()}
		}
		before := state()
		for range 3 {
			if ok, _, reason := p.take(1234); !ok {
				t.Fatalf("%s: %s", name, reason)
			}
			p.refund(1234)
		}
		if diff := cmp.Diff(before, state(), cmp.AllowUnexported(bucket{}, places{}, paceLaw{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A provider that reports a number of tokens that cannot be is not left alone for
// days.
func TestPaceOfWildUsage(t *testing.T) {
	t.Parallel()
	s := chainOf(t, &jobs.Target{Name: "a", Limits: jobs.Limits{TokensPerMinute: 200_000}})
	s.provider.usage = jobs.Usage{Input: 1_000_000_000}
	s.routes(1).to("a").passes(30 * time.Minute).routes(1).to("a")
	s.provider.usage = jobs.Usage{}
	s.passes(30 * time.Minute).asks(&jobs.Request{Body: []byte(`{"max_tokens":1000000000,"n":128}`)})
	s.says("a", jobs.Error{Class: jobs.Timeout}).tries().passes(30 * time.Minute).routes(1).to("a")
}
