package worker

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/riverqueue/river/rivertype"

	"tidegate/jobs"
)

// waited lists what those who went were held back for, in the order in which they went.
func (l *lobby) waited() (why []jobs.WaitedFor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.leaves {
		why = append(why, d.waited)
	}
	return why
}

func TestRoomSaysWhatWasWaitedFor(t *testing.T) {
	inRoom(t, func(t *testing.T, l *lobby) {
		expect := func(when string, want ...jobs.WaitedFor) {
			t.Helper()
			l.went()
			if got := l.waited(); !slices.Equal(got, want) {
				t.Errorf("%s: they waited for %q, not %q", when, got, want)
			}
			for range want {
				l.done()
			}
		}
		l.gate.set(1, time.Time{})
		l.enter(t.Context(), 1)
		expect("the gate flows", "")
		l.enter(t.Context(), 2) // it holds again
		l.enter(t.Context(), 3)
		pass(time.Minute)
		l.gate.set(2, time.Time{})
		l.Changed()
		expect("the gate held, for who stood behind the first one, too", jobs.WaitedForGate, jobs.WaitedForGate)
		pass(time.Second)
		l.gate.set(1, time.Time{})
		l.enter(t.Context(), 4)
		expect("another one comes later", "")
		l.gate.blocked(jobs.Outcome{Verdict: jobs.Blocked, Held: true, Paced: true})
		l.enter(t.Context(), 5)
		pass(time.Second)
		l.gate.blocked(jobs.Outcome{})
		l.gate.set(1, time.Time{})
		l.Changed()
		expect("its target was called as fast as it may be", jobs.WaitedForPace)
		spent := true
		l.room.mu.Lock()
		l.spent = func(string) bool { return spent }
		l.room.mu.Unlock()
		l.enter(t.Context(), 6)
		l.room.mu.Lock()
		spent = false
		l.room.mu.Unlock()
		l.gate.set(1, time.Time{})
		l.Changed()
		expect("its route had no money", jobs.WaitedForBudget)
	})
}

// The first call of a try is the one that was held back, and of several reasons it has
// the weightiest; what it was parked for before counts, too.
func TestFirstCallSaysWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	r := &run{parked: true}
	r.why = r.wasParkedFor()
	r.waitsFor(jobs.WaitedForPace)
	r.waitsFor("")
	first, second := &jobs.Attempt{}, &jobs.Attempt{}
	r.trace(jobs.Trace{{Skip: &jobs.Skip{}}, {Attempt: first}, {Attempt: second}})
	if first.WaitedFor != jobs.WaitedForPrice || second.WaitedFor != "" {
		t.Errorf("they waited for %q and %q", first.WaitedFor, second.WaitedFor)
	}
	for _, is := range []struct {
		run     run
		outcome jobs.Outcome
		want    jobs.WaitedFor
	}{
		{run{patient: true}, jobs.Outcome{}, jobs.WaitedForPrice},
		{run{}, jobs.Outcome{Held: true}, jobs.WaitedForGate},
		{run{}, jobs.Outcome{Held: true, Paced: true}, jobs.WaitedForPace},
		{run{}, jobs.Outcome{Paced: true}, jobs.WaitedForPace},
		{run{}, jobs.Outcome{}, jobs.WaitedForTarget},
	} {
		if got := is.run.restsFor(is.outcome); got != is.want {
			t.Errorf("after %+v it waits for %q, not %q", is.outcome, got, is.want)
		}
	}
	for want, is := range map[jobs.WaitedFor]run{"": {}, jobs.WaitedForTarget: {skipped: true}, jobs.WaitedForBudget: {marked: true, parked: true}} {
		if got := is.wasParkedFor(); got != want {
			t.Errorf("%+v was parked for %q, not %q", is, got, want)
		}
	}
}

// Whom a request waited for on its own account stands before the call that it made in
// the end, also when its job was parked meanwhile, and once.
func TestCallSaysWhoWasPassedOverBefore(t *testing.T) {
	t.Parallel()
	skip := func(target string) jobs.Step {
		return jobs.Step{Skip: &jobs.Skip{Target: target, Reason: "it is dear", ExtraCost: 2, Worth: 3}}
	}
	metadata, err := json.Marshal(map[string]any{jobs.SkipsMark: []*jobs.Skip{skip("a").Skip}})
	if err != nil {
		t.Fatal(err)
	}
	r := &run{skips: skipsOf(&rivertype.JobRow{Metadata: metadata})}
	if len(r.skips) != 1 || r.skips[0].Reason != "it is dear" || r.skips[0].Worth != 0 || r.skips[0].ExtraCost != 0 {
		t.Fatalf("it was parked with %+v", r.skips)
	}
	call := jobs.Trace{skip("b"), {Attempt: &jobs.Attempt{Target: "c"}}}
	for why, want := range map[jobs.WaitedFor]int{jobs.WaitedForTarget: 3, jobs.WaitedForPrice: 3, jobs.WaitedForBudget: 3, jobs.WaitedForGate: 2, jobs.WaitedForPace: 2, "": 2} {
		if r.why = why; len(r.trace(call)) != want {
			t.Errorf("it waited for %q: %+v", why, r.trace(call))
		}
	}
	if r.why = jobs.WaitedForTarget; len(r.trace(jobs.Trace{skip("b")})) != 1 {
		t.Error("there was no call, and it says more than was added")
	}
}
