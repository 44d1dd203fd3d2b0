package routing

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

// chooses begins a story by a goal.
func (s *story) chooses(by Choosing) *story {
	s.router.Choose(by)
	return s
}

// answersIn makes the target known as one that answers in so many seconds.
func (s *story) answersIn(target string, seconds float64, times int) *story {
	for range times {
		s.targets[target].statistics.hear(s.router.choosing.Load(), s.clock.now(), sample{seconds: seconds, output: expectedOutput})
	}
	return s
}

// shareOf is how many of n requests like this one a target gets.
func (s *story) sharesOf(n int, request jobs.Request) map[string]int {
	got := map[string]int{}
	for range n {
		r := request
		r.Route = theRoute
		w, outcome := s.router.Walk(&r, nil)
		if w == nil {
			s.t.Fatalf("no walk: %+v", outcome)
		}
		got[w.Target().Name]++
		w.Release()
	}
	return got
}

func TestSpeedTakesTheFastest(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b", "c").answersIn("a", 5, 10).answersIn("b", 1, 10).answersIn("c", 3, 10)
	if got := s.sharesOf(50, jobs.Request{Goal: Speed}); got["b"] != 50 {
		t.Errorf("got %v", got)
	}
	if got := s.sharesOf(50, jobs.Request{}); got["a"] != 50 {
		t.Errorf("the chain as it is written: %v", got)
	}
}

func TestCostTakesTheCheapest(t *testing.T) {
	t.Parallel()
	priced := func(name string, output float64) *jobs.Target {
		return &jobs.Target{Name: name, Price: jobs.Price{Input: jobs.USD(output / 4), Output: jobs.USD(output)}}
	}
	s := chainOf(t, priced("dear", 10), priced("cheap", 1), &jobs.Target{Name: "unpriced"})
	if got := s.sharesOf(50, jobs.Request{Goal: Cost}); got["cheap"] != 50 {
		t.Errorf("got %v", got)
	}
}

// Those that are nearly the best are taken alike, and each attempt knows its chance.
func TestTheNearlyBestShare(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b", "c").answersIn("a", 1, 10).answersIn("b", 1.05, 10).answersIn("c", 3, 10)
	s.chooses(Choosing{Strategies: map[string]Strategy{"fast": Weights{Latency: 1}.Strategy()}})
	got := s.sharesOf(1000, jobs.Request{Goal: "fast"})
	if got["a"] < 400 || got["b"] < 400 || got["c"] > 0 {
		t.Errorf("got %v", got)
	}
	s.asks(&jobs.Request{Goal: "fast"}).tries()
	a := s.outcome.Trace.Attempts()[0]
	if a.Propensity != 0.5 || a.Decision == nil || a.Decision.Goal != "fast" || a.Decision.Estimator != Decayed || len(a.Decision.Candidates) != 3 {
		t.Errorf("the attempt is %+v, by %+v", a, a.Decision)
	}
}

// A request without a near deadline explores now and then, and says so; with one, or in
// the order of the chain, never.
func TestExploresNowAndThen(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b").answersIn("a", 1, 10).answersIn("b", 9, 10)
	s.chooses(Choosing{Explore: 0.2})
	got := s.sharesOf(2000, jobs.Request{Goal: Speed})
	if got["b"] < 140 || got["b"] > 260 {
		t.Errorf("a fifth explores, half of that at b: %v", got)
	}
	if got := s.sharesOf(500, jobs.Request{Goal: Speed, Deadline: s.clock.now().Add(time.Minute)}); got["b"] > 0 {
		t.Errorf("with a near deadline: %v", got)
	}
	if got := s.sharesOf(500, jobs.Request{}); got["b"] > 0 {
		t.Errorf("ordered: %v", got)
	}
	for range 200 {
		s.asks(&jobs.Request{Goal: Speed}).tries()
		a := s.outcome.Trace.Attempts()[0]
		want := map[string]float64{"a": 0.9, "b": 0.1}[a.Target]
		if math.Abs(float64(a.Propensity)-want) > 1e-6 {
			t.Fatalf("%s has the chance %v, want %v", a.Target, a.Propensity, want)
		}
		if a.Target == "b" && !a.Decision.Explored {
			t.Fatal("b was not explored")
		}
	}
}

