package routing

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
)

// serving is a target that serves these endpoints.
func serving(name string, of ...jobs.Endpoint) *jobs.Target {
	return &jobs.Target{Name: name, Provider: "account-of-" + name, Endpoints: jobs.EndpointSetOf(of...)}
}

// bodiesOf ask for something at each endpoint.
var bodiesOf = map[jobs.Endpoint]string{
	jobs.EndpointChat: `{"messages":[{"role":"user","content":"hello"}]}`, jobs.EndpointEmbeddings: `{"input":"hello"}`,
	jobs.EndpointResponses: `{"input":"hello"}`, jobs.EndpointCompletions: `{"prompt":"hello"}`,
}

func askingAt(of jobs.Endpoint) *jobs.Request {
	return &jobs.Request{Endpoint: of, Body: []byte(bodiesOf[of])}
}

// Each request goes to a target that serves it, and no other.
func TestRequestsGoWhereTheyAreServed(t *testing.T) {
	t.Parallel()
	s := chainOf(t, serving("vectors", jobs.EndpointEmbeddings), &jobs.Target{Name: "chats"}, serving("all", jobs.Endpoints()...))
	for _, c := range []struct {
		of jobs.Endpoint
		to string
	}{{jobs.EndpointEmbeddings, "vectors"}, {jobs.EndpointChat, "chats"}, {jobs.EndpointResponses, "all"}, {jobs.EndpointCompletions, "all"}} {
		s.asks(askingAt(c.of)).tries().to(c.to)
	}
	s.skips("vectors", "does not serve /v1/completions").skips("chats", "does not serve /v1/completions")
	s.provider.at = nil
	s.down("vectors").asks(askingAt(jobs.EndpointEmbeddings)).tries().to("all")
	if last := s.provider.at[len(s.provider.at)-1]; last != jobs.EndpointEmbeddings {
		t.Errorf("it was called at %s", last)
	}
}

// What nobody serves ends at once, whatever else there is to say of it, and so does what
// a later version has accepted.
func TestNobodyServesIt(t *testing.T) {
	t.Parallel()
	s := chainOf(t, &jobs.Target{Name: "a"}, serving("b", jobs.EndpointResponses))
	for _, of := range []jobs.Endpoint{jobs.EndpointEmbeddings, jobs.EndpointCompletions, jobs.EndpointUnknown} {
		r := askingAt(of)
		r.MaxCost = 1
		s.asks(r).tries().refused(jobs.BadRequest).because("no target of the route \"summaries\" serves " + of.String() + "; it serves /v1/chat/completions, /v1/responses")
		if s.outcome.Err.Code != jobs.CodeNotServed {
			t.Errorf("its code is %s", s.outcome.Err.Code)
		}
	}
	s.calls("a", 0).calls("b", 0)
}

// A target that serves what is asked for and is shut is waited for, while others of the
// route go on to the others: also where they are only called as fast as they may be.
func TestRequestsOfOneEndpointDoNotHoldOthers(t *testing.T) {
	t.Parallel()
	s := chainOf(t, serving("vectors", jobs.EndpointEmbeddings), &jobs.Target{Name: "chats"})
	s.says("vectors", jobs.Error{Class: jobs.Quota, Status: 402, RetryAfter: time.Minute, Said: true})
	s.asks(askingAt(jobs.EndpointEmbeddings)).tries().waits(time.Minute)
	s.asks(askingAt(jobs.EndpointChat)).tries().to("chats").flows(math.MaxInt)

	slow := serving("vectors", jobs.EndpointEmbeddings)
	slow.Limits.RequestsPerMinute = 1
	s = chainOf(t, slow, &jobs.Target{Name: "chats"})
	for range 10 {
		if s.asks(askingAt(jobs.EndpointEmbeddings)).tries(); s.outcome.Verdict == jobs.Blocked {
			break
		}
	}
	if s.outcome.Verdict != jobs.Blocked || s.outcome.Held {
		t.Fatalf("got %s, want it to wait on its own", s.told())
	}
	s.asks(askingAt(jobs.EndpointChat)).tries().to("chats")
}

