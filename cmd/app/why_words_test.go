package app

import (
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

// A span is rounded before it is taken apart: a deadline of a day, which is some
// microseconds short of it once the database has accepted the request, is a day.
func TestLastedIsRounded(t *testing.T) {
	t.Parallel()
	for span, want := range map[time.Duration]string{
		-time.Second:                               "0 ms",
		999 * time.Millisecond:                     "999 ms",
		12_345 * time.Millisecond:                  "12.3 s",
		2*time.Minute - time.Millisecond:           "2 min 00 s",
		time.Hour - time.Millisecond:               "1 h 00 min",
		24*time.Hour - 5*time.Microsecond:          "24 h 00 min",
		24*time.Hour - 5*time.Millisecond:          "24 h 00 min",
		3*time.Hour + 29*time.Minute + time.Second: "3 h 29 min",
		48*time.Hour - time.Second:                 "2 days",
		365*24*time.Hour - 40*time.Second:          "365 days",
	} {
		if got := lasted(span); got != want {
			t.Errorf("%v is %q, want %q", span, got, want)
		}
	}
}

var came = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// whyTells is a story in short and step by step, of a request that came a minute before it
// had a result (nil: it has none).
func whyTells(t *testing.T, result *jobs.Result, attempts ...jobs.Attempt) string {
	t.Helper()
	s := &store.Story{At: came.Add(time.Minute), Request: jobs.Request{CreatedAt: came, Route: "r"}, Chain: []string{"cheap", "fast"}, Attempts: attempts}
	for i := range attempts {
		if a := &attempts[i]; a.At.IsZero() {
			a.At = came.Add(50*time.Second + time.Duration(i)*time.Second)
		}
	}
	if result != nil {
		result.StoredAt = s.At
		s.Result = &jobs.ResultEvent{Result: *result}
	} else {
		s.Result = &jobs.ResultEvent{Result: jobs.Result{State: jobs.StateExpired, StoredAt: s.At}}
		s.Job = &store.StoryJob{
			State: "completed", Waits: []jobs.Wait{{Since: came.Add(time.Second), Target: "cheap", Next: "fast", Reason: "waits for cheap: fast would cost $1 more"}},
			Skips: []jobs.Skip{{At: came.Add(30 * time.Second), Target: "fast", Reason: "it is dear"}},
		}
	}
	var b strings.Builder
	if err := newWhy(s).write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// called is a call of a target that is answered, or not as expected.
func called(target string, bad bool) jobs.Attempt {
	if bad {
		return jobs.Attempt{Target: target, Class: jobs.Invalid, Status: 200, Code: "regex", Message: "it does not match"}
	}
	return jobs.Attempt{Target: target, Class: jobs.OK}
}

// scored is a call of cheap that was chosen beside fast, which had a better score.
func scored(propensity float32, shut bool) jobs.Attempt {
	a := called("cheap", false)
	a.Propensity, a.Decision = propensity, &jobs.Decision{Goal: "cost", Candidates: []jobs.Considered{
		{Target: "fast", Score: jobs.Score{Total: 0.8}, Shut: shut}, {Target: "cheap", Score: jobs.Score{Total: 0.79}},
	}}
	return a
}

func TestWhySaysHowAnAnswerCameAbout(t *testing.T) {
	t.Parallel()
	waited := called("cheap", false)
	waited.WaitedFor, waited.Decision = jobs.WaitedForTarget, &jobs.Decision{Skipped: []jobs.Skip{{At: came, Target: "fast", Reason: "it is dear"}}}
	exploring := scored(0.75, false)
	exploring.Decision.Explored = true
	answered := func(target string) *jobs.Result { return &jobs.Result{State: jobs.StateAnswered, Target: target} }
	kept := answered("dear")
	kept.Class, kept.Code, kept.Message = jobs.Invalid, "regex", "it does not match"
	for name, c := range map[string]struct {
		got  string
		says []string
		not  string
	}{
		"of those that are nearly the best": {
			got:  whyTells(t, answered("cheap"), scored(0.995, false)),
			says: []string{"cheap, by cost about as good as fast, the best, answered after", "the chance was 99.5%"},
			not:  "best by cost that could be called",
		},
		"the best of those that are not shut": {
			got:  whyTells(t, answered("cheap"), scored(1, true)),
			says: []string{"cheap, the best by cost that could be called, answered"},
			not:  "about as good",
		},
		"to learn of it": {
			got:  whyTells(t, answered("cheap"), exploring),
			says: []string{"it was tried to learn how it does, whatever its score."},
			not:  "as one of",
		},
		"after a bad answer": {
			got: whyTells(t, answered("dear"), called("cheap", true), called("dear", false)),
			says: []string{
				"cheap, the first of the chain, was called, and the answer was not as expected: regex: it does not match.",
				"dear, which is asked after an answer that is not as expected, answered after",
			},
			not: "did not answer",
		},
		"for want of a better one": {
			got:  whyTells(t, kept, called("cheap", true), called("dear", true)),
			says: []string{"The answer of dear was kept, though it was not as expected: regex: it does not match."},
			not:  "dear was called",
		},
		"after a wait": {
			got: whyTells(t, answered("cheap"), waited),
			says: []string{
				"until then it waited for a target that could be called, and fitted it.", "fast was passed over: it is dear.",
				"… waited 50.0 s for a target that could be called, and fitted it",
			},
			not: "for its turn",
		},
		"never": {
			got:  whyTells(t, nil),
			says: []string{"It waited for cheap: fast would cost $1 more.", "fast was passed over: it is dear.", "… waited 29.0 s for cheap, or for its turn", "Its deadline passed"},
			not:  "It waits",
		},
	} {
		mustSay(t, name, c.got, c.says, c.not)
	}
}

// mustSay wants a text to say all of some things, and not another one.
func mustSay(t *testing.T, name, got string, says []string, not string) {
	t.Helper()
	for _, part := range says {
		if !strings.Contains(got, part) {
			t.Errorf("%s: it does not say %q:\n%s", name, part, got)
		}
	}
	if strings.Contains(got, not) {
		t.Errorf("%s: it says %q:\n%s", name, not, got)
	}
}