// Of whom nothing is known, the best is thought, and so somebody finds out.
func TestTheUnknownIsTried(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := chain(t, "a", "b", "c")
		for _, name := range []string{"a", "b"} {
			s.answersIn(name, rapid.Float64Range(0.1, 60).Draw(rt, name), rapid.IntRange(1, 50).Draw(rt, "samples"))
		}
		if got := s.sharesOf(60, jobs.Request{Goal: Speed}); got["c"] == 0 {
			rt.Fatalf("nobody tried c: %v", got)
		}
	})
}

// A request waits for a target at its limit as long as that is the best, the wait and
// all: speed spills over, the order of the chain never does.
func TestSpeedSpillsOver(t *testing.T) {
	t.Parallel()
	a, b := &jobs.Target{Name: "a", Limits: jobs.Limits{Concurrency: 1}}, &jobs.Target{Name: "b"}
	s := chainOf(t, a, b).answersIn("a", 1, 10).answersIn("b", 4, 10)
	first, _ := s.router.Walk(&jobs.Request{Route: theRoute, Goal: Speed}, nil)
	if first == nil || first.Target().Name != "a" {
		t.Fatal("the first does not go to a")
	}
	defer first.Release()
	if w, outcome := s.router.Walk(&jobs.Request{Route: theRoute}, nil); w != nil || !outcome.Held {
		t.Errorf("in the order of the chain it does not wait: %+v", outcome)
	}
	if w, outcome := s.router.Walk(&jobs.Request{Route: theRoute, Goal: Speed}, nil); w != nil || !outcome.Held {
		t.Errorf("where nobody waits, a second is worth waiting for: %+v", outcome)
	}
	s.router.Beat(map[string]int{theRoute: 21})
	w, outcome := s.router.Walk(&jobs.Request{Route: theRoute, Goal: Speed}, nil)
	if w == nil || w.Target().Name != "b" {
		t.Fatalf("behind twenty others it waits all the same: %+v", outcome)
	}
	w.Release()
}

// What is shut ranks, and is passed over; the worst are those of the others.
func TestTheShutArePassedOver(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b", "c").answersIn("a", 1, 10).answersIn("b", 2, 10).answersIn("c", 4, 10)
	opened(t, s.targets["a"].circuit)
	s.asks(&jobs.Request{Goal: Speed}).tries().to("b").skips("a", "circuit open")
	d := s.outcome.Trace.Attempts()[0].Decision
	if !d.Candidates[0].Shut || d.Candidates[0].Target != "a" || d.Candidates[0].Wait <= 0 || d.Candidates[2].Score.Latency != 0 {
		t.Errorf("candidates: %+v", d.Candidates)
	}
}

func TestUnknownGoalNamesAllStrategies(t *testing.T) {
	t.Parallel()
	s := chain(t, "a").chooses(Choosing{Strategies: map[string]Strategy{"careful": Weights{Success: 1}.Strategy()}})
	s.asks(&jobs.Request{Goal: "nonsense"}).tries().refused(jobs.BadRequest).because("careful")
	for _, goal := range Goals() {
		s.because(goal)
	}
	s.asks(&jobs.Request{Goal: "careful"}).tries().to("a")
}

