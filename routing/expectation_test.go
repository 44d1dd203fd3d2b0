package routing

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

// expecting is a story whose request expects a number, at targets that give words
// but for those that are named.
func expecting(t testing.TB, expect jobs.Expect, right string, names ...string) *story {
	s := chain(t, names...)
	s.provider.text = map[string]string{}
	for _, name := range names {
		s.provider.text[name] = "as you like"
	}
	s.provider.text[right] = "42"
	return s.asks(&jobs.Request{ID: "one", Expect: &expect})
}

var aNumber = jobs.Expect{Regex: `^\d+$`}

func TestBadAnswerGoesToTheNextTarget(t *testing.T) {
	t.Parallel()
	s := expecting(t, aNumber, "b", "a", "b").tries().to("b").calls("a", 1).calls("b", 1).circuit("a", jobs.CircuitClosed)
	if n := s.history.BadAnswers(); n != 1 {
		t.Errorf("the trace has %d bad answers: %s", n, s.told())
	}
	if bad := s.history[0].Attempt; bad.Class != jobs.Invalid || bad.Code != "regex" || bad.Status != 200 || strings.Contains(bad.Message, "like") {
		t.Errorf("the bad answer is written down as %+v", bad)
	}
}

// Both hold: the request's expectations, and its route's.
func TestRouteExpectsToo(t *testing.T) {
	t.Parallel()
	s := expecting(t, aNumber, "b", "a", "b")
	s.serves(jobs.Route{Chain: []*jobs.Target{s.targets["a"].Target, s.targets["b"].Target}, Expect: &jobs.Expect{MaxCharacters: 1}})
	s.tries().passes(time.Minute).tries().refused(jobs.Invalid)
	s.provider.text["a"] = "42"
	s.asks(&jobs.Request{Expect: &jobs.Expect{Regex: `^\d+$`, Tries: 1}}).tries().refused(jobs.Invalid).because("max_characters")
	s.provider.text["a"] = "7"
	s.asks(&jobs.Request{Expect: &aNumber}).tries().to("a")
}

func TestImpossibleExpectationEndsAndHarmsNobody(t *testing.T) {
	t.Parallel()
	s := expecting(t, jobs.Expect{Regex: "^never$"}, "", "a", "b", "c", "d")
	s.tries().refused(jobs.Invalid).because("no answer was as expected, of 3; the last one, of c: regex").calls("d", 0)
	for range 200 { // and a hundred more of them
		s.asks(&jobs.Request{Expect: &jobs.Expect{Regex: "^never$", Tries: 3}}).tries().refused(jobs.Invalid)
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		s.circuit(name, jobs.CircuitClosed).cools(name, 0)
	}
	s.routes(1).to("a")
}

// Where there is one target, it is asked again, after a moment each time.
func TestLoneTargetIsAskedAgain(t *testing.T) {
	t.Parallel()
	s := expecting(t, jobs.Expect{Regex: `^\d+$`, Tries: 1}, "", "a")
	s.tries().waits(time.Second).calls("a", 1)
	s.passes(time.Second).tries().refused(jobs.Invalid).calls("a", 2).because("of 2")
	s = expecting(t, aNumber, "", "a").tries().waits(time.Second)
	s.provider.text["a"] = "42"
	s.passes(time.Second).tries().to("a").calls("a", 2)
}

// A stronger model is asked after a bad answer, before the rest of the chain, and
// never otherwise.
func TestEscalation(t *testing.T) {
	t.Parallel()
	s := expecting(t, aNumber, "strong", "a", "b", "strong")
	route := jobs.Route{Chain: []*jobs.Target{s.targets["a"].Target, s.targets["b"].Target}, EscalateTo: []*jobs.Target{s.targets["strong"].Target}}
	s.serves(route).routes(3).to("a").calls("strong", 0)
	s.tries().to("strong").calls("a", 4).calls("b", 0).calls("strong", 1)

	s.down("strong").fails("a", jobs.Overload, 1).routes(1).to("b").calls("strong", 1)
	s.asks(&jobs.Request{Expect: &aNumber}).tries() // a, strong, which is down, and b
	s.calls("strong", 2).calls("b", 2)
	s.up("strong").passes(time.Minute).tries().to("strong").calls("a", 6).calls("b", 2)
}

