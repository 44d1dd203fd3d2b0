package routing

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

// words is a text of so many tokens in o200k, and in cl100k too.
func words(n int) string { return strings.Repeat(" tide", n) }

// long asks with a prompt of so many tokens in all, as they are counted.
func (s *story) long(tokens int) *story {
	s.t.Helper()
	return s.asks(&jobs.Request{Body: chatBody(s.t, words(tokens-perMessage-perPrompt))})
}

// speaks makes all targets run a model of that name.
func (s *story) speaks(model string) *story {
	for _, target := range s.targets {
		target.Model = model
	}
	return s
}

// calibrated lets a target have seen calls that were estimated and used so.
func (s *story) calibrated(target string, calls, estimated, used int) *story {
	for range calls {
		s.targets[target].tokens.learnInput(estimated, used)
	}
	return s
}

func TestWordsAreTokens(t *testing.T) {
	t.Parallel()
	for by := range encodings {
		for _, n := range []int{1, 100, 2000} {
			s := windows(t, 0).long(n + perMessage + perPrompt)
			if got := newCounted(s.request).input(s.request, by); got != n+perMessage+perPrompt {
				t.Errorf("%d words are %d tokens", n, got)
			}
		}
	}
}

func TestLongPromptsPassSmallWindowsBy(t *testing.T) {
	t.Parallel()
	t.Run("to a larger one", func(t *testing.T) {
		t.Parallel()
		s := windows(t, 8000, 128000).long(40_000).tries().to("b").calls("a", 0)
		s.skips("a", "the prompt has about 40,000 tokens (an estimate), and here is room for 8,000")
	})
	t.Run("to one that nobody knows", func(t *testing.T) {
		t.Parallel()
		windows(t, 8000, 0).long(40_000).tries().to("b").calls("a", 0)
	})
	t.Run("not where they fit", func(t *testing.T) {
		t.Parallel()
		windows(t, 8000, 128000).long(7000).tries().to("a")
	})
	t.Run("not in a near miss, of which the provider decides", func(t *testing.T) {
		t.Parallel()
		windows(t, 8000, 128000).long(9000).fails("a", jobs.Context, 1).tries().to("b").calls("a", 1)
		windows(t, 8000, 128000).speaks("gpt-4o").long(8500).tries().to("a")
		windows(t, 8000, 128000).speaks("gpt-4o").long(9500).tries().to("b")
		windows(t, 8000, 128000).calibrated("a", 20, 5000, 5000).long(9000).tries().to("b")
	})
	t.Run("by what usage tells", func(t *testing.T) {
		t.Parallel()
		windows(t, 8000, 128000).calibrated("a", 20, 12_000, 7500).long(12_000).tries().to("a")
		windows(t, 8000, 128000).calibrated("a", 20, 7000, 9800).long(7000).tries().to("b").skips("a", "about 9,800 tokens")
	})
	t.Run("waits for the one that has room", func(t *testing.T) {
		t.Parallel()
		s := windows(t, 8000, 128000).long(40_000)
		opened(t, s.targets["b"].circuit)
		s.tries().calls("a", 0)
		if s.outcome.Verdict != jobs.Blocked || s.outcome.Held {
			t.Errorf("a is free for others, and yet %s", s.told())
		}
		opened(t, s.targets["a"].circuit)
		s.tries().held()
	})
}

func TestAnswersTakeRoom(t *testing.T) {
	t.Parallel()
	ask := func(s *story, prompt, answer int) *story {
		s.long(prompt)
		s.request.Body = append(s.request.Body[:len(s.request.Body)-1:len(s.request.Body)-1], fmt.Sprintf(`,"max_tokens":%d}`, answer)...)
		return s
	}
	t.Run("beside the prompt", func(t *testing.T) {
		t.Parallel()
		s := ask(windows(t, 8000, 128000), 4000, 6000).tries().to("b")
		s.skips("a", "the prompt has about 4,000 tokens (an estimate), its answer may have 6,000, and here is room for 8,000")
	})
	t.Run("but not at Gemini", func(t *testing.T) {
		t.Parallel()
		s := windows(t, 8000, 128000)
		s.targets["a"].Dialect = "gemini"
		ask(s, 4000, 6000).tries().to("a")
	})
	t.Run("and are no reason to refuse", func(t *testing.T) { // some providers cut them down
		t.Parallel()
		ask(windows(t, 8000, 16000), 100, 200_000).tries().to("b").calls("a", 0)
	})
}