// A new worker is told by the others, and one that comes after all of them are gone by
// what they wrote down: both rank as those did.
func TestKnowledgeIsPassedOn(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b").answersIn("a", 5, 30).answersIn("b", 1, 30)
	s.router.Beat(nil)
	fresh := func() *story { return chain(t, "a", "b") }

	second := fresh()
	second.clock.at = s.clock.now().Add(3 * time.Second)
	second.router.Follow(&jobs.Fleet{Peers: []jobs.Peer{
		{Beat: jobs.Beat{Worker: "one", Statistics: s.router.Beat(nil).Statistics}, At: s.clock.now()},
		{Beat: jobs.Beat{Worker: "other", Statistics: jobs.Statistics{Estimator: EWMA, Of: map[string][]float32{"b": {90, 9, 0, 0, 0, 0, 0, 0}}}}},
	}}, "second")
	if got := second.sharesOf(50, jobs.Request{Goal: Speed}); got["b"] != 50 {
		t.Errorf("told by another: %v", got)
	}

	third := fresh()
	var past []jobs.PastAttempt
	for i := range 60 {
		latency := []time.Duration{5 * time.Second, time.Second}[i%2]
		past = append(past, jobs.PastAttempt{Route: theRoute, Attempt: jobs.Attempt{
			At: third.clock.now().Add(time.Duration(i-60) * time.Minute), Target: []string{"a", "b"}[i%2], Class: jobs.OK, Latency: latency, Usage: jobs.Usage{Input: 10, Output: 90},
		}})
	}
	third.router.Remember(past)
	if got := third.sharesOf(50, jobs.Request{Goal: Speed}); got["b"] != 50 {
		t.Errorf("by what was written down: %v", got)
	}
	if _, output := third.router.plan.Load().routes[theRoute].lengths.expected(100); math.Abs(output-90) > 1e-6 {
		t.Errorf("answers have %v tokens", output)
	}
	third.router.Reload([]jobs.Route{{Name: theRoute, Chain: []*jobs.Target{{Name: "a"}, {Name: "b", Region: "eu"}}}})
	if got := third.sharesOf(50, jobs.Request{Goal: Speed}); got["b"] != 50 {
		t.Errorf("after a reload: %v", got)
	}
}

// anyCandidates are a chain in whatever state.
func anyCandidates(t *rapid.T) []Candidate {
	_, all := candidates(rapid.IntRange(1, 12).Draw(t, "targets"))
	for i := range all {
		all[i].Success = rapid.Float64Range(0, 1).Draw(t, "success")
		all[i].Latency = time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "latency"))
		all[i].Wait = time.Duration(rapid.SampledFrom([]int64{0, 0, int64(time.Second), int64(time.Hour)}).Draw(t, "wait"))
		all[i].Cost = jobs.MicroUSD(rapid.Int64Range(0, 1e6).Draw(t, "cost"))
		all[i].Unpriced = rapid.IntRange(0, 5).Draw(t, "unpriced") == 0
		all[i].Shut = rapid.IntRange(0, 5).Draw(t, "shut") == 0
	}
	return all
}

func ranked(s Strategy, all []Candidate) ([]int, []jobs.Score) {
	order, scores := make([]int, len(all)), make([]jobs.Score, len(all))
	for i := range order {
		order[i] = i
	}
	s(order, scores, all)
	return order, scores
}

// rounding is what scores of the same worth may differ by: they are sums of three
// products.
const rounding = 1e-12

// Whoever gets better in one thing, all else being equal, never ranks lower for it.
func TestWeightsAreMonotone(t *testing.T) {
	t.Parallel()
	for _, goal := range []string{Balanced, Speed, Cost} {
		t.Run(goal, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				all := anyCandidates(t)
				i := rapid.IntRange(0, len(all)-1).Draw(t, "who")
				before, _ := ranked(strategies[goal], all)
				switch rapid.IntRange(0, 3).Draw(t, "in what") {
				case 0:
					all[i].Success += (1 - all[i].Success) / 2
				case 1:
					all[i].Latency /= 2
				case 2:
					all[i].Wait = 0
				case 3:
					if all[i].Cost /= 2; all[i].Unpriced { // what was unknown is no more
						all[i].Cost, all[i].Unpriced = 0, false
					}
				}
				after, scores := ranked(strategies[goal], all)
				for _, other := range after[:slices.Index(after, i)] {
					was := slices.Index(before, other) < slices.Index(before, i)
					if ahead := scores[other].Total - scores[i].Total; !was && ahead > rounding {
						t.Fatalf("%d came from %v to %v: %+v", i, before, after, scores)
					}
				}
			})
		})
	}
}

