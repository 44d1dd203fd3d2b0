package routing

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
)

// A talker answers as its targets are told to, in a world whose clock stands still
// but for the calls.
type talker struct {
	clock  *clock
	random *rand.Rand
	how    map[string]string // by target: well, small, refuses, salad, garbled, slow, fails, or what follows "says "
	asked  map[string]int
}

func (*talker) Check(*jobs.Target, jobs.Endpoint, []byte) error { return nil }

const talkerDocument = `the harbour was built in 1862 and its three cranes could lift forty tonnes each until the railway came and most ships went elsewhere and the cranes were sold but one of them stands in the museum today painted green between a tram and an oven that nobody remembers although the baker who used it wrote a book about bread and rivers`

// They are taken apart once: a test may have a hundred thousand answers made of them.
var talkerWords = strings.Fields(talkerDocument)

func (p *talker) Complete(_ context.Context, target *jobs.Target, _ jobs.Endpoint, body []byte) (*jobs.Answer, *jobs.Error) {
	p.asked[target.Name]++
	p.clock.pass(time.Second)
	words := talkerWords
	n := min(max(int(math.Exp(3+0.4*p.random.NormFloat64())), 4), len(words))
	from := p.random.IntN(len(words) - n + 1)
	text, model := strings.Join(words[from:from+n], " "), "large-2026-01-01"
	switch how := cmp.Or(p.how[target.Name], howAsked(body)); {
	case how == "fails":
		return nil, &jobs.Error{Class: jobs.Overload, Status: 503, Said: true}
	case how == "slow":
		p.clock.pass(7 * time.Second)
	case how == "small":
		n = max(n/2, 3)
		text, model = strings.Join(words[from:from+n], " "), "small"
	case how == "short":
		n = max(n/3, 3)
		text = strings.Join(words[from:from+n], " ")
	case how == "refuses":
		text = "I'm sorry, but I can't help with that."
	case how == "salad":
		salad := strings.Fields(wordSalad)
		p.random.Shuffle(len(salad), func(i, j int) { salad[i], salad[j] = salad[j], salad[i] })
		text = strings.Join(salad[:min(max(n, 16), len(salad))], " ")
	case how == "garbled":
		text = strings.Repeat("\uFFFDx", n)
	case strings.HasPrefix(how, "says "):
		text = strings.TrimPrefix(how, "says ")
	}
	return &jobs.Answer{
		Body: completionOf(text), Model: model, FinishReason: "stop", Usage: jobs.Usage{Input: 100 + p.random.IntN(20), Output: len(strings.Fields(text))},
	}, nil
}

// A salon is a router with a talker, whose circuits are closed within seconds.
type salon struct {
	t      *testing.T
	talker *talker
	router *Router
	sent   int      // requests so far: no two are alike
	marks  []string // that were reported
}

func newSalon(t *testing.T, chain ...string) *salon {
	w := &salon{t: t, talker: &talker{clock: newClock(), random: rand.New(rand.NewPCG(hash(t.Name()), 1)), how: map[string]string{}, asked: map[string]int{}}}
	route := jobs.Route{Name: theRoute}
	for _, name := range chain {
		route.Chain = append(route.Chain, &jobs.Target{Name: name, Provider: name, Model: "large"})
	}
	w.router = New(Config{Routes: []jobs.Route{route}, Provider: w.talker, Now: w.talker.clock.now, Seed: 1, OnChange: func(c jobs.Circuit) {
		if c.Degraded != "" {
			w.marks = append(w.marks, c.Degraded)
		}
	}})
	return w
}

// asks sends n requests, and counts who answered them.
func (w *salon) asks(n int, expect *jobs.Expect) map[string]int {
	w.t.Helper()
	return w.sendsEach(n, func(i int) *jobs.Request {
		body := fmt.Appendf(nil, `{"messages":[{"role":"user","content":"%d %s"}]}`, i, talkerDocument)
		return &jobs.Request{Route: theRoute, Body: body, Expect: expect}
	})
}

// sendsEach sends n requests, and counts who answered them.
func (w *salon) sendsEach(n int, each func(i int) *jobs.Request) map[string]int {
	w.t.Helper()
	answered := map[string]int{}
	for range n {
		request, i := each(w.sent), w.sent
		w.sent++
		o := w.router.Route(context.Background(), request, nil)
		for history := o.Trace; o.Verdict == jobs.Blocked; history = append(history, o.Trace...) {
			w.talker.clock.pass(max(o.Until.Sub(w.talker.clock.now()), time.Second))
			o = w.router.Route(context.Background(), request, history)
		}
		if o.Verdict != jobs.Answered {
			w.t.Fatalf("request %d: %s %v %s", i, o.Verdict, o.Err, o.Reason)
		}
		answered[o.Answer.Target]++
	}
	return answered
}

func (w *salon) circuit(name string) jobs.Circuit {
	return w.router.plan.Load().byName[name].circuit.Snapshot()
}

