package routing

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

// taught is a calibration after calls that were estimated and used so.
func taught(calls int, estimated, used int) *calibration {
	c := &calibration{}
	for range calls {
		c.learnInput(estimated, used)
	}
	return c
}

func TestCalibrationOfPrompts(t *testing.T) {
	t.Parallel()
	t.Run("corrects nothing at first", func(t *testing.T) {
		t.Parallel()
		if got := taught(0, 0, 0).input(1000); got != (estimate{tokens: 1000}) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("believes the first call, and follows the others", func(t *testing.T) {
		t.Parallel()
		c := taught(1, 1000, 700)
		if got := c.input(1000); got.tokens != 700 || got.relied() {
			t.Errorf("after one call: %+v", got)
		}
		for range 100 {
			c.learnInput(1000, 1300)
		}
		if got := c.input(1000); got.tokens < 1290 || got.tokens > 1300 || got.miss > 0.02 || !got.relied() {
			t.Errorf("after many calls: %+v", got)
		}
	})
	t.Run("takes what is added to each for no part of it", func(t *testing.T) {
		t.Parallel()
		c := taught(50, 500, 2500) // a hidden prompt of 2000
		if got := c.input(4000).tokens; got > 6000 {
			t.Errorf("4000 tokens come to %d", got)
		}
		if got := c.input(50_000); got.tokens > 52_000 || got.calls != 0 {
			t.Errorf("50,000 tokens come to %+v", got)
		}
		c.learnInput(50_000, 52_000)
		if got := c.input(50_000).tokens; got < 49_000 || got > 130_000 {
			t.Errorf("50,000 tokens come to %d, once such a call was seen", got)
		}
	})
	t.Run("knows nothing of what is much larger", func(t *testing.T) {
		t.Parallel()
		c := taught(50, 1000, 700)
		if got := c.input(100_000); got.tokens != 70_000 || got.relied() {
			t.Errorf("%+v", got)
		}
	})
	t.Run("passes by what is too small to tell", func(t *testing.T) {
		t.Parallel()
		if got := taught(50, tooFewTokens-1, 40).input(1000); got.tokens != 1000 || got.calls != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// Whatever providers say of usage: a calibration that has seen sound calls only,
// and then one of anything, makes no prompt clearly longer than it is.
func TestWildUsageMakesNoPromptTooLong(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := taught(rapid.IntRange(1, 40).Draw(t, "sound calls"), 10_000, 10_000)
		for range rapid.IntRange(1, 3).Draw(t, "wild ones") {
			c.learnInput(rapid.IntRange(-1, 200_000).Draw(t, "estimated"), rapid.OneOf(rapid.IntRange(-1000, 2_000_000), rapid.Int()).Draw(t, "used"))
		}
		got := c.input(10_000)
		if least := got.least(true); least > 10_000 || got.tokens < 0 || got.miss < 0 {
			t.Fatalf("10,000 tokens are at least %d: %+v", least, got)
		}
	})
}

func TestNonsenseTeachesNothing(t *testing.T) {
	t.Parallel()
	c := taught(10, 1000, 1000)
	for _, used := range []int{0, -5, 1, 1_000_000, 1 << 62} {
		c.learnInput(1000, used)
	}
	if got := c.input(1000); got.tokens != 1000 || got.calls != 10 || got.miss > 1e-9 {
		t.Errorf("%+v", got)
	}
}

func TestCalibrationOfAnswers(t *testing.T) {
	t.Parallel()
	c := &calibration{}
	if got := c.answer(500); got != 500 {
		t.Errorf("before the first: %d", got)
	}
	c.learnAnswer(50)
	if got := c.answer(500); got != 50 {
		t.Errorf("after the first: %d", got)
	}
	for range 100 {
		c.learnAnswer(200)
	}
	c.learnAnswer(-1)
	if got := c.answer(500); got < 199 || got > 200 {
		t.Errorf("after many: %d", got)
	}
	c.learnAnswer(1 << 40)
	if got := c.answer(500); got > 1000 {
		t.Errorf("it believes nonsense: %d", got)
	}
}

// What is taken from the token rate is what calls of a target really use.
func TestTokensAreTakenAsTheyAreUsed(t *testing.T) {
	t.Parallel()
	s := chainOf(t, &jobs.Target{Name: "a", Limits: jobs.Limits{TokensPerMinute: 60_000}})
	s.request.Body = chatBody(t, strings.Repeat("the tide turns. ", 100))
	plain := newCounted(s.request).input(s.request, o200k)
	s.provider.usage = jobs.Usage{Input: plain * 3 / 4, Output: 50}
	first, _ := s.router.Admit(s.request, nil)
	if got := first.(*Walk).place.tokens; got != plain+expectedOutput {
		t.Errorf("the first call takes %d tokens, not %d and what an answer may have", got, plain)
	}
	first.Release()
	s.tries().to("a")
	s.passes(s.rests("a"))
	second, _ := s.router.Admit(s.request, nil)
	if second == nil {
		t.Fatal("the second call may not go")
	}
	if got, used := second.(*Walk).place.tokens, plain*3/4+50; got < used-1 || got > used+1 {
		t.Errorf("the second call takes %d tokens, the first used %d", got, used)
	}
	second.Release()
}
