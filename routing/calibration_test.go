package routing

import (
	"strings"
	"testing"

	"tidegate/jobs"
)

func TestCalibration(t *testing.T) {
	t.Parallel()
	var c calibration
	if got := c.correct(1000); got != 1000 {
		t.Errorf("before it learned anything: %d", got)
	}
	c.learn(1000, 300) // of the first call it believes all
	if got := c.correct(1000); got != 300 {
		t.Errorf("after one call: %d", got)
	}
	for range 100 {
		c.learn(1000, 2000)
	}
	if got := c.correct(1000); got < 1990 || got > 2000 {
		t.Errorf("after many calls: %d", got)
	}
	c.learn(0, 5)
	c.learn(5, 0)
	for range 100 {
		c.learn(1, 1_000_000)
	}
	if got := c.correct(1000); got > 10_000 {
		t.Errorf("it believes nonsense: %d", got)
	}
}

// What is taken from the token rate is what calls of a target really use.
func TestTokensAreTakenAsTheyAreUsed(t *testing.T) {
	t.Parallel()
	s := chainOf(t, &jobs.Target{Name: "a", Limits: jobs.Limits{TokensPerMinute: 60_000}})
	s.request.Body = []byte(strings.Repeat("x", 2000)) // 500 tokens, and as many of an answer
	s.provider.usage = jobs.Usage{Input: 150, Output: 50}
	s.tries().to("a")
	s.passes(s.rests("a"))
	second, _ := s.router.Admit(s.request, nil)
	if second == nil {
		t.Fatal("the second call may not go")
	}
	if got := second.(*pass).place.tokens; got != 200 {
		t.Errorf("the second call takes %d tokens, the first used 200", got)
	}
	second.Release()
}
