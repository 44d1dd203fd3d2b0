package worker_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/store"
	"tidegate/worker"
)

func TestAnswersAreStoredThenJobsComplete(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var stored atomic.Int64
	s.config.Stored = func() { stored.Add(1) }
	s.script.route = func(ctx context.Context, r *jobs.Request, h jobs.Trace) jobs.Outcome {
		if r.CustomID == "doc-3" {
			outcome := attempted(jobs.Refused, jobs.Content)
			outcome.Err = &jobs.Error{Class: jobs.Content, Status: 400, Code: "content_filter", Message: "no"}
			return outcome
		}
		return answer(ctx, r, h)
	}
	requests := s.enqueue(20)
	s.start()
	s.awaitJobs(20, "completed", 1)
	for i, r := range requests {
		got := s.result(r.ID)
		want := jobs.StateAnswered
		if i == 3 {
			want = jobs.StateRefused
		}
		if got.State != want || got.Cost != 10 || got.Attempts != 1 || got.Target != "cheap" {
			t.Errorf("request %d ended as %+v", i, got.Result)
		}
	}
	if got := s.result(requests[3].ID); got.Class != jobs.Content || got.Code != "content_filter" || got.Status != 400 || got.Message != "no" {
		t.Errorf("the refused one ended as %+v", got.Result)
	}
	if got := s.result(requests[0].ID); string(got.Body) != `{"choices":[]}` || got.Usage != (jobs.Usage{Input: 3, Output: 2}) || got.Status != 200 {
		t.Errorf("an answered one ended as %+v", got.Result)
	}
	if s.script.called() != 20 || s.number("SELECT count(*) FROM tidegate.attempts") != 20 || s.number("SELECT count(*) FROM tidegate.outbox") != 20 {
		t.Errorf("%d calls", s.script.called())
	}
	if n := stored.Load(); n == 0 || n > 20 {
		t.Errorf("%d times it was said that something was stored", n)
	}
}

func TestRequestWithAResultIsNotCalledAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := s.enqueue(1)[0]
	if _, err := s.store.CancelRequest(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.awaitJobs(1, "completed", 1)
	if s.script.called() != 0 || s.result(r.ID).State != jobs.StateCancelled {
		t.Errorf("%d calls for a request that was cancelled", s.script.called())
	}
}

// What is logged is what stands, and not what the worker wanted to store.
func TestCancelledWhileItIsCalled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var log bytes.Buffer
	s.config.Log = zerolog.New(zerolog.SyncWriter(&log))
	r := s.enqueue(1)[0]
	s.script.route = func(ctx context.Context, request *jobs.Request, history jobs.Trace) jobs.Outcome {
		if _, err := s.store.CancelRequest(ctx, request.ID); err != nil {
			t.Error(err)
		}
		return answer(ctx, request, history)
	}
	_, stop := s.start()
	s.awaitJobs(1, "completed", 1)
	stop()
	if got := s.result(r.ID); got.State != jobs.StateCancelled || len(s.attempts(r.ID)) != 1 {
		t.Errorf("it ended as %+v with %d attempts", got.Result, len(s.attempts(r.ID)))
	}
	if text := log.String(); !strings.Contains(text, "had ended already") || strings.Contains(text, `"request ended"`) {
		t.Errorf("the log tells another story:\n%s", text)
	}
}

func TestCancelledWhileItWaits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.script.hold(true)
	requests := s.enqueue(2)
	w, _ := s.start()
	fixture.Await(t, soon, "both wait at the gate", func() bool { return w.Waiting("summaries") == 2 })
	if _, err := s.store.CancelRequest(t.Context(), requests[0].ID); err != nil {
		t.Fatal(err)
	}
	s.script.hold(false)
	w.CircuitChanged(jobs.Circuit{Target: "cheap", State: jobs.CircuitClosed, Since: time.Now()})
	s.awaitJobs(2, "completed", 1)
	if n := s.script.called(); n != 1 {
		t.Errorf("%d calls for the one that was not cancelled", n)
	}
}