// With `otherwise: keep` the last answer is the result, also when there is nobody
// left to be asked at once.
func TestLastAnswerIsKept(t *testing.T) {
	t.Parallel()
	keep := jobs.Expect{Regex: `^\d+$`, Tries: 1, Otherwise: jobs.OtherwiseKeep}
	s := expecting(t, keep, "", "a", "b", "c").tries().to("b").calls("c", 0)
	if unmet := s.outcome.Answer.Unmet; unmet != "regex: it does not match" {
		t.Errorf("the answer is kept as %q", unmet)
	}
	expecting(t, keep, "", "a").tries().to("a").calls("a", 1)
	s = expecting(t, keep, "", "a", "b").down("b").tries().to("a")
	if n := s.history.BadAnswers(); n != 1 || s.outcome.Answer.Unmet == "" {
		t.Errorf("%d bad answers, unmet %q", n, s.outcome.Answer.Unmet)
	}
	expecting(t, keep, "b", "a", "b").tries().to("b")
}

func TestBadAnswersKeepMaxCost(t *testing.T) {
	t.Parallel()
	s := expecting(t, aNumber, "b", "a", "b")
	for _, name := range []string{"a", "b"} {
		s.targets[name].Price = jobs.Price{Input: 1_000_000, Output: 1_000_000}
	}
	s.provider.usage = jobs.Usage{Input: 100, Output: 100}
	s.request.MaxCost = 300
	s.request.Body = json.RawMessage(`{"messages":[{"role":"user","content":"a number"}],"max_tokens":150}`)
	s.tries().refused(jobs.Invalid).calls("b", 0).because("no answer was as expected")
	if cost := s.outcome.Trace.Cost(); cost != 200 {
		t.Errorf("what was paid is %d", cost)
	}
}

// An expectation that cannot be compiled was accepted by one who did not look.
func TestBrokenExpectationIsRefused(t *testing.T) {
	t.Parallel()
	chain(t, "a").asks(&jobs.Request{Expect: &jobs.Expect{Regex: "("}}).tries().refused(jobs.BadRequest).because("expect.regex").calls("a", 0)
}

// The probe of a circuit that opened for other reasons is answered by any answer.
func TestBadAnswerClosesACircuit(t *testing.T) {
	t.Parallel()
	s := expecting(t, aNumber, "b", "a", "b")
	opened(t, s.targets["a"].circuit)
	s.passes(time.Second).tries().to("b").calls("a", 1).circuit("a", jobs.CircuitClosed)
}

// Whatever targets answer and however they fail: a request has at most one bad
// answer more than its tries, it ends answered only as expected, and what it paid
// is in its trace.
func TestExpectationsHold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c", "strong"}[:rapid.IntRange(1, 4).Draw(t, "targets")]
		tries := rapid.IntRange(0, 4).Draw(t, "tries")
		most := tries
		if tries == 0 {
			most = jobs.DefaultExpectTries
		}
		s := expecting(&quiet{}, jobs.Expect{Regex: `^\d+$`, Tries: tries}, "", names...)
		if len(names) == 4 {
			s.serves(jobs.Route{
				Chain:      []*jobs.Target{s.targets["a"].Target, s.targets["b"].Target, s.targets["c"].Target},
				EscalateTo: []*jobs.Target{s.targets["strong"].Target},
			})
		}
		for range 40 {
			for _, name := range names {
				s.provider.text[name] = rapid.SampledFrom([]string{"42", "as you like", "as you like"}).Draw(t, "text")
				if rapid.IntRange(0, 4).Draw(t, "fails") == 0 {
					s.fails(name, jobs.Transient, 1)
				}
			}
			s.tries()
			if n := s.history.BadAnswers(); n > most+1 {
				t.Fatalf("%d bad answers with %d tries: %s", n, most, s.told())
			}
			switch o := s.outcome; {
			case o.Verdict == jobs.Answered && !strings.Contains(string(o.Answer.Body), "42"):
				t.Fatalf("answered as it must not be: %s", s.told())
			case o.Verdict == jobs.Refused && (o.Err.Class == jobs.Invalid) != (s.history.BadAnswers() == most+1):
				t.Fatalf("refused after %d bad answers with %d tries: %s", s.history.BadAnswers(), most, s.told())
			case o.Verdict != jobs.Blocked:
				return
			}
			s.passes(31 * time.Second)
		}
	})
}