// A target that answers that it has no such endpoint is asked there again a minute later,
// and meanwhile for nothing else less.
func TestTargetLacksAnEndpoint(t *testing.T) {
	t.Parallel()
	none := jobs.Error{Class: jobs.BadRequest, Status: 404, Code: jobs.CodeNotServed, Elsewhere: true, Said: true}
	s := chainOf(t, serving("a", jobs.Endpoints()...), serving("b", jobs.Endpoints()...))
	s.says("a", none).asks(askingAt(jobs.EndpointResponses)).tries().to("b").circuit("a", jobs.CircuitClosed)
	s.asks(askingAt(jobs.EndpointResponses)).tries().to("b").calls("a", 1).skips("a", "has answered that it does not serve /v1/responses")
	s.asks(askingAt(jobs.EndpointChat)).tries().to("a").calls("a", 2)
	s.passes(absentFor).asks(askingAt(jobs.EndpointResponses)).tries().to("a")

	s.says("a", none).says("b", none).asks(askingAt(jobs.EndpointResponses)).tries().refused(jobs.BadRequest).calls("a", 4).calls("b", 3)
	if s.outcome.Err.Code != jobs.CodeNotServed {
		t.Errorf("its code is %s", s.outcome.Err.Code)
	}
	s.asks(askingAt(jobs.EndpointResponses)).tries().to("a") // where all do, one is asked
	s.says("a", none).asks(askingAt(jobs.EndpointResponses)).tries()
	moved := serving("a", jobs.Endpoints()...)
	moved.BaseURL = "http://elsewhere"
	s.serves(jobs.Route{Chain: []*jobs.Target{moved, serving("b", jobs.Endpoints()...)}})
	s.asks(askingAt(jobs.EndpointResponses)).tries().to("a") // of one that is configured anew it says nothing
}

// Another set of endpoints is another target to what was met before.
func TestReloadOfEndpoints(t *testing.T) {
	t.Parallel()
	s := chainOf(t, &jobs.Target{Name: "a"})
	s.asks(askingAt(jobs.EndpointEmbeddings)).tries().refused(jobs.BadRequest)
	s.serves(jobs.Route{Chain: []*jobs.Target{serving("a", jobs.EndpointEmbeddings)}})
	s.tries().to("a")
	s.asks(askingAt(jobs.EndpointChat)).tries().refused(jobs.BadRequest)
}

// What is asked for is found in each body, and nothing else of it is taken for a prompt.
func TestPromptOfEachEndpoint(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		of   jobs.Endpoint
		body string
		text string
		want prompt
	}{
		"one text":             {jobs.EndpointEmbeddings, `{"model":"m","input":"hello","user":"u","dimensions":8}`, "|hello", prompt{questions: 1}},
		"several":              {jobs.EndpointEmbeddings, `{"input":[ "a" , "b\"]", "c"]}`, `|a|b"]|c`, prompt{questions: 3}},
		"tokens":               {jobs.EndpointEmbeddings, `{"input":[1, 22,-3 ,4e5]}`, "", prompt{questions: 1, given: 4}},
		"lists of tokens":      {jobs.EndpointEmbeddings, `{"input":[[1,2],[3],[]]}`, "", prompt{questions: 3, given: 3}},
		"objects":              {jobs.EndpointEmbeddings, `{"input":[{"type":"text","text":"hello"},null,true]}`, "|text|hello", prompt{questions: 1}},
		"nothing":              {jobs.EndpointEmbeddings, `{"input":null,"messages":[{"content":"x"}]}`, "", prompt{}},
		"cut off":              {jobs.EndpointEmbeddings, `{"input":["hel`, "|hel", prompt{questions: 1}},
		"a list without end":   {jobs.EndpointEmbeddings, `{"input":[1,2`, "", prompt{questions: 1, given: 2}},
		"a prompt":             {jobs.EndpointCompletions, `{"prompt":"hello","suffix":"bye","max_tokens":7,"n":2}`, "|hello|bye", prompt{questions: 1, output: 7, choices: 2}},
		"prompts":              {jobs.EndpointCompletions, `{"prompt":["a","b"]}`, "|a|b", prompt{questions: 2}},
		"an input":             {jobs.EndpointResponses, `{"input":"hello","instructions":"be brief","max_output_tokens":9}`, "|hello|be brief", prompt{messages: 1, output: 9}},
		"items":                {jobs.EndpointResponses, `{"input":[{"role":"user","content":[{"type":"input_text","text":"hello"},{"type":"input_image","image_url":"data:x"}]},{"type":"function_call_output","call_id":"c","output":"42"}]}`, "|hello|42", prompt{messages: 2, media: 1}},
		"a form of the answer": {jobs.EndpointResponses, `{"input":"a","text":{"format":{"type":"text"}}}`, `|a|{"format":{"type":"text"}}`, prompt{messages: 1, schema: len(`{"format":{"type":"text"}}`)}},
		"a template":           {jobs.EndpointResponses, `{"prompt":{"id":"p","variables":{"a":"b"}}}`, "", prompt{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			bytes := 0
			got := readPrompt(c.of, []byte(c.body), func(raw []byte) {
				bytes += len(raw)
				text.WriteString("|" + unescaped(raw))
			})
			if c.want.text, c.want.of = bytes, c.of; got != c.want || text.String() != c.text {
				t.Errorf("%+v of %q, want %+v of %q", got, text.String(), c.want, c.text)
			}
		})
	}
}