func TestDeadlinePassesWhileItWaits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.script.hold(true)
	s.enqueue(1)
	w, _ := s.start()
	fixture.Await(t, soon, "one waits that has time", func() bool { return w.Waiting("summaries") == 1 })
	late := s.accept(jobs.Request{CustomID: "late", Deadline: time.Now().Add(-time.Minute)})
	tight := s.accept(jobs.Request{CustomID: "tight", Deadline: time.Now().Add(300 * time.Millisecond)})
	s.awaitJobs(2, "completed", 1) // while the gate holds on
	if over := time.Since(tight.Deadline); over < 0 || over > soon/2 {
		t.Errorf("it ended %s after its deadline", over)
	}
	for _, id := range []string{late.ID, tight.ID} {
		if got := s.result(id); got.State != jobs.StateExpired || got.Code != "batch_expired" || got.Status != 504 {
			t.Errorf("%s ended as %+v", got.CustomID, got.Result)
		}
	}
	if n := s.number("SELECT count(*) FROM tidegate.outbox"); n != 2 || s.script.called() != 0 {
		t.Errorf("%d events are owed, %d calls", n, s.script.called())
	}
	if w.Waiting("summaries") != 1 {
		t.Error("the one that has time is gone too")
	}
}

// A blocked try is kept: its calls are written down, and the next try is told
// of them.
func TestBlockedTriesAreKept(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var seen atomic.Pointer[[]int]
	seen.Store(&[]int{})
	s.script.route = func(ctx context.Context, r *jobs.Request, history jobs.Trace) jobs.Outcome {
		lengths := append(slices.Clone(*seen.Load()), len(history))
		seen.Store(&lengths)
		switch len(history) {
		case 0:
			blocked := attempted(jobs.Blocked, jobs.Overload)
			blocked.Until = time.Now().Add(20 * time.Millisecond)
			return blocked
		case 1:
			held := attempted(jobs.Blocked, jobs.Transient)
			held.Held = true
			held.Trace[0].Attempt.Probe = true
			return held
		}
		return answer(ctx, r, history)
	}
	r := s.enqueue(1)[0]
	s.start()
	s.awaitJobs(1, "completed", 1)
	if !slices.Equal(*seen.Load(), []int{0, 1, 2}) {
		t.Errorf("tries were told of %v calls", *seen.Load())
	}
	if got := s.result(r.ID); got.Attempts != 3 || got.Cost != 30 || got.State != jobs.StateAnswered {
		t.Errorf("it ended as %+v", got.Result)
	}
	var classes []string
	for _, a := range s.attempts(r.ID) {
		classes = append(classes, string(a.Class)+":"+string(a.WaitedFor))
	}
	if got := strings.Join(classes, " "); got != "OVERLOAD: TRANSIENT:target OK:gate" {
		t.Errorf("calls that are kept: %s", got)
	}
}

// What was paid before the deadline passed, in the middle of a try, is counted in
// the result.
func TestDeadlinePassesBetweenTwoCalls(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := s.accept(jobs.Request{CustomID: "tight", Deadline: time.Now().Add(time.Second)})
	s.script.failsOver = true
	s.script.route = func(context.Context, *jobs.Request, jobs.Trace) jobs.Outcome {
		<-time.After(time.Until(r.Deadline))
		return attempted(jobs.Blocked, jobs.Overload)
	}
	s.start()
	s.awaitJobs(1, "completed", 1)
	if got := s.result(r.ID); got.State != jobs.StateExpired || got.Attempts != 1 || got.Cost != 10 {
		t.Errorf("it ended as %+v", got.Result)
	}
}

func TestBadJobsAreCancelled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const insert = "INSERT INTO tidegate.river_job (args, kind, max_attempts, queue) VALUES ($1, 'completion', 5, 'summaries')"
	s.exec(insert, `{"r":"doc-7"}`)
	s.exec(insert, `{"r":"`+uuid.NewString()+`"}`)
	s.exec(insert, `{}`)
	r := s.enqueue(1)[0]
	s.exec(insert, `{"r":"`+strings.ToUpper(r.ID)+`"}`) // names it, though not as the database does
	s.start()
	s.awaitJobs(3, "cancelled", 1)
	s.awaitJobs(2, "completed", 1)
	if got := s.result(r.ID); got.State != jobs.StateAnswered {
		t.Errorf("the good one ended as %+v", got.Result)
	}
}

// A job that somebody moved to the queue of another route is for the router to
// judge.
func TestJobInTheQueueOfAnotherRoute(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.script.route = func(_ context.Context, r *jobs.Request, _ jobs.Trace) jobs.Outcome {
		return jobs.Outcome{Verdict: jobs.Refused, Err: &jobs.Error{Class: jobs.BadRequest, Code: "unknown_route", Message: r.Route}}
	}
	r := s.enqueue(1)[0]
	s.exec("UPDATE tidegate.requests SET route = 'labels'")
	s.start()
	s.awaitJobs(1, "completed", 1)
	if got := s.result(r.ID); got.State != jobs.StateRefused || got.Message != "labels" || got.Status != 502 {
		t.Errorf("it ended as %+v", got.Result)
	}
}