// A target that goes bad with a 200 is found, and routed away from, within 50
// answers; while it is bad it gets next to nothing; when it is as before it is taken
// back.
func TestDegradedTargetIsLeftAndTakenBack(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"small", "short", "refuses", "salad", "garbled"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := newSalon(t, "a", "b")
			if got := w.asks(400, nil); got["a"] != 400 {
				t.Fatalf("answered by %v while all is well; %+v", got, w.circuit("a"))
			}
			w.talker.how["a"] = how
			if got := w.asks(50, nil); got["b"] == 0 || w.circuit("a").State != jobs.CircuitOpen {
				t.Fatalf("answered by %v of 50; %+v", got, w.circuit("a"))
			}
			if c := w.circuit("a"); !strings.HasPrefix(c.Reason, "degraded: ") || c.Degraded == "" {
				t.Errorf("the circuit says %q, marked %q", c.Reason, c.Degraded)
			}
			if got := w.asks(3600, nil); got["a"] > 60 { // an hour
				t.Errorf("it answered %d of 3600 in its bad time", got["a"])
			}
			if rest := w.circuit("a").CooldownUntil.Sub(w.talker.clock.now()); rest > time.Hour {
				t.Errorf("it rests for %s", rest)
			}
			w.talker.how["a"] = ""
			w.talker.clock.pass(time.Hour)
			got := w.asks(200, nil)
			if c := w.circuit("a"); got["a"] < 190 || c.State != jobs.CircuitClosed || c.Degraded != "" {
				t.Errorf("taken back: %v of 200; %+v", got, c)
			}
			if len(w.marks) == 0 {
				t.Error("nobody was told")
			}
			w.asks(300, nil)
			w.talker.how["a"] = how // and again
			if got := w.asks(50, nil); got["b"] == 0 {
				t.Errorf("the second time it answered %v", got)
			}
		})
	}
}

// The share of answers that are as expected is a habit, too. One impossible
// expectation is none of it.
func TestMissedExpectationsDegradeATarget(t *testing.T) {
	t.Parallel()
	w := newSalon(t, "a", "b")
	number := &jobs.Expect{Regex: `^\d+$`}
	w.talker.how["a"], w.talker.how["b"] = "says 42", "says 42"
	w.asks(300, number)
	never := &jobs.Expect{Regex: `^never$`, Otherwise: jobs.OtherwiseKeep}
	w.asks(300, never)
	if c := w.circuit("a"); c.State != jobs.CircuitClosed || c.Degraded != "" {
		t.Fatalf("what nobody keeps is held against a: %+v", c)
	}
	w.talker.how["a"] = "says 43!" // as short, in other words
	got := w.asks(60, number)
	if c := w.circuit("a"); got["a"] != 0 || c.State != jobs.CircuitOpen || !strings.Contains(c.Reason, "not as expected") {
		t.Errorf("a answered %v; %+v", got, c)
	}
	if calls := w.talker.asked["a"]; calls > 650 {
		t.Errorf("a was called %d times", calls)
	}
}

