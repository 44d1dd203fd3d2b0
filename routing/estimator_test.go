package routing

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

// guessOf is what a choosing with an estimator makes of samples, each a second after the
// one before it.
func guessOf(by *choosing, c *clock, samples ...sample) guess {
	s := &statistics{}
	for _, one := range samples {
		s.hear(by, c.now(), one)
		c.pass(time.Second)
	}
	return s.guess(by, c.now(), nil)
}

func times(n int, s sample) []sample {
	var many []sample
	for range n {
		many = append(many, s)
	}
	return many
}

// The golden figures of the textbook: 10 s, then answers of 1 s.
func TestEWMAMovesByItsAlpha(t *testing.T) {
	t.Parallel()
	for alpha, want := range map[float64]float64{0: 3.36, 0.2: 3.36, 0.5: 1.14, 1: 1} {
		by := newChoosing(Choosing{Estimator: EWMA, Alpha: alpha})
		got := guessOf(by, newClock(), append([]sample{{seconds: 10}}, times(6, sample{seconds: 1})...)...)
		if math.Abs(got.fixed-want) > 0.005 || got.each != 0 || !got.known {
			t.Errorf("α %v: %+v, want %v s", alpha, got, want)
		}
	}
}

func TestEWMAOfFailures(t *testing.T) {
	t.Parallel()
	got := guessOf(newChoosing(Choosing{Estimator: EWMA}), newClock(), sample{seconds: 1}, sample{failed: true})
	if math.Abs(got.failure-0.2) > 1e-9 || got.fixed != 1 {
		t.Errorf("one of five: %+v", got)
	}
}

// One that was slow relaxes to what is usual, without being asked.
func TestDecayedForgetsATroubleByItself(t *testing.T) {
	t.Parallel()
	c, by, s := newClock(), newChoosing(Choosing{}), &statistics{}
	usual := sample{seconds: 1.1, output: 50} // a hundredth of a second for each of 110
	for range 300 {
		s.hear(by, c.now(), usual)
		c.pass(time.Second)
	}
	near := func(what string, want, by float64, got float64) {
		t.Helper()
		if math.Abs(got-want) > by {
			t.Errorf("%s: %.4f, want %.4f", what, got, want)
		}
	}
	near("as it is", 0.01, 1e-6, s.guess(by, c.now(), nil).each)
	for range 20 {
		s.hear(by, c.now(), sample{seconds: 3.3, output: 50})
		s.hear(by, c.now(), sample{failed: true})
		c.pass(time.Second)
	}
	slow := s.guess(by, c.now(), nil)
	near("slow", 0.018, 0.003, slow.each)
	near("failing", 0.32, 0.02, slow.failure)
	c.pass(3 * time.Minute)
	after := s.guess(by, c.now(), nil)
	near("three minutes later", 0.0115, 0.001, after.each)
	near("three minutes later, failing", 0.06, 0.03, after.failure)
}

// An answer in a hundred takes seven times as long: it counts as four.
func TestDecayedCutsTheTail(t *testing.T) {
	t.Parallel()
	by := newChoosing(Choosing{})
	usual := sample{seconds: 1}
	four := guessOf(by, newClock(), append(times(20, usual), sample{seconds: 4})...)
	more := guessOf(by, newClock(), append(times(20, usual), sample{seconds: 400})...)
	if math.Abs(four.each-more.each) > 1e-9 {
		t.Errorf("%v with one of four, %v with one of four hundred", four.each, more.each)
	}
}

// The length of an answer is not the target's doing.
func TestDecayedComparesByToken(t *testing.T) {
	t.Parallel()
	by := newChoosing(Choosing{})
	short := guessOf(by, newClock(), times(10, sample{seconds: 1, output: 40})...)
	long := guessOf(by, newClock(), times(10, sample{seconds: 10, output: 940})...)
	if math.Abs(short.each-long.each) > 1e-9 {
		t.Errorf("%v and %v seconds a token", short.each, long.each)
	}
}

func TestCompletionCountsFailuresAndTheCrowd(t *testing.T) {
	t.Parallel()
	g := guess{failure: 0.5, again: 3, part: 0.5, crowds: true}
	if got := g.completion(2, load{rate: math.Inf(1)}); got != 2+3+1 {
		t.Errorf("without a limit: %v", got)
	}
	if got := g.completion(2, load{out: 4, places: 10, rate: math.Inf(1)}); math.Abs(got-6*1.25) > 1e-9 {
		t.Errorf("half full: %v", got)
	}
	if got := g.completion(2, load{out: 4, rate: 5}); math.Abs(got-6*1.25) > 1e-9 {
		t.Errorf("half full by its rate: %v", got)
	}
}

// anySamples are calls at any times, a clock that goes back among them.
func anySamples(t *rapid.T, s *statistics, by *choosing, c *clock) {
	for range rapid.IntRange(0, 60).Draw(t, "samples") {
		s.hear(by, c.now(), sample{
			failed:  rapid.Bool().Draw(t, "failed"),
			seconds: rapid.SampledFrom([]float64{-1, 0, 1e-9, 0.3, 5, 120, 1e9}).Draw(t, "seconds"),
			output:  rapid.SampledFrom([]float64{-1, 0, 1, 250, 1e9}).Draw(t, "output"),
		})
		c.pass(time.Duration(rapid.SampledFrom([]int{-90_000, -5, 0, 1, 1, 30, 3600, 9_000_000}).Draw(t, "seconds passed")) * time.Second)
	}
}

