package routing

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

// Under a budget no target is called whose price nobody knows, and that is no reason
// to refuse the request.
func TestUnpricedTargetsUnderABudget(t *testing.T) {
	t.Parallel()
	free := &jobs.Target{Name: "free", Provider: "free", Price: jobs.Price{Free: true}}
	unknown := &jobs.Target{Name: "unknown", Provider: "unknown"}
	request := &jobs.Request{ID: "r", Body: chatBody(t, "hi"), Budgeted: true}
	chainOf(t, unknown, free).asks(request).tries().to("free").skips("unknown", "has no price, and the request is under a budget").calls("unknown", 0)

	s := chainOf(t, unknown).asks(request).tries().calls("unknown", 0)
	if s.outcome.Verdict != jobs.Blocked || s.outcome.Held || s.outcome.Until.Sub(s.clock.now()) < time.Minute || !strings.Contains(s.outcome.Reason, "add its price") {
		t.Errorf("it is %+v", s.outcome)
	}
	request.Budgeted = false
	s.tries().to("unknown")
}

// A target of which one call costs more than a whole budget is passed over while there
// is another one, open or not: the request waits for that. Where there is none, the call
// is for the keeper of the budget to refuse.
func TestTargetsDearerThanABudget(t *testing.T) {
	t.Parallel()
	cheap := &jobs.Target{Name: "cheap", Provider: "cheap", Price: jobs.Price{Input: 1_000_000, Output: 1_000_000}}
	dear := &jobs.Target{Name: "dear", Provider: "dear", Price: jobs.Price{Input: 100_000_000, Output: 100_000_000}}
	request := &jobs.Request{ID: "r", Body: []byte(`{"max_tokens":100,"messages":[{"role":"user","content":"hi"}]}`), Budgeted: true, CallLimit: 1000}
	chainOf(t, dear, cheap).asks(request).tries().to("cheap").skips("dear", "more than the whole of a budget, $0.001").calls("dear", 0)
	chainOf(t, cheap, dear).asks(request).down("cheap").routes(5).tries().calls("dear", 5).up("cheap").passes(time.Minute).tries().to("cheap").calls("dear", 5)
	chainOf(t, dear).asks(request).tries().to("dear")

	free := &jobs.Request{ID: "f", Body: request.Body, Budgeted: true}
	chainOf(t, dear, cheap).asks(free).tries().to("dear")
	bad := jobs.Trace{{Attempt: &jobs.Attempt{Target: "cheap", Class: jobs.Context}}} // cheap is not for it, so the keeper of the budget has the word
	s := chainOf(t, cheap, dear).asks(request)
	s.history = bad
	s.tries().to("dear")

	request.Expect = &jobs.Expect{JSONSchema: []byte("true"), Tries: 1}
	chainOf(t, cheap, dear).asks(request).tries().tries().refused(jobs.Invalid).calls("cheap", 2).calls("dear", 0)
}

// What a call may cost is known before it begins, where the price is.
func TestEstimateOfACall(t *testing.T) {
	t.Parallel()
	price := jobs.Price{Input: 1_000_000, Output: 2_000_000}
	for _, c := range []struct {
		price jobs.Price
		body  string
		least jobs.MicroUSD // an answer of max_tokens, and a prompt of some tokens
		known bool
	}{
		{price, `{"max_tokens":100,"messages":[{"role":"user","content":"hi"}]}`, 205, true},
		{price, `{"max_tokens":100,"n":3,"messages":[{"role":"user","content":"hi"}]}`, 605, true},
		{jobs.Price{Free: true}, `{"messages":[]}`, 0, true},
		{jobs.Price{}, `{"messages":[]}`, 0, false},
	} {
		r := New(Config{Routes: []jobs.Route{{Name: "r", Chain: []*jobs.Target{{Name: "a", Price: c.price}}}}, Provider: newScript()})
		walk, outcome := r.Walk(&jobs.Request{ID: "x", Route: "r", Body: []byte(c.body)}, nil)
		if walk == nil {
			t.Fatalf("no place: %+v", outcome)
		}
		got, known := walk.Call().Estimate(true)
		walk.Release()
		if known != c.known || got < c.least || got > c.least+20 {
			t.Errorf("%s at %+v may cost %d (%v), want %d or little more", c.body, c.price, got, known, c.least)
		}
	}
}

// Until its prompt is counted, a call is said to cost no less than it is said to
// afterwards, whatever the prompt and whatever was learned from others.
func TestRoughEstimateIsNeverTooLow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		price := jobs.Price{Input: jobs.MicroUSD(rapid.IntRange(1, 50_000_000).Draw(rt, "input")), Output: 2_000_000}
		price.Over[0] = jobs.Tier{Tokens: rapid.IntRange(1, 200).Draw(rt, "from"), Input: jobs.MicroUSD(rapid.IntRange(1, 50_000_000).Draw(rt, "tier")), Output: 1}
		r := New(Config{Routes: []jobs.Route{{Name: "r", Chain: []*jobs.Target{{Name: "a", Price: price}}}}, Provider: newScript()})
		for range rapid.IntRange(0, 9).Draw(rt, "calls") {
			said := rapid.IntRange(32, 500).Draw(rt, "estimated")
			r.plan.Load().targets[0].tokens.learnInput(said, rapid.IntRange(said/4, 4*said).Draw(rt, "used"))
		}
		walk, outcome := r.Walk(&jobs.Request{ID: "x", Route: "r", Body: chatBody(t, rapid.String().Draw(rt, "prompt"))}, nil)
		if walk == nil {
			rt.Fatalf("no place: %+v", outcome)
		}
		defer walk.Release()
		call := walk.Call()
		rough, _ := call.Estimate(false)
		if by, _ := encodingOf(walk.Target()); walk.try.counted().known(by) {
			rt.Error("the prompt was counted for a rough estimate")
		}
		counted, _ := call.Estimate(true)
		if again, _ := call.Estimate(false); rough < counted || again != counted {
			rt.Errorf("it may cost %d, and %d when it is counted, and then %d", rough, counted, again)
		}
	})
}

// Where one call cannot come near a limit, nobody counts its prompt to know that.
func TestNobodyCountsFarFromALimit(t *testing.T) {
	t.Parallel()
	price := jobs.Price{Input: 1_000_000, Output: 1_000_000}
	for _, c := range []struct {
		name    string
		request jobs.Request
		counts  bool
	}{
		{"a budget far away", jobs.Request{Budgeted: true, CallLimit: 1_000_000}, false},
		{"a budget nearby", jobs.Request{Budgeted: true, CallLimit: 150}, true},
		{"a max_cost far away", jobs.Request{MaxCost: 1_000_000}, false},
		{"a max_cost nearby", jobs.Request{MaxCost: 150}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := New(Config{Routes: []jobs.Route{{Name: "r", Chain: []*jobs.Target{{Name: "a", Price: price}}}}, Provider: newScript()})
			c.request.ID, c.request.Route = "x", "r"
			c.request.Body = []byte(`{"max_tokens":50,"messages":[{"role":"user","content":"` + strings.Repeat("the tide ", 40) + `"}]}`)
			walk, outcome := r.Walk(&c.request, nil)
			if walk == nil {
				t.Fatalf("no place: %+v", outcome)
			}
			defer walk.Release()
			if by, _ := encodingOf(walk.Target()); (walk.try.prompt != nil && walk.try.prompt.known(by)) != c.counts {
				t.Errorf("its prompt was counted: %v", !c.counts)
			}
		})
	}
}