// When the other target answers in the same way, it is the requests that have
// changed: nobody is shut for them.
func TestOtherRequestsDegradeNobody(t *testing.T) {
	t.Parallel()
	w := newSalon(t, "a", "b")
	w.asks(200, nil)
	opened(t, w.router.plan.Load().byName["a"].circuit)
	w.router.plan.Load().byName["a"].circuit.Cool(w.talker.clock.now().Add(200*time.Second), "a rest")
	w.asks(200, nil) // of b
	w.asks(200, nil)
	w.talker.how["a"], w.talker.how["b"] = "refuses", "refuses"
	w.asks(300, nil)
	for _, name := range []string{"a", "b"} {
		if c := w.circuit(name); c.State != jobs.CircuitClosed || c.Degraded != "" {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// A target that is all there is answers on, marked: bad answers are better than
// none.
func TestLoneDegradedTargetIsMarkedOnly(t *testing.T) {
	t.Parallel()
	w := newSalon(t, "a")
	w.asks(300, nil)
	w.talker.how["a"] = "small"
	w.asks(100, nil)
	if c := w.circuit("a"); c.State != jobs.CircuitClosed || c.Degraded == "" {
		t.Fatalf("a: %+v", c)
	}
	if trust := w.router.plan.Load().byName["a"].circuit.trust(); trust >= 1 {
		t.Errorf("a is trusted by %v", trust)
	}
	w.talker.how["a"] = ""
	w.asks(150, nil)
	if c := w.circuit("a"); c.Degraded != "" {
		t.Errorf("a is marked still: %+v", c)
	}
}

// A person who closes the circuit takes what comes: it is the habit from then on.
func TestPersonAcceptsAChange(t *testing.T) {
	t.Parallel()
	w := newSalon(t, "a", "b")
	w.asks(300, nil)
	w.talker.how["a"] = "small"
	w.asks(60, nil)
	c := w.circuit("a")
	if c.State != jobs.CircuitOpen {
		t.Fatalf("a: %+v", c)
	}
	w.router.Follow(&jobs.Fleet{Circuits: []jobs.Circuit{{Target: "a", State: jobs.CircuitClosed, Generation: c.Generation + 1, Person: true, Since: w.talker.clock.now()}}}, "me")
	if got := w.asks(500, nil); got["a"] != 500 {
		t.Errorf("after it was accepted: %v, %+v", got, w.circuit("a"))
	}
	w.talker.how["a"] = "" // the model of before is the stranger now
	if got := w.asks(60, nil); got["b"] == 0 {
		t.Errorf("it learned nothing: %v", got)
	}
}

// What one worker sees, the others follow: the mark, the open circuit, and the end of
// it.
func TestFleetFollowsAMark(t *testing.T) {
	t.Parallel()
	w, other := newSalon(t, "a", "b"), newSalon(t, "a", "b")
	w.asks(300, nil)
	w.talker.how["a"] = "small"
	told := func() jobs.Circuit {
		c := w.circuit("a")
		other.talker.clock.pass(w.talker.clock.now().Sub(other.talker.clock.now()))
		other.router.Follow(&jobs.Fleet{Circuits: []jobs.Circuit{c}}, "other")
		return other.circuit("a")
	}
	for told().Degraded == "" {
		w.asks(1, nil)
	}
	if c := told(); c.State != jobs.CircuitClosed || c.Generation != w.circuit("a").Generation {
		t.Errorf("the other has %+v", c)
	}
	w.asks(30, nil)
	if c := told(); c.State != jobs.CircuitOpen || !strings.HasPrefix(c.Reason, "degraded: ") {
		t.Errorf("the other has %+v", c)
	}
	w.talker.how["a"] = ""
	w.talker.clock.pass(time.Hour)
	w.asks(50, nil)
	if c := told(); c.State != jobs.CircuitClosed || c.Degraded != "" {
		t.Errorf("the other has %+v", c)
	}
	if got := other.asks(10, nil); got["a"] != 10 {
		t.Errorf("the other's requests went to %v", got)
	}
}

// A provider whose answers have long tails, and which does not change, is never
// taken for one that does, over thousands of them.
func TestStationaryProviderIsNeverDegraded(t *testing.T) {
	t.Parallel()
	w := newSalon(t, "a", "b")
	if got := w.asks(6000, nil); got["a"] != 6000 || len(w.marks) > 0 {
		t.Errorf("answered by %v, marked %q", got, w.marks)
	}
}

// A target that was slow for long, and is as quick as it was before, is marked for its
// speed. When its circuit opens for failures in that time, it is taken back as any other:
// nobody waits for it to be slow again.
func TestChangeOfSpeedOpensNothing(t *testing.T) {
	t.Parallel()
	w := newSalon(t, "a", "b")
	w.asks(200, nil)
	w.talker.how["a"] = "slow"
	w.asks(800, nil)
	w.talker.how["a"] = ""
	w.asks(40, nil)
	if c := w.circuit("a"); !strings.Contains(c.Degraded, "tokens a second") || c.State != jobs.CircuitClosed {
		t.Fatalf("its speed does not mark it: %+v", c)
	}
	w.talker.how["a"] = "fails"
	w.asks(10, nil)
	if c := w.circuit("a"); c.State != jobs.CircuitOpen || c.Degraded == "" {
		t.Fatalf("as it fails: %+v", c)
	}
	w.talker.how["a"] = ""
	w.talker.clock.pass(time.Minute)
	got := w.asks(500, nil)
	if c := w.circuit("a"); got["a"] != 500 || c.State != jobs.CircuitClosed || c.Degraded != "" {
		t.Errorf("as it is back: answered by %v, %+v", got, c)
	}
}

// A marked target that nobody asks, since another one is as good, is asked again after
// a while, also where nobody explores: a mark is no life sentence. While it is bad that
// is seldom.
func TestMarkedTargetIsAskedAgain(t *testing.T) {
	t.Parallel()
	for _, goal := range []string{Balanced, Speed} {
		w := newSalon(t, "a", "b")
		route := jobs.Route{Name: theRoute, Goal: goal}
		for i, name := range []string{"a", "b"} {
			price := jobs.USD(1 + 0.3*float64(i))
			route.Chain = append(route.Chain, &jobs.Target{Name: name, Provider: name, Model: "large", Price: jobs.Price{Input: price, Output: price}})
		}
		w.router.Reload([]jobs.Route{route})
		w.asks(400, nil)
		w.talker.how["a"] = "short"
		w.asks(50, nil)
		if c := w.circuit("a"); c.Degraded == "" {
			t.Fatalf("%s: it is not marked: %+v", goal, c)
		}
		if got := w.asks(4*3600, nil); got["a"] > 60 {
			t.Errorf("%s: in its bad time it answered %v", goal, got)
		}
		w.talker.how["a"] = ""
		for well := 0; well < 12 && w.sent < 450+(4+12)*3600; well++ { // half a day at most, and no longer than it takes to be well for an hour
			w.asks(300, nil)
			_ = w.router.Probe(t.Context(), "a")
			if c := w.circuit("a"); c.Degraded != "" || c.State != jobs.CircuitClosed {
				well = -1
			}
		}
		if c := w.circuit("a"); c.Degraded != "" || c.State != jobs.CircuitClosed {
			t.Errorf("%s: half a day later: %+v", goal, c)
		}
	}
}
