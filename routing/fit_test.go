package routing

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
)

// windows is a chain of targets with these context windows.
func windows(t *testing.T, tokens ...int) *story {
	targets := make([]*jobs.Target, len(tokens))
	for i, n := range tokens {
		targets[i] = &jobs.Target{Name: string(rune('a' + i)), Provider: string(rune('a' + i)), ContextTokens: n}
	}
	return chainOf(t, targets...)
}

// A target whose dialect cannot say what is asked is passed over without a call;
// where none can, the request is refused with the field's name.
func TestMuteTargetsArePassedOver(t *testing.T) {
	t.Parallel()
	s := windows(t, 0, 0)
	s.provider.mute = map[string]string{"a": "seed: has nothing like it"}
	s.tries().to("b").skips("a", "seed: has nothing like it").calls("a", 0).circuit("a", closed)
	s.provider.mute["b"] = "seed: neither"
	s.tries().refused(jobs.BadRequest).calls("b", 1)
	if err := s.outcome.Err; err.Code != "unsupported_field" || !strings.Contains(err.Message, "seed: has nothing like it") {
		t.Errorf("it says %v", err)
	}
}

// Translating a long body takes a dialect milliseconds: it is asked once of each who
// waits, and again when it is configured to be another one.
func TestMutenessIsAskedOnce(t *testing.T) {
	t.Parallel()
	s := windows(t, 0, 0).asks(&jobs.Request{ID: "long", Body: chatBody(t, words(10_000))})
	s.provider.mute = map[string]string{"a": "seed: has nothing like it"}
	s.down("b").tries()
	for range 10 {
		s.passes(time.Minute).tries().skips("a", "seed: has nothing like it")
	}
	if s.provider.checks != 2 {
		t.Errorf("two dialects were asked %d times", s.provider.checks)
	}
	delete(s.provider.mute, "a")
	s.reloads(but(s.targets["a"].Target, func(t *jobs.Target) { t.Dialect = "gemini" }), s.targets["b"].Target)
	s.tries().to("a")
}

func TestContextMovesToLargerWindowsOnly(t *testing.T) {
	t.Parallel()
	t.Run("smaller and equal ones are skipped", func(t *testing.T) {
		t.Parallel()
		s := windows(t, 8000, 8000, 4000, 128000).fails("a", jobs.Context, 1).tries().to("d")
		s.skips("b", "did not fit 8000 tokens").skips("c", "room for 4000").calls("b", 0).calls("c", 0).circuit("a", closed)
	})
	t.Run("a window that nobody knows is no reason", func(t *testing.T) {
		t.Parallel()
		windows(t, 8000, 0).fails("a", jobs.Context, 1).tries().to("b")
		windows(t, 0, 8000).fails("a", jobs.Context, 1).tries().to("b")
		windows(t, 0, 0).fails("a", jobs.Context, 1).tries().to("b")
	})
	t.Run("refused where it fits nowhere", func(t *testing.T) {
		t.Parallel()
		windows(t, 8000, 128000).fails("a", jobs.Context, 1).fails("b", jobs.Context, 1).tries().refused(jobs.Context)
		windows(t, 8000, 4000).fails("a", jobs.Context, 1).tries().refused(jobs.Context).calls("b", 0)
		windows(t, 0).fails("a", jobs.Context, 1).tries().refused(jobs.Context).calls("a", 1)
	})
	t.Run("though others failed for other reasons", func(t *testing.T) {
		t.Parallel()
		windows(t, 128000, 128000).fails("a", jobs.Overload, 1).fails("b", jobs.Context, 1).tries().refused(jobs.Context)
	})
	t.Run("remembered from try to try", func(t *testing.T) {
		t.Parallel()
		s := windows(t, 8000, 128000).fails("a", jobs.Context, 1).down("b").tries().waits(time.Second)
		s.passes(time.Second).tries().waits(2*time.Second).skips("a", "did not fit").calls("a", 1).calls("b", 2)
		s.up("b").tries().to("b").calls("a", 1)
	})
	t.Run("remembered when a retry fits nowhere", func(t *testing.T) {
		t.Parallel()
		s := windows(t, 8000)
		s.history = jobs.Trace{{Attempt: &jobs.Attempt{Target: "a", Class: jobs.Context, Status: 413, Code: "too_long", Message: "no"}}}
		s.tries().refused(jobs.Context).calls("a", 0)
		if s.outcome.Err.Status != 413 || s.outcome.Err.Code != "too_long" || s.outcome.Err.Message != "no" {
			t.Errorf("the reason is %+v", s.outcome.Err)
		}
	})
}

// What one model cannot do another may: it is asked, and the first one never again.
func TestOtherModelsAreAskedForWhatOneCannotDo(t *testing.T) {
	t.Parallel()
	cannot := jobs.Error{Class: jobs.BadRequest, Status: 400, Code: "unsupported_value", Message: "no", Said: true, Elsewhere: true}
	s := chain(t, "a", "b").says("a", cannot).down("b").tries().waits(time.Second).circuit("a", closed)
	s.up("b").passes(time.Second).tries().to("b").skips("a", "cannot do what is asked: unsupported_value").calls("a", 1)
	s.asks(&jobs.Request{}).says("a", cannot).says("b", cannot).tries().refused(jobs.BadRequest).because("unsupported_value").calls("a", 2).calls("b", 3)
	s.asks(&jobs.Request{}).fails("a", jobs.BadRequest, 1).tries().refused(jobs.BadRequest).calls("b", 3)
}