// quiet is a testing.TB for stories that assert nothing.
type quiet struct{ testing.TB }

func (*quiet) Helper() {}

func TestListen(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]utterance{
		`{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"say \"hi\""},"finish_reason":"stop"},{"message":{"content":"no"}}],"usage":{}}`: {text: []byte(`say \"hi\"`)},
		`{"choices":[{"message":{"content":null,"refusal":"no"}}]}`:                                                                                     {text: []byte("no"), refusal: true},
		`{"choices":[{"message":{"content":null,"refusal":null,"tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"content\":\"x\"}"}}]}}]}`: {calls: true},
		`{"choices":[{"message":{"tool_calls":[],"content":""}}]}`:                                                                                      {text: []byte{}},
		`{"choices":[]}`: {}, `{}`: {}, ``: {}, `[]`: {}, `{"choices":[{"message":{"content":"never ends`: {text: []byte("never ends")},
	} {
		got := listen([]byte(body))
		if string(got.text) != string(want.text) || got.refusal != want.refusal || got.calls != want.calls {
			t.Errorf("%s: %q %v %v", body, got.text, got.refusal, got.calls)
		}
	}
	said := utterance{text: []byte(`a\n\u00e4`)}
	if said.plain() != "a\nä" {
		t.Errorf("plain says %q", said.plain())
	}
}

func FuzzListen(f *testing.F) {
	f.Add([]byte(`{"choices":[{"message":{"content":"x","tool_calls":[{}]}}]}`))
	f.Add([]byte(`{"choices":[{"message":{"content":"x`))
	f.Fuzz(func(_ *testing.T, body []byte) {
		said := listen(body)
		_ = said.plain()
	})
}

// A bad answer is a matter for the stronger model: nobody waits for a cheaper target
// that would be asked after it.
func TestEscalationWaitsForNobody(t *testing.T) {
	t.Parallel()
	for _, whenOpen := range []jobs.WhenOpen{jobs.WhenOpenWait, jobs.WhenOpenPrice} {
		for _, goal := range []string{Ordered, Cost} {
			s := waiting(t, whenOpen, map[string]jobs.MicroUSD{"a": 1_000_000, "b": 2_000_000, "strong": 10_000_000}, "a", "b", "strong")
			s.serves(jobs.Route{
				Chain: []*jobs.Target{s.targets["a"].Target, s.targets["b"].Target}, EscalateTo: []*jobs.Target{s.targets["strong"].Target},
				WhenOpen: whenOpen, Goal: goal,
			})
			s.provider.text = map[string]string{"a": "as you like", "b": "as you like", "strong": "42"}
			s.trips("b").stays("b").within(24 * time.Hour)
			s.request.Expect = &aNumber
			s.tries()
			if s.outcome.Verdict != jobs.Answered {
				t.Errorf("%s, %s: %s", whenOpen, goal, s.told())
			}
		}
	}
}

// What a stronger model has refused it is not asked again by the next try.
func TestStrongerModelIsNotAskedForWhatItRefused(t *testing.T) {
	t.Parallel()
	s := expecting(t, jobs.Expect{Regex: `^\d+$`, Tries: 9}, "", "a", "strong")
	s.serves(jobs.Route{Chain: []*jobs.Target{s.targets["a"].Target}, EscalateTo: []*jobs.Target{s.targets["strong"].Target}, OtherPolicies: true})
	s.says("strong", jobs.Error{Class: jobs.Content, Status: 400})
	for range 3 {
		s.tries().passes(time.Minute)
	}
	s.calls("strong", 1)
}

// Where a person has shut the others for good, a target that answered badly is asked
// again: nobody else will come.
func TestBadAnswerWaitsForNobodyWhoIsShutForGood(t *testing.T) {
	t.Parallel()
	s := expecting(t, aNumber, "", "a", "b").trips("b").cooling("b", 100*jobs.LongestCooldown).tries()
	s.passes(time.Minute).tries().passes(time.Minute).tries().refused(jobs.Invalid).calls("a", 3)
}
