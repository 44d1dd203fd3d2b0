package queue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
	"tidegate/store"
)

// fates are the classes with which the requests of a batch end, in turn; empty: they
// are answered.
var fates = []jobs.Class{"", jobs.Content, jobs.Context, "", jobs.FailedExpired, jobs.FailedPoison}

// end ends all requests of a batch that have no result, in the order in which they came:
// as fates say, or all as one.
func (w *world) end(id string, fate ...jobs.Class) {
	w.t.Helper()
	if len(fate) == 0 {
		fate = fates
	}
	var entries []jobs.Entry
	for i, request := range w.unended(id) {
		result := &jobs.Result{ID: uuid.NewString(), RequestID: request, State: jobs.StateRefused, Status: 400, Message: "no"}
		switch class := fate[i%len(fate)]; class {
		case "":
			result.State, result.Status, result.Body = jobs.StateAnswered, 200, []byte(`{"object":"chat.completion"}`)
		case jobs.FailedExpired, jobs.FailedPoison, jobs.FailedCancelled:
			result.State = jobs.State(strings.ToLower(string(class)))
		default:
			result.Class = class
		}
		entries = append(entries, jobs.Entry{Request: &jobs.Request{ID: request, BatchID: id}, Result: result})
	}
	if _, _, err := w.store.Commit(w.t.Context(), entries); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) unended(id string) []string {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), `SELECT id::text FROM tidegate.requests q WHERE batch_id = $1
		AND NOT EXISTS (SELECT FROM tidegate.results r WHERE r.request_id = q.id) ORDER BY id`, id)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var request string
		if err := rows.Scan(&request); err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, request)
	}
	return ids
}

// ended is a batch of a file that has ended as fates say.
func (w *world) ended(lines string, change ...func(*jobs.BatchOrder)) jobs.Batch {
	w.t.Helper()
	id := w.order(lines, change...).ID
	w.keep(id)
	w.end(id)
	if batch := w.keep(id); batch.State != jobs.BatchCompleted {
		w.t.Fatalf("it is %+v", batch)
	}
	return w.batch(id)
}

func (w *world) retry(of string, change ...func(*jobs.Retry)) (jobs.Batch, error) {
	w.t.Helper()
	retry := jobs.Retry{ID: store.NewBatchID(), Of: of, CreatedAt: time.Now().Truncate(time.Microsecond)}
	for _, c := range change {
		c(&retry)
	}
	return w.store.CreateRetry(w.t.Context(), retry, store.Once{})
}

func classes(of ...jobs.Class) func(*jobs.Retry) {
	return func(r *jobs.Retry) { r.Classes = of }
}

// retried makes a retry that must be.
func (w *world) retried(of string, change ...func(*jobs.Retry)) jobs.Batch {
	w.t.Helper()
	batch, err := w.retry(of, change...)
	if err != nil {
		w.t.Fatal(err)
	}
	return batch
}

// requests reads a batch's requests by their custom ids.
func (w *world) requests(id string) map[string]jobs.Request {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), "SELECT id::text FROM tidegate.requests WHERE batch_id = $1 ORDER BY id", id)
	if err != nil {
		w.t.Fatal(err)
	}
	var ids []string
	for rows.Next() {
		var request string
		if err := rows.Scan(&request); err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, request)
	}
	rows.Close()
	all := map[string]jobs.Request{}
	for _, request := range ids {
		r := w.load(request)
		if len(r.Body) == 0 { // it has ended
			if err := w.pool.QueryRow(w.t.Context(), "SELECT body FROM tidegate.requests WHERE id = $1", request).Scan((*[]byte)(&r.Body)); err != nil {
				w.t.Fatal(err)
			}
		}
		all[r.CustomID] = r
	}
	return all
}

func TestRetryOfABatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const own = `{"custom_id":"own","method":"POST","url":"/v1/chat/completions","deadline":"2h","max_cost_usd":0.5,"priority":1,"optimization_goal":"cost",` +
		`"metadata":{"a":"b"},"expect":{"min_characters":3},"body":{"model":"m","messages":[{"role":"user","content":"own"}],"x":[1]}}` + "\n"
	lines := inputLines(11)
	of := w.ended(lines[:strings.Index(lines, "\n")+1]+own+lines[strings.Index(lines, "\n")+1:], func(o *jobs.BatchOrder) {
		o.Metadata = map[string]string{"night": "7", "tidegate.route": "summaries"}
	})
	before := w.results(of.ID)

	again := w.retried(of.ID, classes(jobs.Content, jobs.FailedExpired))
	if again.RetryOf != of.ID || again.State != jobs.BatchInProgress || again.Total != 4 || again.Tenant != "acme" {
		t.Fatalf("it is %+v", again)
	}
	if diff := cmp.Diff(jobs.BatchRetry{Took: jobs.Failures{jobs.Content: 2, jobs.FailedExpired: 2}, InputFile: of.Order.InputFile}, *again.Order.Retry); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	o := again.Order
	if o.InputFile != of.Order.InputFile || o.Endpoint != of.Order.Endpoint || o.Window != "24h" || o.ExpiresAt.Sub(again.CreatedAt) != 24*time.Hour || o.Model != "m" {
		t.Errorf("its order is %+v", o)
	}
	if diff := cmp.Diff(map[string]string{"night": "7"}, o.Metadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	w.keep(again.ID)
	first, second := w.requests(of.ID), w.requests(again.ID)
	if got, want := slices.Sorted(maps.Keys(second)), []string{"c3", "c6", "c9", "own"}; !slices.Equal(got, want) {
		t.Fatalf("it has %v, not %v", got, want)
	}
	for name, got := range second {
		want := first[name]
		if had, has := want.Deadline.Sub(want.CreatedAt), got.Deadline.Sub(again.CreatedAt); had != has {
			t.Errorf("%s had %s, and has %s", name, had, has)
		}
		if got.RetryOf != want.ID || got.ID == want.ID || !got.CreatedAt.Equal(again.CreatedAt) {
			t.Errorf("%s is %+v", name, got)
		}
		want.RetryOf, want.ID, want.BatchID, want.CreatedAt, want.Deadline = got.RetryOf, got.ID, again.ID, got.CreatedAt, got.Deadline
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if n := w.number("SELECT count(*) FROM tidegate.river_job j JOIN tidegate.requests q ON q.id = (j.args->>'r')::uuid WHERE j.state = 'available' AND j.queue = 'summaries' AND q.batch_id = $1", again.ID); n != 4 {
		t.Errorf("%d jobs", n)
	}
	w.end(again.ID, "", jobs.BadRequest)
	if again = w.keep(again.ID); again.State != jobs.BatchCompleted {
		t.Fatalf("it is %+v", again)
	}
	output, faults := customIDs(t, w.lines(again.Order.OutputFile)), customIDs(t, w.lines(again.Order.ErrorFile))
	if got := slices.Sorted(maps.Keys(output)); !slices.Equal(got, []string{"c6", "own"}) {
		t.Errorf("answered are %v", got)
	}
	if got := slices.Sorted(maps.Keys(faults)); !slices.Equal(got, []string{"c3", "c9"}) {
		t.Errorf("failed are %v", got)
	}
	if diff := cmp.Diff(before, w.results(of.ID)); diff != "" {
		t.Errorf("the first results have changed (-want +got):\n%s", diff)
	}
	var event string
	if err := w.pool.QueryRow(t.Context(), "SELECT batch_state FROM tidegate.outbox WHERE batch_id = $1", again.ID).Scan(&event); err != nil || event != "completed" {
		t.Errorf("its event is %q, %v", event, err)
	}
}

func (w *world) results(id string) []jobs.ResultEvent {
	w.t.Helper()
	var all []jobs.ResultEvent
	for event, err := range w.store.Results(w.t.Context(), store.Filter{BatchID: id}) {
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, event)
	}
	return all
}

func TestRetryTakesWhatNoOtherHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	of := w.ended(inputLines(12)).ID
	wants := func(err error, by ...string) {
		t.Helper()
		var nothing *store.NothingToRetryError
		if !errors.As(err, &nothing) || !slices.Equal(nothing.By, by) {
			t.Errorf("it says %v, not %v", err, by)
		}
	}
	_, err := w.retry(of, classes(jobs.BadRequest))
	wants(err)
	if !strings.Contains(err.Error(), "2 CONTENT, 2 CONTEXT, 2 EXPIRED, 2 POISON") {
		t.Errorf("it says %v", err)
	}
	first := w.retried(of, classes(jobs.Content))
	took, left, err := w.store.PlanRetry(t.Context(), jobs.Retry{Of: of})
	if err != nil || took.String() != "2 CONTEXT" || left.String() != "2 CONTENT, 2 EXPIRED, 2 POISON" {
		t.Errorf("it would take %s and leave %s, %v", took, left, err)
	}
	second := w.retried(of) // what was refused, but for what the first one has
	if second.Total != 2 || second.Order.Retry.Took[jobs.Context] != 2 {
		t.Errorf("the second has %+v", second.Order.Retry)
	}
	_, err = w.retry(of)
	wants(err, first.ID, second.ID)
	w.keep(first.ID)
	w.end(first.ID, jobs.Content, "")
	w.keep(first.ID)
	third := w.retried(first.ID)
	w.keep(third.ID)
	if third.Total != 1 || len(w.requests(third.ID)) != 1 || third.Order.InputFile != w.batch(of).Order.InputFile {
		t.Errorf("the retry of a retry is %+v %+v", third, third.Order)
	}
}

func TestRetryIsOtherwise(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	of := w.ended(inputLines(6)).ID
	w.exec("INSERT INTO tidegate.budgets (scope, name, total, set_by) VALUES ('batch', $1, 5000000, 'producer')", of)
	again := w.retried(of, func(r *jobs.Retry) {
		r.Route, r.Goal, r.MaxCost, r.Within, r.Window, r.Metadata = "labels", "speed", 7, 7*24*time.Hour, "7d", map[string]string{"n": "2"}
	})
	w.keep(again.ID)
	if o := again.Order; o.Window != "7d" || o.ExpiresAt.Sub(again.CreatedAt) != 7*24*time.Hour || o.Metadata["n"] != "2" {
		t.Errorf("its order is %+v", o)
	}
	for name, r := range w.requests(again.ID) {
		if r.Route != "labels" || r.Goal != "speed" || r.MaxCost != 7 || r.Deadline.Sub(again.CreatedAt) != 7*24*time.Hour {
			t.Errorf("%s is %+v", name, r)
		}
	}
	if n := w.number("SELECT count(*) FROM tidegate.budgets WHERE scope = 'batch' AND name = $1 AND total = 5000000 AND spent = 0", again.ID); n != 1 {
		t.Errorf("%d budgets like the first one's", n)
	}
	limits := &jobs.BudgetLimits{Total: 3}
	more := w.retried(of, classes(jobs.FailedExpired), func(r *jobs.Retry) { r.Limits = limits })
	if n := w.number("SELECT total FROM tidegate.budgets WHERE scope = 'batch' AND name = $1", more.ID); n != 3 {
		t.Errorf("its budget is %d", n)
	}
	none := w.retried(of, classes(jobs.FailedPoison), func(r *jobs.Retry) { r.Limits = &jobs.BudgetLimits{} })
	if n := w.number("SELECT count(*) FROM tidegate.budgets WHERE scope = 'batch' AND name = $1", none.ID); n != 0 {
		t.Errorf("%d budgets of one that was to have none", n)
	}
}

func TestRetryThatCannotBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	goesOn := w.order(inputLines(3)).ID
	var open *store.NotEndedError
	if _, err := w.retry(goesOn); !errors.As(err, &open) || open.State != jobs.BatchValidating {
		t.Errorf("of one that is validating: %v", err)
	}
	w.keep(goesOn)
	w.end(goesOn, jobs.Content)
	if _, err := w.retry(goesOn); !errors.As(err, &open) || open.State != jobs.BatchFinalizing {
		t.Errorf("of one that is finalizing: %v", err)
	}
	if _, err := w.retry("batch_0"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of none: %v", err)
	}
	w.keep(goesOn)
	if _, err := w.retry(goesOn, func(r *jobs.Retry) { r.Tenant = "umbrella" }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of another tenant's: %v", err)
	}
	failed := w.keep(w.order("{").ID)
	var nothing *store.NothingToRetryError
	if _, err := w.retry(failed.ID); !errors.As(err, &nothing) || len(nothing.Failed) != 0 {
		t.Errorf("of one without requests: %v", err)
	}
	if n := w.number("SELECT count(*) FROM tidegate.batches WHERE retry_of IS NOT NULL"); n != 0 {
		t.Errorf("%d retries", n)
	}
	once := store.Once{Key: "retry", Hash: [32]byte{1}, Within: time.Hour, Repeated: true}
	one, err := w.store.CreateRetry(t.Context(), jobs.Retry{ID: store.NewBatchID(), Of: goesOn, Tenant: "acme", CreatedAt: time.Now()}, once)
	if err != nil {
		t.Fatal(err)
	}
	two, err := w.store.CreateRetry(t.Context(), jobs.Retry{ID: store.NewBatchID(), Of: goesOn, Tenant: "acme", CreatedAt: time.Now()}, once)
	if err != nil || two.ID != one.ID || two.Order.Retry.Took.Sum() != 3 {
		t.Errorf("repeated it is %s for %s, %v", two.ID, one.ID, err)
	}
}

// A batch that a Go program or a shell enqueued has no file, and can be retried all
// the same.
func TestRetryOfABatchWithoutAFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := some(7)
	for i := range requests {
		requests[i].CustomID, requests[i].Tenant = fmt.Sprintf("c%d", i), "acme"
	}
	requests[1].Route, requests[1].Deadline = "labels", time.Time{} // which has no deadline
	requests[2].Deadline = time.Now().Add(time.Hour)
	of, err := w.EnqueueMany(t.Context(), requests)
	if err != nil {
		t.Fatal(err)
	}
	w.end(of.ID, jobs.Context)
	again := w.retried(of.ID)
	w.keep(again.ID)
	made := w.requests(again.ID)
	if len(made) != 7 || again.Order.InputFile != "" || again.Order.Window != "" || !again.Order.ExpiresAt.IsZero() {
		t.Fatalf("%d requests, %+v", len(made), again.Order)
	}
	if r := made["c0"]; r.Deadline.Sub(again.CreatedAt).Round(time.Second) != 24*time.Hour {
		t.Errorf("of its route: %s", r.Deadline.Sub(again.CreatedAt))
	}
	if r := made["c1"]; !r.Deadline.IsZero() || r.Route != "labels" {
		t.Errorf("without a deadline: %+v", r)
	}
	if r := made["c2"]; r.Deadline.Sub(again.CreatedAt).Round(time.Minute) != time.Hour {
		t.Errorf("of its own: %s", r.Deadline.Sub(again.CreatedAt))
	}
	w.end(again.ID, "")
	if again = w.keep(again.ID); again.State != jobs.BatchCompleted || again.Completed != 7 || len(w.lines(again.Order.OutputFile)) != 7 || again.Order.ErrorFile != "" {
		t.Errorf("it is %+v %+v", again, again.Order)
	}
}

// A Keeper that is killed is followed by another one, wherever it was.
func TestRetryIsGoneOnWith(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const total = 6400
	id := w.order(inputLines(total)).ID
	w.keep(id)
	w.end(id, jobs.Content, "")
	w.keep(id)
	again := w.retried(id).ID
	for round := 0; !w.batch(again).State.Final(); round++ {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(round*round)*time.Millisecond)
		err := w.keeper().Keep(ctx, again)
		cancel()
		if w.batch(again).State == jobs.BatchInProgress && err == nil {
			w.answer(again, total)
		}
	}
	batch := w.batch(again)
	lines := append(w.lines(batch.Order.OutputFile), w.lines(batch.Order.ErrorFile)...)
	if len(customIDs(t, lines)) != total/2 || batch.State != jobs.BatchCompleted || batch.Completed+batch.Failed != total/2 {
		t.Errorf("%d lines, %+v", len(lines), batch)
	}
	if n := w.number("SELECT count(DISTINCT retry_of) FROM tidegate.requests WHERE batch_id = $1", again); n != total/2 {
		t.Errorf("%d requests are tried again", n)
	}
	if n := w.number("SELECT count(*) FROM tidegate.river_job WHERE kind = 'completion'"); n != total+total/2 {
		t.Errorf("%d jobs", n)
	}
}