func TestContentIsTriedElsewhereWhereTheRouteSaysSo(t *testing.T) {
	t.Parallel()
	policies := func(t *testing.T, names ...string) *story {
		targets := make([]*jobs.Target, len(names))
		for i, name := range names {
			targets[i] = &jobs.Target{Name: string(rune('a' + i)), Provider: "account", Policy: name}
		}
		s := chainOf(t, targets...)
		s.router.plan.Load().routes[theRoute].OtherPolicies = true
		return s
	}
	t.Run("refused at once where it does not", func(t *testing.T) {
		t.Parallel()
		chain(t, "a", "b").fails("a", jobs.Content, 1).tries().refused(jobs.Content).calls("b", 0).circuit("a", closed)
	})
	t.Run("an answer that a filter ended is one where it does not", func(t *testing.T) {
		t.Parallel()
		s := chain(t, "a", "b")
		s.provider.finish = map[string]string{"a": "content_filter"}
		s.tries().to("a").calls("b", 0)
	})
	t.Run("and a refusal where it does", func(t *testing.T) {
		t.Parallel()
		s := policies(t, "strict", "lenient")
		s.provider.finish, s.provider.usage = map[string]string{"a": "content_filter"}, jobs.Usage{Input: 7, Output: 3}
		s.tries().to("b").calls("a", 1).circuit("a", closed)
		if made := s.outcome.Trace.Attempts(); made[0].Class != jobs.Content || made[0].Code != "content_filter" || made[0].Usage != s.provider.usage {
			t.Errorf("the first attempt is %+v", made[0])
		}
		s.provider.finish["b"] = "content_filter"
		s.asks(&jobs.Request{}).tries().refused(jobs.Content).calls("a", 2).calls("b", 2)
	})
	t.Run("by another policy, not the same one", func(t *testing.T) {
		t.Parallel()
		s := policies(t, "strict", "strict", "lenient").fails("a", jobs.Content, 1).tries().to("c")
		s.skips("b", "the content policy of strict refused it before").calls("b", 0).circuit("a", closed)
	})
	t.Run("a provider is a policy where none is named", func(t *testing.T) {
		t.Parallel()
		policies(t, "", "").fails("a", jobs.Content, 1).tries().refused(jobs.Content).calls("b", 0)
	})
	t.Run("refused where every policy refuses", func(t *testing.T) {
		t.Parallel()
		policies(t, "one", "two").fails("a", jobs.Content, 1).fails("b", jobs.Content, 1).tries().refused(jobs.Content).calls("b", 1)
	})
	t.Run("remembered from try to try", func(t *testing.T) {
		t.Parallel()
		s := policies(t, "strict", "lenient").fails("a", jobs.Content, 1).down("b").tries().waits(time.Second)
		s.passes(time.Second).tries().skips("a", "refused it before").calls("a", 1).up("b").passes(time.Minute).tries().to("b").calls("a", 1)
	})
	t.Run("a wrong request stays wrong", func(t *testing.T) {
		t.Parallel()
		policies(t, "strict", "lenient").fails("a", jobs.BadRequest, 1).tries().refused(jobs.BadRequest).calls("b", 0)
	})
}

// priced is a chain of targets with these prices, in dollars per million tokens
// of output.
func priced(t *testing.T, dollars ...float64) *story {
	targets := make([]*jobs.Target, len(dollars))
	for i, d := range dollars {
		targets[i] = &jobs.Target{Name: string(rune('a' + i)), Provider: string(rune('a' + i)), Price: jobs.Price{Output: jobs.USD(d)}}
	}
	return chainOf(t, targets...).asks(&jobs.Request{Body: json.RawMessage(`{"max_tokens":1000}`)})
}

func TestMaxCost(t *testing.T) {
	t.Parallel()
	t.Run("passes over who is too dear", func(t *testing.T) {
		t.Parallel()
		s := priced(t, 100, 1) // 1000 tokens: 10 cents, and a tenth of one
		s.request.MaxCost = jobs.USD(0.01)
		s.tries().to("b").skips("a", "would cost about $0.10 in all, over the request's max_cost of $0.01").calls("a", 0)
	})
	t.Run("does not matter without a limit", func(t *testing.T) {
		t.Parallel()
		priced(t, 100, 1).tries().to("a")
	})
	t.Run("allows just that much", func(t *testing.T) {
		t.Parallel()
		s := priced(t, 100)
		s.request.MaxCost = jobs.USD(0.10)
		s.tries().to("a")
		s.request.MaxCost--
		s.tries().refused(jobs.BadRequest).because("max_cost_exceeded").because("within max_cost $0.099999: the cheapest would cost about $0.10 in all")
	})
	t.Run("counts what was spent on earlier calls", func(t *testing.T) {
		t.Parallel()
		s := priced(t, 1)
		s.request.MaxCost = 2500 // two and a half calls
		billed := jobs.Error{Class: jobs.Timeout, Usage: jobs.Usage{Output: 1000}}
		s.says("a", billed).tries().waits(time.Second)
		s.says("a", billed).tries().refused(jobs.BadRequest).because("max_cost_exceeded").calls("a", 2)
		s.tries().refused(jobs.BadRequest).because("max_cost_exceeded").calls("a", 2)
	})
	t.Run("trusts nobody without a price", func(t *testing.T) {
		t.Parallel()
		s := priced(t, 0, 1)
		s.request.MaxCost = jobs.USD(0.01)
		s.tries().to("b").skips("a", "has no price")
	})
	t.Run("goes with a context refusal", func(t *testing.T) {
		t.Parallel()
		s := priced(t, 1, 100)
		s.request.MaxCost = jobs.USD(0.01)
		s.fails("a", jobs.Context, 1).tries().refused(jobs.Context)
		s.tries().refused(jobs.BadRequest).because("max_cost_exceeded")
	})
}