// Vectors use their input and nothing else, whatever was learned of answers.
func TestVectorsCostTheirInput(t *testing.T) {
	t.Parallel()
	priced := serving("a", jobs.EndpointChat, jobs.EndpointEmbeddings)
	priced.Price = jobs.Price{Input: 1_000_000, CachedInput: 1_000_000, Output: 50_000_000}
	s := chainOf(t, priced)
	s.provider.usage = jobs.Usage{Input: 20, Output: 900}
	for range 5 {
		s.asks(askingAt(jobs.EndpointChat)).tries().to("a")
	}
	words := strings.TrimSuffix(strings.Repeat("hello ", 100), " ")
	request := &jobs.Request{Endpoint: jobs.EndpointEmbeddings, Body: fmt.Appendf(nil, `{"input":[%q,%q]}`, words, words)}
	request.MaxCost = 210
	s.provider.usage = jobs.Usage{Input: 200}
	s.asks(request).tries().to("a")
	if cost := s.outcome.Trace.Attempts()[0].Cost; cost != 200 {
		t.Errorf("it costs %s", cost)
	}
	request = &jobs.Request{Endpoint: jobs.EndpointEmbeddings, Body: request.Body, MaxCost: 150}
	s.asks(request).tries().refused(jobs.BadRequest).skips("a", "would cost about $0.0002")
	route := s.router.plan.Load().routes[theRoute]
	if _, output := route.lengthsOf(jobs.EndpointChat).expected(100); output != 900 {
		t.Errorf("chats are expected to have %g tokens", output)
	}
	if use := new(Estimator).Expected(request); use != (jobs.Usage{Input: 200}) {
		t.Errorf("expected are %+v", use)
	}
}

// A context window is of each of several texts, and the answers of all prompts count.
func TestSeveralTextsAndTheirWindow(t *testing.T) {
	t.Parallel()
	small, large := serving("small", jobs.EndpointEmbeddings), serving("large", jobs.EndpointEmbeddings)
	small.ContextTokens, large.ContextTokens = 1000, 1_000_000
	s := chainOf(t, small, large)
	words := strings.Repeat("hello ", 800)
	several := fmt.Appendf(nil, `{"input":[%q,%q,%q]}`, words, words, words)
	s.asks(&jobs.Request{Endpoint: jobs.EndpointEmbeddings, Body: several}).tries().to("small")
	s.asks(&jobs.Request{Endpoint: jobs.EndpointEmbeddings, Body: fmt.Appendf(nil, `{"input":%q}`, words+words+words)}).tries().to("large")
	prompts := &jobs.Request{Endpoint: jobs.EndpointCompletions, Body: []byte(`{"prompt":["hello","hello"],"n":3,"max_tokens":10}`)}
	if use := new(Estimator).Expected(prompts); use != (jobs.Usage{Input: 2, Output: 60}) {
		t.Errorf("expected are %+v", use)
	}
}

// The text of an answer is found wherever the endpoint has it, and judged there.
func TestTextOfEachEndpoint(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]utterance{
		`{"choices":[{"text":"hi","index":0},{"text":"no"}]}`:                            {text: []byte("hi")},
		`{"choices":[{"message":{"content":"hi"}}]}`:                                     {text: []byte("hi")},
		`{"output":[{"type":"message","content":[{"type":"output_text","text":"hi"}]}]}`: {text: []byte("hi")},
		`{"output":[{"type":"reasoning","summary":[{"text":"hm"}],"content":[{"type":"reasoning_text","text":"hm"}]},{"content":[{"type":"output_text","text":"a\nb"},{"text":"c"}],"type":"message"}]}`: {text: []byte(`a\nbc`)},
		`{"output":[{"type":"message","content":[{"type":"refusal","refusal":"no"}]}]}`:                                                                                                                  {text: []byte("no"), refusal: true},
		`{"output":[{"type":"function_call","name":"f","arguments":"{}"}]}`:                                                                                                                              {calls: true},
		`{"output":[1,"x",null,{"content":[1]}]}`:                                                                                                                                                        {},
		`{"output":[{"content":[{"text":"cut`:                                                                                                                                                            {text: []byte("cut")},
		`{"data":[{"embedding":[1]}]}`:                                                                                                                                                                   {},
	} {
		got := listen([]byte(strings.ReplaceAll(body, "\n", `\n`)))
		if string(got.text) != string(want.text) || got.calls != want.calls || got.refusal != want.refusal {
			t.Errorf("%s: %q %+v", body, got.text, got)
		}
	}
	s := chainOf(t, serving("a", jobs.EndpointResponses), serving("b", jobs.EndpointResponses))
	s.provider.body = map[string]string{"a": `{"output":[{"type":"message","content":[{"type":"output_text","text":"as you like"}]}]}`, "b": `{"output":[{"type":"message","content":[{"type":"output_text","text":"42"}]}]}`}
	request := askingAt(jobs.EndpointResponses)
	request.Expect = &aNumber
	s.asks(request).tries().to("b").calls("a", 1)
}