func TestSameInputSameOrder(t *testing.T) {
	t.Parallel()
	for goal, strategy := range strategies {
		t.Run(goal, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				all := anyCandidates(t)
				order, scores := ranked(strategy, all)
				again, same := ranked(strategy, all)
				if !slices.Equal(order, again) || !slices.Equal(scores, same) {
					t.Fatalf("%v, then %v", order, again)
				}
				for _, s := range scores {
					if !(s.Total >= 0 && s.Total <= 1+1e-9) {
						t.Fatalf("a score of %v", s)
					}
				}
			})
		})
	}
}

// One that was slow, and may be well again, is tried by a few at once: else many would
// be out before the first tells how it is.
func TestAFewFindOut(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b").chooses(Choosing{Strategies: map[string]Strategy{"fast": Weights{Latency: 1}.Strategy()}})
	s.answersIn("a", 1, 400).answersIn("b", 2, 400)
	s.targets["a"].pace.places.few, s.targets["b"].pace.places.few = 1000, 1000
	s.passes(10 * time.Minute)
	if got := s.sharesOf(20, jobs.Request{Goal: "fast"}); got["a"] != 20 {
		t.Fatalf("a is the faster one: %v", got)
	}
	s.answersIn("a", 8, 20)
	if got := s.sharesOf(20, jobs.Request{Goal: "fast"}); got["a"] != 0 {
		t.Fatalf("a is slow: %v", got)
	}
	s.passes(3 * time.Minute)
	got := map[string]int{}
	var out []*Walk
	for range 20 {
		w, _ := s.router.Walk(&jobs.Request{Route: theRoute, Goal: "fast"}, nil)
		out = append(out, w)
		got[w.Target().Name]++
	}
	if got["a"] != trialCalls {
		t.Errorf("%d are out at a, %d find out", got["a"], trialCalls)
	}
	for _, w := range out {
		w.Release()
	}
	s.answersIn("a", 1, trialCalls)
	if got := s.sharesOf(20, jobs.Request{Goal: "fast"}); got["a"] != 20 {
		t.Errorf("it is well: %v", got)
	}
}

// One that was in trouble, and that nobody asks, is explored more, with its chance
// written down; some quick answers in a row end the doubt.
func TestTheDoubtfulAreExplored(t *testing.T) {
	t.Parallel()
	s := chain(t, "a", "b", "c").chooses(Choosing{Explore: 0.1})
	s.answersIn("a", 1, 400).answersIn("b", 1.5, 400).answersIn("c", 4, 400).passes(10*time.Minute).answersIn("a", 9, 40)
	got := s.sharesOf(2000, jobs.Request{Goal: Speed})
	if got["a"] < 380 || got["a"] > 560 || got["c"] < 30 || got["c"] > 110 {
		t.Errorf("a fifth goes to a, and of a tenth a third to each: %v", got)
	}
	for range 200 {
		w, _ := s.router.Walk(&jobs.Request{Route: theRoute, Goal: Speed}, nil)
		if c := w.try.choice; w.Target().Name == "a" && (math.Abs(c.propensity-(0.2+0.1/3)) > 1e-9 || !c.explored) {
			t.Fatalf("a has the chance %v, explored: %t", c.propensity, c.explored)
		}
		w.Release()
	}
	s.answersIn("a", 1, 8)
	if got := s.sharesOf(200, jobs.Request{Goal: Speed}); got["a"] < 80 {
		t.Errorf("it is well, and gets %v", got)
	}
}
