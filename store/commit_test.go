package store_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"tidegate/jobs"
	"tidegate/store"
)

func TestCommitStoresOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("batch_1", 3)
	group := []jobs.Entry{answered(&requests[0]), ended(&requests[1], jobs.StateRefused), {Request: &requests[2], Trace: answered(&requests[2]).Trace}}
	for i, want := range []int{2, 0, 0} { // the answer of the first may have been lost
		if got := w.commit(group...); got != want {
			t.Errorf("commit %d stored %d results, not %d", i, got, want)
		}
	}
	if owed := w.owed(); len(owed) != 2 {
		t.Errorf("%d events are owed for 2 results", len(owed))
	}
	if n := w.number("SELECT count(*) FROM tidegate.attempts"); n != 2 {
		t.Errorf("%d attempts are kept of 2", n)
	}
	if got := w.batch("batch_1"); got.State != jobs.BatchInProgress || got.Completed != 1 || got.Failed != 1 || got.Ended() {
		t.Errorf("the batch stands at %+v", got)
	}
}

func TestCommitKeepsEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("", 1)
	entry := answered(&requests[0])
	at := entry.Trace[0].Attempt.At.Truncate(time.Microsecond) // as Postgres keeps it
	entry.Trace[0].Attempt.At = at
	failed := jobs.Attempt{
		At: at.Add(-time.Second), Target: "dear", Class: jobs.Overload, Code: "overloaded", Message: "come back later", Latency: time.Millisecond,
		Probe: true, Blamed: true, Propensity: 0.25, WaitedFor: jobs.WaitedForGate,
		Decision: &jobs.Decision{
			Goal: "cost", Estimator: "decayed", Explored: true, ExtraCost: 7, Worth: 9, Waited: time.Second, Reason: "it was \"cheap\" \x00",
			Candidates: []jobs.Considered{{Target: "dear", Success: 0.5, Latency: time.Second, Cost: 3, Score: jobs.Score{Total: 0.25}}},
		},
	}
	skip := jobs.Skip{At: at, Target: "gone", Reason: "its circuit is open \\u0000 \x00 \xff", Until: at}
	entry.Trace = jobs.Trace{{Skip: &skip}, {Attempt: &failed}, entry.Trace[0]}
	w.commit(entry)
	got, err := w.Attempts(t.Context(), requests[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	decided := *failed.Decision
	decided.Reason = `it was "cheap" `
	decided.Skipped = []jobs.Skip{{At: at, Target: "gone", Reason: "its circuit is open \\u0000  \uFFFD", Until: at}}
	failed.Decision = &decided
	if diff := cmp.Diff([]jobs.Attempt{failed, *entry.Trace[2].Attempt}, got); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
	var reason string
	const decision = "SELECT decision->'skipped'->0->>'reason' FROM tidegate.attempts WHERE target = 'dear'"
	if err := w.pool.QueryRow(t.Context(), decision).Scan(&reason); err != nil {
		t.Fatal(err)
	}
	if want := "its circuit is open \\u0000  \uFFFD"; reason != want {
		t.Errorf("the reason of the skip is %q, not %q", reason, want)
	}
	if n := w.number("SELECT count(*) FROM tidegate.attempts WHERE decision IS NOT NULL"); n != 1 {
		t.Errorf("%d attempts have the decision of one", n)
	}
}

// A job that runs twice in one worker may hand in the same request twice.
func TestCommitOfARequestTwiceInAGroupCountsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("batch_1", 2)
	if n := w.commit(answered(&requests[0]), answered(&requests[0])); n != 1 {
		t.Errorf("%d results of one request", n)
	}
	if got := w.batch("batch_1"); got.Completed != 1 || got.Ended() {
		t.Errorf("the batch counts one result as %+v", got)
	}
}

func TestLateAnswerKeepsItsAttemptAndCost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("batch_1", 1)
	if cancelled, err := w.CancelRequest(t.Context(), requests[0].ID); err != nil || !cancelled {
		t.Fatalf("cancelled: %v, %v", cancelled, err)
	}
	if n := w.commit(answered(&requests[0])); n != 0 {
		t.Error("a cancelled request was answered")
	}
	attempts, err := w.Attempts(t.Context(), requests[0].ID)
	if err != nil || len(attempts) != 1 || attempts[0].Cost != 30 {
		t.Errorf("attempts %+v, %v", attempts, err)
	}
	if n := len(w.owed()); n != 2 { // the cancellation, and the end of the batch
		t.Errorf("%d events", n)
	}
	if got := w.batch("batch_1"); got.Failed != 1 || got.Completed != 0 {
		t.Errorf("the batch stands at %+v", got)
	}
}

// What has no price is told from what costs nothing, in whatever way a request ends.
func TestUnpricedIsNotFree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("batch_1", 4)
	free, dear := answered(&requests[0]), answered(&requests[1])
	free.Result.Cost, free.Trace[0].Attempt.Cost = 0, 0
	dear.Result.Unpriced, dear.Trace[0].Attempt.Unpriced = true, true
	w.commit(free, dear)
	for i := range requests[2:] {
		tried := jobs.Attempt{At: time.Now(), Target: "cheap", Class: jobs.Content, Status: 200, Usage: jobs.Usage{Input: 1}, Unpriced: i == 0}
		w.commit(jobs.Entry{Request: &requests[2+i], Trace: jobs.Trace{{Attempt: &tried}}})
	}
	if n, err := w.CancelBatch(t.Context(), "batch_1"); n != 2 || err != nil {
		t.Fatalf("cancelled %d, %v", n, err)
	}
	events := map[string]bool{}
	for _, event := range w.owed() {
		if event.Result != nil {
			events[event.Result.RequestID] = event.Result.Unpriced
		}
	}
	for i, want := range []bool{false, true, true, false} {
		attempts, err := w.Attempts(t.Context(), requests[i].ID)
		if err != nil || len(attempts) != 1 || attempts[0].Unpriced != want {
			t.Errorf("the attempts of request %d are %+v (%v)", i, attempts, err)
		}
		for e, err := range w.Results(t.Context(), store.Filter{RequestID: requests[i].ID}) {
			if err != nil || e.Unpriced != want {
				t.Errorf("the result of request %d is unpriced: %v (%v)", i, e.Unpriced, err)
			}
		}
		if got, owed := events[requests[i].ID]; !owed || got != want {
			t.Errorf("the event of request %d is unpriced: %v (%v)", i, got, owed)
		}
	}
	if status, err := w.Status(t.Context()); err != nil || len(status.Targets) != 1 || status.Targets[0].Unpriced != 2 {
		t.Errorf("the targets stand at %+v (%v)", status.Targets, err)
	}
}