func TestWhatFitsNowhere(t *testing.T) {
	t.Parallel()
	t.Run("is refused without a call", func(t *testing.T) {
		t.Parallel()
		s := windows(t, 8000, 32000).long(100_000).tries().refused(jobs.Context).calls("a", 0).calls("b", 0)
		s.because("about 100,000 tokens (an estimate), and the largest context window that it could go to has room for 32,000 (b)")
		if err := s.outcome.Err; err.Code != "context_length_exceeded" || err.Status != 400 {
			t.Errorf("it is %+v", err)
		}
	})
	t.Run("unless there is some doubt", func(t *testing.T) {
		t.Parallel()
		windows(t, 8000, 32000, 16000).long(45_000).tries().to("b").calls("a", 0).calls("c", 0)
		windows(t, 8000, 32000).speaks("gpt-4o").long(45_000).tries().refused(jobs.Context).calls("b", 0)
		windows(t, 8000, 32000).calibrated("b", 20, 20_000, 20_000).long(50_000).tries().refused(jobs.Context).calls("b", 0)
	})
	t.Run("by what a few calls used, or what they cannot have used", func(t *testing.T) {
		t.Parallel()
		windows(t, 8000).speaks("gpt-4o").calibrated("a", 3, 5000, 9000).long(6000).tries().to("a")
		windows(t, 8000).calibrated("a", 20, 3500, 17_500).long(3500).tries().to("a")
		windows(t, 8000).calibrated("a", 20, 5500, 9900).long(8000).tries().refused(jobs.Context)
	})
	t.Run("with the provider's word, where there was a doubt", func(t *testing.T) {
		t.Parallel()
		s := windows(t, 8000, 32000).long(45_000).says("b", jobs.Error{Class: jobs.Context, Status: 413, Message: "too much"})
		s.tries().refused(jobs.Context).because("too much").calls("a", 0).calls("b", 1)
		s.tries().refused(jobs.Context).because("too much").calls("b", 1)
	})
	t.Run("waits for the one with the largest window", func(t *testing.T) {
		t.Parallel()
		s := windows(t, 8000, 32000).long(45_000).down("b").tries().waits(time.Second).calls("a", 0).calls("b", 1)
		s.up("b").passes(time.Second).tries().to("b").calls("a", 0)
	})
	t.Run("though one of unknown size said no", func(t *testing.T) {
		t.Parallel()
		s := windows(t, 0, 8000).long(100_000).says("a", jobs.Error{Class: jobs.Context, Status: 413, Message: "too much"})
		s.tries().refused(jobs.Context).because("too much").calls("a", 1).calls("b", 0)
	})
	t.Run("does not count definitions as exact", func(t *testing.T) {
		t.Parallel()
		s := windows(t, 8000).speaks("gpt-4o")
		s.request.Body = json.RawMessage(`{"messages":[{"content":"x"}],"tools":[{"function":{"description":"` + words(11_000) + `"}}]}`)
		s.tries().to("a")
	})
	t.Run("does not count pictures", func(t *testing.T) {
		t.Parallel()
		s := windows(t, 1000).speaks("gpt-4o")
		s.request.Body = json.RawMessage(`{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + strings.Repeat("QUJD", 10_000) + `"}}]}]}`)
		s.tries().to("a")
	})
	t.Run("where another is too dear", func(t *testing.T) {
		t.Parallel()
		s := windows(t, 8000, 128000).long(40_000)
		s.targets["a"].Price, s.targets["b"].Price = jobs.Price{Input: jobs.USD(1)}, jobs.Price{Input: jobs.USD(100)}
		s.request.MaxCost = jobs.USD(1)
		s.tries().refused(jobs.BadRequest).because("max_cost_exceeded").calls("a", 0).calls("b", 0)
	})
}

// What a request is counted to have may be wrong by more than calls have told: it
// must not end for that.
func TestNothingIsRefusedForGoodByAGuess(t *testing.T) {
	t.Parallel()
	t.Run("of another language", func(t *testing.T) { // of Chinese, some models make three quarters of the tokens
		t.Parallel()
		s := windows(t, 8000).calibrated("a", 200, 5000, 5000)
		s.asks(&jobs.Request{Body: chatBody(t, strings.Repeat("中华人民共和国位于亚洲东部，太平洋西岸。", 800))})
		if n := newCounted(s.request).input(s.request, o200k); n < 9000 || n > 11_000 {
			t.Fatalf("it has %d tokens: this test shows nothing", n)
		}
		s.tries().to("a")
	})
	t.Run("of data that a server has in a member of its own", func(t *testing.T) {
		t.Parallel()
		s := windows(t, 1000).speaks("gpt-4o")
		for _, body := range []string{`[{"type":"image_embeds","image_embeds":"%s"}]`, `"see","images":["%s"]`, `"see","extra_content":{"google":{"thought_signature":"%s"}}`} {
			s.request.Body = json.RawMessage(`{"messages":[{"content":` + fmt.Sprintf(body, strings.Repeat(`QUJD\/`, 10_000)) + `}]}`)
			s.tries().to("a")
		}
	})
	t.Run("of samples that differ", func(t *testing.T) { // dense pages, and much that is blank
		t.Parallel()
		for pages := 20; pages < 36; pages += 2 {
			var text strings.Builder
			for page := range pages {
				text.WriteString(strings.Repeat("k9 ", 1000+37*page%500) + strings.Repeat(" ", 9000+91*page%1000))
			}
			s := windows(t, 0).speaks("gpt-4o")
			s.asks(&jobs.Request{Body: chatBody(t, text.String())})
			s.targets["a"].ContextTokens = exactly(t, o200k, text.String()) + perMessage + perPrompt
			s.tries().to("a")
		}
	})
}

// Of any chain: a request is never sent where it is clearly too long while
// another has room, and is never refused while one may have room.
func TestWindowsAreKept(t *testing.T) {
	t.Parallel()
	texts := map[int]json.RawMessage{}
	for _, n := range []int{10, 900, 1100, 2100, 3500, 6000} {
		texts[n] = chatBody(t, words(n-perMessage-perPrompt))
	}
	rapid.Check(t, func(rt *rapid.T) {
		var sizes []int
		for range rapid.IntRange(1, 4).Draw(rt, "targets") {
			sizes = append(sizes, rapid.SampledFrom([]int{0, 1000, 1000, 2000, 4000}).Draw(rt, "window"))
		}
		s := windows(t, sizes...).speaks(rapid.SampledFrom([]string{"gpt-4o", "gpt-4", "other"}).Draw(rt, "model"))
		prompt := rapid.SampledFrom([]int{10, 900, 1100, 2100, 3500, 6000}).Draw(rt, "prompt")
		s.asks(&jobs.Request{ID: "one", Body: texts[prompt]})
		s.t = t
		clearly := map[string]bool{} // too long, as far as anybody can know
		var roomy bool
		fits, refuses := 0.0, 0.0 // the largest windows that it fits, and that it does not
		for _, target := range s.router.plan.Load().targets {
			truth := rapid.SampledFrom([]float64{0.8, 1, 1.2}).Draw(rt, "tokens of its own for one of ours")
			known := rapid.Bool().Draw(rt, "calibrated")
			if target.Model != "other" {
				truth = 1
			}
			if known {
				s.calibrated(target.Name, 10, 3000, int(3000*truth))
			}
			window, real := float64(target.ContextTokens), float64(prompt)*truth
			switch {
			case window == 0:
			case known || truth == 1 && target.Model != "other":
				clearly[target.Name] = real > 1.2*window
			default:
				clearly[target.Name] = float64(prompt) > 1.55*window
			}
			if window == 0 {
				fits = math.Inf(1)
			} else if real <= window {
				fits = max(fits, window)
			} else {
				refuses = max(refuses, window)
				s.fails(target.Name, jobs.Context, 1)
			}
			roomy = roomy || window == 0 || max(real, float64(prompt)) <= 0.9*window
		}
		s.tries()
		for name := range clearly {
			if roomy && clearly[name] && s.provider.calls[name] > 0 {
				rt.Fatalf("%s was called with %d tokens: %s", name, prompt, s.told())
			}
		}
		if fits > refuses && s.outcome.Verdict != jobs.Answered {
			rt.Fatalf("one had room for %d: %s", prompt, s.told())
		}
	})
}