// Two Keepers at once enqueue each request once.
func TestRetryIsKeptTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.order(inputLines(3000)).ID
	w.keep(id)
	w.end(id, jobs.Content)
	w.keep(id)
	again := w.retried(id).ID
	errs := make(chan error, 2)
	for range 2 {
		go func() { errs <- w.keeper().Keep(context.WithoutCancel(t.Context()), again) }()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	w.keep(again) // the one that gave up may have been the last
	if n := w.number("SELECT count(DISTINCT retry_of) FROM tidegate.requests WHERE batch_id = $1", again); n != 3000 {
		t.Errorf("%d are tried again", n)
	}
	if n := w.number("SELECT count(*) FROM tidegate.river_job WHERE kind = 'completion'"); n != 6000 {
		t.Errorf("%d jobs", n)
	}
}

func TestRetryIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.order(inputLines(1500)).ID
	w.keep(id)
	w.end(id, jobs.Content)
	w.keep(id)
	again := w.retried(id).ID
	if err := w.store.StartCancel(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	batch := w.keep(again)
	if batch.State != jobs.BatchCancelled || batch.Failed != 1500 || len(w.lines(batch.Order.ErrorFile)) != 1500 {
		t.Errorf("it is %+v", batch)
	}
	took, _, err := w.store.PlanRetry(t.Context(), jobs.Retry{Of: again, Classes: []jobs.Class{jobs.FailedCancelled}})
	if err != nil || took[jobs.FailedCancelled] != 1500 {
		t.Errorf("of it %v could be tried again, %v", took, err)
	}
}

// A route that is gone ends those that need it as refused, and nobody else.
func TestRetryOnARouteThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	of, err := w.EnqueueMany(t.Context(), []jobs.Request{{Route: "labels", Body: hello, CustomID: "l"}, {Route: "summaries", Body: hello, CustomID: "s"}})
	if err != nil {
		t.Fatal(err)
	}
	w.end(of.ID, jobs.Content)
	again := w.retried(of.ID)
	if _, err := w.store.RetireRoute(t.Context(), "labels"); err != nil {
		t.Fatal(err)
	}
	fresh := newWorldAt(t, w.pool.Config().ConnString())
	if _, err := fresh.store.RetireRoute(t.Context(), "labels"); err != nil {
		t.Fatal(err)
	}
	if batch := fresh.keep(again.ID); batch.State != jobs.BatchInProgress || batch.Failed != 1 {
		t.Errorf("it is %+v", batch)
	}
}

func TestFailedRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	of, err := w.EnqueueMany(t.Context(), some(4))
	if err != nil {
		t.Fatal(err)
	}
	open := w.unended(of.ID)
	read := func(ids ...string) (failed []jobs.Request, err error) {
		err = store.Transact(t.Context(), w.pool, func(tx pgx.Tx) error {
			failed, err = store.Failed(t.Context(), tx, ids)
			return err
		})
		return failed, err
	}
	if _, err := read(open[0]); err == nil || !strings.Contains(err.Error(), "has not ended") {
		t.Errorf("one that goes on: %v", err)
	}
	w.end(of.ID, jobs.Content, jobs.FailedExpired, "")
	if _, err := read(open...); err == nil || !strings.Contains(err.Error(), "has its answer") {
		t.Errorf("one with an answer: %v", err)
	}
	if _, err := read(uuid.NewString()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
	failed, err := read(open[:2]...)
	if err != nil || len(failed) != 2 || failed[0].ID != open[0] || !json.Valid(failed[1].Body) {
		t.Errorf("they are %+v, %v", failed, err)
	}
	var again *store.RetriedError
	made := w.retried(of.ID) // of class CONTENT, and nothing is enqueued yet
	if _, err := read(open[0]); !errors.As(err, &again) || *again != (store.RetriedError{Request: open[0], Batch: made.ID}) {
		t.Errorf("one that a batch is to try again: %v", err)
	}
	w.keep(made.ID)
	by := w.unended(made.ID)[0]
	if _, err := read(open[1], open[0]); !errors.As(err, &again) || *again != (store.RetriedError{Request: open[0], By: by, Batch: made.ID}) {
		t.Errorf("one that a request of a batch tries again: %v", err)
	}
	if failed, err := read(open[1]); err != nil || len(failed) != 1 {
		t.Errorf("one of another class: %+v, %v", failed, err)
	}
}