// Whatever was met, and whatever was done to the clock, an estimate is a number.
func TestEstimatesStayFinite(t *testing.T) {
	t.Parallel()
	for _, name := range Estimators() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				by, c, s := newChoosing(Choosing{Estimator: name}), newClock(), &statistics{}
				anySamples(t, s, by, c)
				g := s.guess(by, c.now(), nil)
				seconds := g.completion(g.fixed+250*g.each, load{out: rapid.IntRange(0, 1000).Draw(t, "out"), places: 4, rate: math.Inf(1)})
				if !(seconds >= 0) || math.IsInf(seconds, 0) || !(g.failure >= 0 && g.failure <= 1) {
					t.Fatalf("%v seconds by %+v", seconds, g)
				}
				if in := inSeconds(seconds); in < 0 || in+in < in {
					t.Fatalf("%v seconds are %s", seconds, in)
				}
			})
		})
	}
}

// What two workers know adds up to what one would that had seen it all, but for what
// neither ever forgets, whoever
// heard it, and in whatever order.
func TestDecayedAddsUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		by, c := newChoosing(Choosing{}), newClock()
		one, two, both := &statistics{}, &statistics{}, &statistics{}
		for range rapid.IntRange(1, 40).Draw(t, "samples") {
			s := sample{failed: rapid.Bool().Draw(t, "failed"), seconds: 1, output: 40}
			if rapid.Bool().Draw(t, "first") {
				one.hear(by, c.now(), s)
			} else {
				two.hear(by, c.now(), s)
			}
			both.hear(by, c.now(), s)
			c.pass(time.Duration(rapid.IntRange(0, 20).Draw(t, "passed")) * time.Second)
		}
		one.follow(by, c.now(), sumsOf(two.share(by, c.now())))
		got, want := one.guess(by, c.now(), nil), both.guess(by, c.now(), nil)
		if math.Abs(got.failure-want.failure) > 0.01 || math.Abs(got.each-want.each) > 1e-6 {
			t.Fatalf("together %+v, at once %+v", got, want)
		}
	})
}

// A sample that is told late counts as if it had been told in time.
func TestDecayedHearsOfThePast(t *testing.T) {
	t.Parallel()
	by, c := newChoosing(Choosing{}), newClock()
	inTime, late := &statistics{}, &statistics{}
	late.hear(by, c.now().Add(time.Minute), sample{seconds: 3})
	inTime.hear(by, c.now(), sample{seconds: 1})
	inTime.hear(by, c.now().Add(time.Minute), sample{seconds: 3})
	late.hear(by, c.now(), sample{seconds: 1})
	got, want := late.guess(by, c.now().Add(time.Minute), nil), inTime.guess(by, c.now().Add(time.Minute), nil)
	if math.Abs(got.each/want.each-1) > 0.005 { // in time, what is usual does not fade so soon
		t.Errorf("late %v, in time %v", got.each, want.each)
	}
}

// What comes from another worker may be anything.
func TestSumsOfRefuseWhatCannotBe(t *testing.T) {
	t.Parallel()
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, told := range [][]float32{nil, {1}, {1, 1, 1, 1, 1, 1, 1, nan}, {1, 1, 1, 1, 1, 1, 1, inf}, {-1, 1, 1, 1, 1, 1, 1, 1}} {
		if got := sumsOf(told); got != (sums{}) {
			t.Errorf("%v: %v", told, got)
		}
	}
}

func TestOnlyAnswersAndFailuresAreSamples(t *testing.T) {
	t.Parallel()
	for _, class := range jobs.Classes() {
		by, s := newChoosing(Choosing{}), &statistics{}
		s.note(by, newClock().now(), &jobs.Attempt{Class: class, Latency: time.Second})
		heard := s.own != sums{}
		if want := class == jobs.OK || class == jobs.Invalid || class.Trips(); heard != want {
			t.Errorf("%s is a sample: %t", class, heard)
		}
	}
	by, s := newChoosing(Choosing{}), &statistics{}
	s.note(by, newClock().now(), &jobs.Attempt{Class: jobs.Overload, Blamed: true})
	if s.own != (sums{}) {
		t.Error("a request's own fault is held against the target")
	}
}

// What is too long ago to be told is no slow time.
func TestLongIdleTargetIsNotSlow(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b").answersIn("a", 2, 10)
	by, of := s.router.choosing.Load(), s.targets["a"].statistics
	for range 20 * 3600 {
		s.clock.pass(time.Second)
		if g := of.guess(by, s.clock.now(), nil); g.slower > 1 {
			t.Fatalf("it is thought to be %v times slower", g.slower)
		}
	}
}

// A target that failed for long, and that nobody asks any more, is asked again by and
// by: nobody else would find out that it is well.
func TestFailuresAreForgottenWithoutCalls(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b").answersIn("a", 1, 20)
	by, of := s.router.choosing.Load(), s.targets["a"].statistics
	for range 40 {
		of.hear(by, s.clock.now(), sample{failed: true})
		s.clock.pass(time.Minute)
	}
	last := of.guess(by, s.clock.now(), nil).failure
	if last < 0.3 {
		t.Fatalf("it is thought to fail with the chance %.3f", last)
	}
	for range 24 * 60 {
		s.clock.pass(time.Minute)
		now := of.guess(by, s.clock.now(), nil).failure
		if now > last {
			t.Fatalf("from %v to %v by time alone", last, now)
		}
		last = now
	}
	if last > 0.01 {
		t.Errorf("a day later it is thought to fail with the chance %.3f", last)
	}
}