// A panic costs an attempt, and no more: the job is worked again.
func TestPanicCostsAnAttempt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var log bytes.Buffer
	s.config.Log = zerolog.New(&log)
	s.script.route = func(ctx context.Context, r *jobs.Request, h jobs.Trace) jobs.Outcome {
		if s.script.called() == 1 {
			panic("a prompt that nobody should read")
		}
		return answer(ctx, r, h)
	}
	r := s.enqueue(1)[0]
	_, stop := s.start()
	s.awaitJobs(1, "completed", 2)
	if got := s.result(r.ID); got.State != jobs.StateAnswered {
		t.Errorf("it ended as %+v", got.Result)
	}
	if lost := s.number("SELECT count(*) FROM tidegate.attempts WHERE class = 'LOST' AND request_id = $1", r.ID); lost != 1 {
		t.Errorf("%d calls are written down that may have been billed", lost)
	}
	stop()
	for _, says := range []string{"a job ended in a panic", `"panic":"string"`, "completion_test.go"} {
		if !strings.Contains(log.String(), says) {
			t.Errorf("the log does not say %s:\n%s", says, &log)
		}
	}
	if n := s.number("SELECT count(*) FROM tidegate.river_job WHERE errors::text LIKE '%nobody should read%'"); n != 0 || strings.Contains(log.String(), "nobody should read") {
		t.Errorf("the words of a panic are read, in %d rows:\n%s", n, &log)
	}
}

// A request that no worker survives gets a result all the same.
func TestPanicAtTheLastAttemptIsPoison(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.script.route = func(context.Context, *jobs.Request, jobs.Trace) jobs.Outcome {
		panic("a prompt that nobody should read")
	}
	r := s.enqueue(1)[0]
	s.exec("UPDATE tidegate.river_job SET attempt = 4")
	s.start()
	s.awaitJobs(1, "completed", 5)
	got := s.result(r.ID)
	if got.State != jobs.StatePoison || got.Code != "poison" || strings.Contains(got.Message, "prompt") {
		t.Errorf("it ended as %+v", got.Result)
	}
	if n := s.number("SELECT count(*) FROM tidegate.outbox"); n != 1 {
		t.Errorf("%d events are owed", n)
	}
}

// A slow store takes so long to write a half-open circuit that the worker has
// stopped by then.
type slow struct {
	*store.Store
	in   chan struct{} // closed when it begins
	once sync.Once
}

func (s *slow) ShareCircuits(ctx context.Context, name string, circuits []jobs.Circuit) error {
	if circuits[0].State == jobs.CircuitHalfOpen {
		s.once.Do(func() {
			close(s.in)
			<-ctx.Done()
		})
	}
	return s.Store.ShareCircuits(ctx, name, circuits)
}

func TestCircuitsAreWrittenDown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	in := make(chan struct{})
	s.config.Fleet.Peers = &slow{Store: store.New(s.config.Pool), in: in}
	w, stop := s.start()
	state := func() jobs.CircuitState {
		circuits, err := s.store.Circuits(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(circuits) != 1 {
			return ""
		}
		return circuits[0].State
	}
	fixture.Await(t, soon, "the circuit is closed at the start", func() bool { return state() == jobs.CircuitClosed })
	w.CircuitChanged(jobs.Circuit{Target: "cheap", State: jobs.CircuitOpen, Generation: 1, Since: time.Now()})
	fixture.Await(t, soon, "the circuit is open", func() bool { return state() == jobs.CircuitOpen })
	w.CircuitChanged(jobs.Circuit{Target: "cheap", State: jobs.CircuitHalfOpen, Generation: 2, Since: time.Now()})
	<-in
	stop()
	if got := state(); got != jobs.CircuitHalfOpen {
		t.Errorf("the last change before it stopped was lost: %s", got)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		config worker.Config
		want   string
	}{
		{worker.Config{Router: &script{}, Circuits: &script{}, Queues: []string{"a"}, Concurrency: 10_001}, "worker.concurrency: 10001"},
		{worker.Config{Router: &script{}, Circuits: &script{}, Queues: []string{"a"}, Concurrency: -1}, "worker.concurrency: -1"},
		{worker.Config{Router: &script{}}, "at least one route"},
	} {
		if _, err := worker.New(c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("it says %v, not %q", err, c.want)
		}
	}
}