// Vectors are judged by nothing: not by what their route expects, nor by a baseline, which
// would take them for the same garbled text again and again.
func TestVectorsAreNotJudged(t *testing.T) {
	t.Parallel()
	s := chainOf(t, serving("a", jobs.EndpointChat, jobs.EndpointEmbeddings), serving("b", jobs.EndpointChat, jobs.EndpointEmbeddings))
	s.serves(jobs.Route{Chain: []*jobs.Target{s.targets["a"].Target, s.targets["b"].Target}, Expect: &aNumber})
	s.provider.text = map[string]string{"a": "42", "b": "42"}
	for range 200 {
		s.asks(askingAt(jobs.EndpointChat)).tries().to("a")
	}
	s.provider.body = map[string]string{"a": `{"object":"list","data":[{"embedding":[0.1]}]}`}
	for range 200 {
		s.asks(askingAt(jobs.EndpointEmbeddings)).tries().to("a")
	}
	s.provider.body = nil
	s.asks(askingAt(jobs.EndpointChat)).tries().to("a")
	if at := s.targets["a"].circuit.Snapshot(); at.Degraded != "" {
		t.Errorf("it is degraded: %s", at.Degraded)
	}
	if n := len(s.targets["a"].baselines.of); n != 1 {
		t.Errorf("%d baselines", n)
	}
}

// Answers of different endpoints have habits of their own.
func TestHabitsAreByEndpoint(t *testing.T) {
	t.Parallel()
	s := chainOf(t, serving("a", jobs.EndpointChat, jobs.EndpointResponses))
	s.asks(askingAt(jobs.EndpointChat)).tries().to("a")
	s.asks(askingAt(jobs.EndpointResponses)).tries().to("a")
	for _, name := range []string{theRoute, theRoute + "/v1/responses"} {
		if s.targets["a"].baselines.of[name] == nil {
			t.Errorf("there is no habit of %s", name)
		}
	}
}

// A probe asks what its target serves; a canary is a chat, and asks nobody else.
func TestProbesAndCanariesOfEndpoints(t *testing.T) {
	t.Parallel()
	for _, of := range jobs.Endpoints() {
		s := chainOf(t, serving("a", of))
		s.says("a", jobs.Error{Class: jobs.Quota, Status: 402, RetryAfter: time.Minute, Said: true}).asks(askingAt(of)).tries()
		s.provider.at = nil
		if made := s.passes(2*time.Minute).router.Probe(context.Background(), "a"); made == nil || made.Class != jobs.OK || len(s.provider.at) != 1 || s.provider.at[0] != of {
			t.Errorf("%s is probed by %+v at %v", of, made, s.provider.at)
		}
		if err := of.CheckBody(of.Least(`a "ping"`)); err != nil {
			t.Errorf("the least of %s: %v", of, err)
		}
		canary := &jobs.Canary{Name: "c", Body: []byte(bodiesOf[jobs.EndpointChat]), Expect: &jobs.Expect{MaxCharacters: 100}}
		if made := chainOf(t, serving("a", of)).router.Canary(context.Background(), canary, "a", func(context.Context, jobs.Begun) error { return nil }); (len(made) > 0) != (of == jobs.EndpointChat) {
			t.Errorf("a canary of %s: %+v", of, made)
		}
	}
}

// Bad answers are better than none: a target is not shut for them where no other serves
// all that it does.
func TestSparedForWhatOthersServe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		other *jobs.Target
		want  bool
	}{
		"another of all":       {serving("b", jobs.EndpointChat, jobs.EndpointResponses), true},
		"another of one":       {serving("b", jobs.EndpointChat), false},
		"one of nothing of it": {serving("b", jobs.EndpointEmbeddings), false},
	} {
		s := chainOf(t, serving("a", jobs.EndpointChat, jobs.EndpointResponses), c.other)
		if got := s.router.spared(s.targets["a"]); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
