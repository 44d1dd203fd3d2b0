package replay

import (
	"context"
	"errors"
	"testing"
	"time"

	"tidegate/jobs"
)

// A request that is the probe for days remembers a few of its calls, and all that say
// something of itself.
func TestHistoryOfARequestIsBounded(t *testing.T) {
	t.Parallel()
	r, j := &run{}, &job{}
	for range 1000 {
		r.remember(j, jobs.Trace{{Attempt: &jobs.Attempt{Target: "a", Class: jobs.Overload}}})
	}
	r.remember(j, jobs.Trace{{Attempt: &jobs.Attempt{Target: "b", Class: jobs.Context}}})
	if n := len(j.history); n != mostHistory+1 || j.history[n-1].Attempt.Target != "b" {
		t.Errorf("it remembers %d calls", n)
	}
}

// A target of which the log has no call is neither shunned nor thought to be bad: there
// is no verdict on whoever would call it.
func TestUnknownTargetIsNoVerdict(t *testing.T) {
	t.Parallel()
	log := past{requests: 2000, every: time.Second, calls: anyOf("a", "b"), meets: steady}.log(t)
	r := replayed(t, log, Options{}, chainOf("new", "a")).Results[0]
	if r.Confidence != NoVerdict || r.Coverage.Missing["new"] < 0.99 || r.Tripped["new"] > 0 || !says(r, "which the log has no call of") {
		t.Errorf("%v: %+v, %v", r.Confidence, r.Coverage, r.Tripped)
	}
}

// A log of requests alone says nothing of how targets do, and that is said.
func TestLogWithoutCallsIsNoVerdict(t *testing.T) {
	t.Parallel()
	b := NewBuilder(0)
	for i := range 50 {
		if err := b.Add(Request{At: day.Add(time.Duration(i) * time.Second), Route: "r", Usage: jobs.Usage{Input: 100, Output: 20}}); err != nil {
			t.Fatal(err)
		}
	}
	log, err := b.Log()
	if err != nil {
		t.Fatal(err)
	}
	policy := chainOf("a")
	r := replayed(t, log, Options{Against: &policy}, chainOf("a", "b"))
	if r.Self != nil || r.Results[1].Confidence != NoVerdict || !says(r.Results[1], "the log has no call") {
		t.Errorf("%+v, %+v", r.Self, r.Results[1])
	}
}

// A replay that nobody waits for any more ends, also in the middle of a run.
func TestReplayEndsWhenItIsToldTo(t *testing.T) {
	t.Parallel()
	log := past{requests: 3 * heedEvery, every: time.Second, calls: anyOf("a"), meets: steady}.log(t)
	ctx, cancel := context.WithCancel(context.Background())
	w := &world{log: log, pools: poolsOf(log), faults: faultsOf(log)}
	of := stretch{to: log.Requests(), weight: 1}
	policy := chainOf("a")
	r := newRun(w, &policy, sides[0], of, tallyOf(log, &of, 1, time.Hour))
	cancel()
	if r.all(ctx); r.arrived > heedEvery {
		t.Errorf("%d of %d requests were run", r.arrived, log.Requests())
	}
	if _, err := Replay(ctx, log, []Policy{policy}, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// What is over an added limit meets a 429, and the replay of what there was knows
// nothing of it.
func TestLimitThatDidNotHold(t *testing.T) {
	t.Parallel()
	log := past{requests: 3600, every: 500 * time.Millisecond, calls: anyOf("a", "b"), meets: steady}.log(t)
	limit, err := ParseLimit("target=a,requests_per_minute=30")
	if err != nil {
		t.Fatal(err)
	}
	policy := chainOf("a", "b")
	free := replayed(t, log, Options{Against: &policy}, policy)
	bound := replayed(t, log, Options{Against: &policy, Limits: []Limit{limit}}, policy)
	if was, is := free.Results[1].Metrics[WaitedLong].At, bound.Results[1].Metrics[WaitedLong].At; was > 0.01 || is < 0.9 {
		t.Errorf("%v of the requests wait without the limit, and %v with it", was, is)
	}
	if calls := bound.Results[1].Metrics[Calls].At; calls < 1.1 {
		t.Errorf("%v calls for a request: no limit is met", calls)
	}
	if *free.Self != *bound.Self || len(bound.Limits) != 1 || bound.Limits[0] != "a takes no more than 30 requests a minute" {
		t.Errorf("%+v, %+v, %v", *free.Self, *bound.Self, bound.Limits)
	}
}

// The change of a policy that does the same is none, and nearly certain; that of one that
// is a half slower is a half.
func TestChangeIsOnTheSameLuck(t *testing.T) {
	t.Parallel()
	log := past{requests: 6000, every: time.Second, calls: anyOf("a", "b"), meets: steady}.log(t)
	first, other := chainOf("a", "b"), chainOf("b", "a")
	same := first
	same.Name = "same"
	r := replayed(t, log, Options{Against: &first, Whole: true}, same, other)
	if got := r.Results[1].Change[Mean]; got.At != 0 || got.High-got.Low > 0.001 {
		t.Errorf("the same policy changes the latency by %+v", got)
	}
	wide := r.Results[2].Metrics[Mean]
	got := r.Results[2].Change[Mean]
	if !got.Holds(0.5) || got.High-got.Low > (wide.High-wide.Low)/wide.At+0.1 {
		t.Errorf("one that is a half slower changes it by %+v", got)
	}
	if r.Results[0].Change != nil {
		t.Errorf("the one that made the log changes by %v", r.Results[0].Change)
	}
}