// A request asks for the endpoint again that it asked for, and is refused on a route
// whose targets do not serve it.
func TestRetryKeepsTheEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.announce(
		jobs.Route{Name: "summaries", Goal: "ordered", Endpoints: jobs.EndpointSetOf(jobs.EndpointChat, jobs.EndpointEmbeddings)},
		jobs.Route{Name: "labels", Goal: "ordered", Endpoints: jobs.EndpointSetOf(jobs.EndpointChat)},
	)
	const line = `{"custom_id":"n-%d","method":"POST","url":"/v1/embeddings","body":{"input":"a"}}` + "\n"
	of := w.order(fmt.Sprintf(line+line, 1, 2), func(o *jobs.BatchOrder) { o.Endpoint = jobs.EndpointEmbeddings.String() }).ID
	w.keep(of)
	w.end(of, jobs.Context, jobs.BadRequest)
	w.keep(of)
	again := w.retried(of, classes(jobs.Context))
	w.keep(again.ID)
	if r := w.requests(again.ID)["n-1"]; r.Endpoint != jobs.EndpointEmbeddings || again.Order.Endpoint != "/v1/embeddings" {
		t.Errorf("it asks for %s, in a batch of %s", r.Endpoint, again.Order.Endpoint)
	}
	_, err := w.store.CreateRetry(t.Context(), jobs.Retry{ID: store.NewBatchID(), Of: of, CreatedAt: time.Now(), Route: "labels"}, store.Once{})
	var unserved *store.NotServedError
	if !errors.As(err, &unserved) || !strings.Contains(err.Error(), "/v1/embeddings") || !strings.Contains(err.Error(), "labels") {
		t.Errorf("on a route that serves chats alone: %v", err)
	}
	if _, _, err := w.store.PlanRetry(t.Context(), jobs.Retry{Of: of, Route: "labels"}); !errors.As(err, &unserved) {
		t.Errorf("a plan of that: %v", err)
	}
	left := w.retried(of) // and nothing was made of what was refused
	if left.Total != 1 || left.Order.Retry.Took[jobs.BadRequest] != 1 {
		t.Errorf("then it takes %+v", left.Order.Retry)
	}
}

// What a route serves may change once its requests are accepted: then they are refused
// one by one, and their batch ends.
func TestRetryOnARouteThatServesLess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := jobs.EndpointSetOf(jobs.EndpointChat, jobs.EndpointEmbeddings)
	w.announce(jobs.Route{Name: "summaries", Goal: "ordered", Endpoints: all}, jobs.Route{Name: "labels", Goal: "ordered", Endpoints: all})
	of := w.order(`{"custom_id":"n-1","method":"POST","url":"/v1/embeddings","body":{"input":"a"}}`+"\n", func(o *jobs.BatchOrder) { o.Endpoint = jobs.EndpointEmbeddings.String() }).ID
	w.keep(of)
	w.end(of, jobs.BadRequest)
	w.keep(of)
	elsewhere := w.retried(of, func(r *jobs.Retry) { r.Route = "labels" })
	fresh := newWorldAt(t, w.pool.Config().ConnString()) // which announces both as serving chats alone
	fresh.keep(elsewhere.ID)
	if batch := fresh.keep(elsewhere.ID); batch.State != jobs.BatchCompleted || batch.Failed != 1 {
		t.Fatalf("it is %+v", batch)
	}
	if lines := w.lines(w.batch(elsewhere.ID).Order.ErrorFile); len(lines) != 1 || !strings.Contains(lines[0], "labels") {
		t.Errorf("it says %s", lines)
	}
}