func TestTextsThatPostgresCannotKeep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("", 2)
	const bad = "a\x00b\xff\xfec"
	odd, plain := answered(&requests[0]), answered(&requests[1])
	r := odd.Result
	r.Body = []byte(bad)
	r.Target, r.Model, r.ProviderID, r.FinishReason, r.Class, r.Code, r.Message = bad, bad, bad, bad, bad, bad, bad
	odd.Trace[0].Attempt.Code, odd.Trace[0].Attempt.Message = bad, bad
	if n := w.commit(odd, plain); n != 2 {
		t.Errorf("%d of 2 results were stored", n)
	}
	for _, event := range w.owed() {
		if event.Result.RequestID != requests[0].ID {
			continue
		}
		if string(event.Result.Body) != bad {
			t.Errorf("the body is %q", event.Result.Body)
		}
		if want := "ab\uFFFDc"; event.Result.Message != want || event.Result.Model != want {
			t.Errorf("the message is %q, the model %q, not %q", event.Result.Message, event.Result.Model, want)
		}
	}
}

func TestDataErrorLeavesOneEntryAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("batch_1", 9)
	group := make([]jobs.Entry, len(requests))
	for i := range requests {
		group[i] = answered(&requests[i])
	}
	group[2].Result.State = "odd"        // breaks a CHECK
	group[5].Result.ID = "no id"         // is not even sent
	group[8].Trace[0].Attempt.At = far() // is beyond Postgres' calendar
	done, refused, err := w.Commit(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range refused {
		names = append(names, r.RequestID)
	}
	if want := []string{requests[2].ID, requests[5].ID, requests[8].ID}; !slices.Equal(names, want) {
		t.Errorf("refused: %v, not %v", refused, want)
	}
	if len(done.Stored) != 6 || w.number("SELECT count(*) FROM tidegate.attempts") != 6 {
		t.Errorf("%d results of 6 sound entries", len(done.Stored))
	}
	var broken *pgconn.PgError
	if !errors.As(refused[0], &broken) || !strings.Contains(refused[0].Error(), requests[2].ID) {
		t.Errorf("the refusal says %q", refused[0])
	}
	if got := w.batch("batch_1"); got.Completed != 6 || got.Ended() {
		t.Errorf("the batch stands at %+v", got)
	}
}

func far() time.Time { return time.Date(294_300, 1, 1, 0, 0, 0, 0, time.UTC) }

func TestCommitOfNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if n := w.commit(); n != 0 {
		t.Errorf("stored %d", n)
	}
}

// Many workers commit groups that overlap, in any order, of several batches.
func TestBatchesCountRightUnderConcurrency(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const workers, each = 8, 150
	names := []string{"batch_a", "batch_b", "batch_c"}
	var requests []jobs.Request
	for _, name := range names {
		requests = append(requests, w.accept(name, each)...)
	}
	var stored atomic.Int64
	var parts sync.WaitGroup
	for i := range workers {
		parts.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			order := random.Perm(len(requests))
			for group := range slices.Chunk(order, 1+random.IntN(60)) {
				done, refused, err := w.Commit(t.Context(), entries(requests, group))
				if err != nil || len(refused) > 0 {
					t.Errorf("refused %v: %v", refused, err)
				}
				stored.Add(int64(len(done.Stored)))
			}
		})
	}
	parts.Wait()
	if n := int(stored.Load()); n != len(requests) {
		t.Errorf("%d results were new of %d requests", n, len(requests))
	}
	for _, name := range names {
		got := w.batch(name)
		if got.State != jobs.BatchCompleted || got.Completed != each/2 || got.Failed != each/2 || got.EndedAt.IsZero() {
			t.Errorf("%s stands at %+v", name, got)
		}
	}
	ends := map[string]int{}
	results := map[string]int{}
	for _, event := range w.owed() {
		if event.Batch != nil {
			ends[event.Batch.ID]++
			continue
		}
		results[event.Result.RequestID]++
	}
	if diff := cmp.Diff(map[string]int{"batch_a": 1, "batch_b": 1, "batch_c": 1}, ends); diff != "" {
		t.Errorf("ends that are owed (-want +got):\n%s", diff)
	}
	for _, r := range requests {
		if results[r.ID] != 1 {
			t.Errorf("%d events of request %s", results[r.ID], r.ID)
		}
	}
}

// entries ends those of requests that which names, every second one well.
func entries(requests []jobs.Request, which []int) []jobs.Entry {
	var group []jobs.Entry
	for _, i := range which {
		if i%2 == 0 {
			group = append(group, answered(&requests[i]))
		} else {
			group = append(group, ended(&requests[i], jobs.StateRefused))
		}
	}
	return group
}
