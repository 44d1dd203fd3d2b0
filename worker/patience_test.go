package worker

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/riverqueue/river/rivertype"

	"tidegate/jobs"
)

// A wait that goes on is one wait, and stands before the attempt that it came before;
// what a job is parked with is read again as it was.
func TestWaitsAreRememberedUntilAnAttempt(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	wait := func(target string, minutes int, worth jobs.MicroUSD) jobs.Trace {
		return jobs.Trace{{Skip: &jobs.Skip{Target: target}}, {Wait: &jobs.Wait{Since: at.Add(time.Duration(minutes) * time.Minute), Target: target, Next: "dear", Worth: worth}}}
	}
	r := &run{}
	r.waited(wait("a", 0, 1))
	r.waited(wait("a", 5, 2))
	r.waited(wait("b", 9, 3))
	want := []jobs.Wait{{Since: at, Target: "a", Next: "dear", Worth: 2}, {Since: at.Add(9 * time.Minute), Target: "b", Next: "dear", Worth: 3}}
	if diff := cmp.Diff(want, r.waits); diff != "" || !r.patient {
		t.Error(diff)
	}
	attempt := &jobs.Attempt{Target: "b"}
	trace := r.trace(jobs.Trace{{Attempt: attempt}})
	if len(trace) != 3 || trace[0].Wait.Target != "a" || trace[1].Wait.Target != "b" || trace[2].Attempt != attempt {
		t.Errorf("the trace is %+v", trace)
	}
	if r.waited(jobs.Trace{wait("b", 0, 1)[1], {Attempt: attempt}}); r.patient {
		t.Error("after its call it waits for nothing")
	}
	metadata, err := json.Marshal(map[string]any{"snoozes": 2, jobs.WaitsMark: want})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, waitsOf(&rivertype.JobRow{Metadata: metadata})); diff != "" {
		t.Error(diff)
	}
	for _, metadata := range []string{"", "{}", `{"tidegate_waits": 7}`, `{"tidegate_waits": null}`} {
		if got := waitsOf(&rivertype.JobRow{Metadata: []byte(metadata)}); got != nil {
			t.Errorf("of %s came %+v", metadata, got)
		}
	}
	for i := range 100 {
		r.waited(wait(string(rune('a'+i%26)), i, 1))
	}
	if len(r.waits) > waitsAtMost {
		t.Errorf("%d waits are remembered", len(r.waits))
	}
}

// What is kept of the targets that were passed over is of the last try, behind its last
// call, and bounded.
func TestSkipsAreRemembered(t *testing.T) {
	t.Parallel()
	skip := func(target string) jobs.Step { return jobs.Step{Skip: &jobs.Skip{Target: target}} }
	var r run
	r.passed(jobs.Trace{skip("a"), {Attempt: &jobs.Attempt{}}, skip("b"), skip("c")})
	if diff := cmp.Diff([]jobs.Skip{{Target: "b"}, {Target: "c"}}, r.skips); diff != "" {
		t.Error(diff)
	}
	r.passed(slices.Repeat(jobs.Trace{skip("d")}, 100))
	if len(r.skips) != skippedAtMost || r.skips[0].Target != "d" {
		t.Errorf("%d are kept: %+v", len(r.skips), r.skips)
	}
	if r.passed(nil); r.skips != nil {
		t.Errorf("of a try that passed over none came %+v", r.skips)
	}
}

// Who listens before the bell rings hears it, who comes after does not.
func TestBell(t *testing.T) {
	t.Parallel()
	b := newBell()
	early := &run{bell: b.Listen()}
	if early.rung() {
		t.Error("it rang by itself")
	}
	b.Ring()
	if late := (&run{bell: b.Listen()}); !early.rung() || late.rung() {
		t.Error("it was heard by the wrong one")
	}
	early.patient = true
	if err := early.sleep(t.Context(), time.Hour); err != nil {
		t.Error(err)
	}
}
