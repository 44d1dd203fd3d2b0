package batchapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tidegate/jobs"
	"tidegate/jobs/queue"
	"tidegate/store"
)

// ended is a batch of a tenant that has ended: one request was answered, and the rest
// failed in these ways. Its custom ids are the classes.
func (w *world) ended(tenant string, failed ...jobs.Class) string {
	w.Helper()
	q, err := queue.New(w.pool)
	if err != nil {
		w.Fatal(err)
	}
	body := json.RawMessage(`{"messages":[{"role":"user","content":"hi"}]}`)
	requests := []jobs.Request{{Route: "summaries", Tenant: tenant, Body: body}}
	for _, class := range failed {
		requests = append(requests, jobs.Request{Route: "summaries", Tenant: tenant, Body: body, CustomID: string(class)})
	}
	batch, err := q.EnqueueMany(w.Context(), requests)
	if err != nil {
		w.Fatal(err)
	}
	rows, err := w.pool.Query(w.Context(), "SELECT id::text, coalesce(custom_id, '') FROM tidegate.requests WHERE batch_id = $1", batch.ID)
	if err != nil {
		w.Fatal(err)
	}
	var entries []jobs.Entry
	for rows.Next() {
		var id, class string
		if err := rows.Scan(&id, &class); err != nil {
			w.Fatal(err)
		}
		result := &jobs.Result{ID: uuid.NewString(), RequestID: id, State: jobs.StateRefused, Status: 400, Class: jobs.Class(class)}
		switch result.Class {
		case "":
			result.State, result.Status, result.Body = jobs.StateAnswered, 200, []byte("{}")
		case jobs.FailedExpired:
			result.State, result.Class = jobs.StateExpired, ""
		}
		entries = append(entries, jobs.Entry{Request: &jobs.Request{ID: id, BatchID: batch.ID}, Result: result})
	}
	rows.Close()
	if _, _, err := w.store.Commit(w.Context(), entries); err != nil {
		w.Fatal(err)
	}
	return batch.ID
}

// A madeRetry is a batch that tries another one again, as it is answered.
type madeRetry struct {
	ID               string
	Object, Status   string
	InputFileID      string `json:"input_file_id"`
	Endpoint         string
	CompletionWindow string         `json:"completion_window"`
	ExpiresAt        int64          `json:"expires_at"`
	RetryOf          string         `json:"retry_of"`
	Retried          map[string]int `json:"retried"`
	RequestCounts    struct{ Total int }
	Metadata         map[string]string
}

func (w *world) retry(id, body string, headers ...string) answer {
	w.Helper()
	return w.do(http.MethodPost, "/v1/batches/"+id+"/retry", "application/json", strings.NewReader(body), headers...)
}

func (a answer) made(t testing.TB) (made madeRetry) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.Body), &made); err != nil || a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	return made
}

func TestBatchIsRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.ended(jobs.DefaultTenant, jobs.Content, jobs.Content, jobs.Context, jobs.FailedExpired)
	made := w.retry(id, `{"classes":["content"],"route":"summaries","goal":"cost","completion_window":"2h","metadata":{"n":"1"}}`).made(t)
	if made.Object != "batch" || made.Status != "in_progress" || made.RetryOf != id || made.Retried["CONTENT"] != 2 || len(made.Retried) != 1 ||
		made.CompletionWindow != "2h" || made.Metadata["n"] != "1" || made.Endpoint != "/v1/chat/completions" || made.ExpiresAt < time.Now().Unix() {
		t.Errorf("it is %+v", made)
	}
	stored, err := w.store.Batch(t.Context(), made.ID)
	if err != nil || stored.Total != 2 || stored.Order.Retry.Route != "summaries" || stored.Order.Retry.Goal != "cost" {
		t.Errorf("stored is %+v, %v", stored, err)
	}
	shown := w.do(http.MethodGet, "/v1/batches/"+made.ID, "", nil).made(t)
	if shown.RetryOf != id || shown.Retried["CONTENT"] != 2 {
		t.Errorf("it is shown as %+v", shown)
	}
	if rest := w.retry(id, "").made(t); rest.Retried["CONTEXT"] != 1 || len(rest.Retried) != 1 { // without a body: all that was refused and is left
		t.Errorf("the rest is %+v", rest)
	}
	if late := w.retry(id, `{"classes":["EXPIRED"],"metadata":{"tidegate.max_cost_usd":"2"}}`).made(t); late.Retried["EXPIRED"] != 1 {
		t.Errorf("what expired is %+v", late)
	}
}

func TestRetryIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.ended(jobs.DefaultTenant, jobs.Content)
	q, err := queue.New(w.pool)
	if err != nil {
		t.Fatal(err)
	}
	open, err := q.EnqueueMany(t.Context(), []jobs.Request{{Route: "summaries", Body: json.RawMessage(`{"messages":[{"role":"user","content":"hi"}]}`)}})
	if err != nil {
		t.Fatal(err)
	}
	embeddings := w.ended(jobs.DefaultTenant, jobs.Content)
	if _, err := w.pool.Exec(t.Context(), "UPDATE tidegate.requests SET endpoint = '/v1/embeddings' WHERE batch_id = $1", embeddings); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		id, body    string
		status      int
		param, code string
		says        string
	}{
		"not there":         {"batch_0", "{}", 404, "id", "", "No such Batch"},
		"of another tenant": {w.ended("umbrella", jobs.Content), "{}", 404, "id", "", "No such Batch"},
		"it goes on":        {open.ID, "{}", 409, "id", "batch_not_ended", "'in_progress'"},
		"nothing":           {id, `{"classes":["CONTEXT"]}`, 400, "classes", "nothing_to_retry", "1 CONTENT"},
		"class":             {id, `{"classes":["CONTENTS"]}`, 400, "classes", "invalid_value", "there are: RATE, "},
		"an answer":         {id, `{"classes":["OK"]}`, 400, "classes", "invalid_value", "OK"},
		"route":             {id, `{"route":"nowhere"}`, 400, "route", "invalid_value", "there are: summaries"},
		"goal":              {id, `{"goal":"nothing"}`, 400, "goal", "invalid_value", "there are: ordered"},
		"route in metadata": {id, `{"metadata":{"tidegate.route":"nowhere"}}`, 400, "metadata.tidegate.route", "invalid_value", "there are: summaries"},
		"endpoint":          {embeddings, `{"route":"summaries"}`, 400, "route", "endpoint_not_served", "serves /v1/embeddings"},
		"and in metadata":   {embeddings, `{"metadata":{"tidegate.route":"summaries"}}`, 400, "metadata.tidegate.route", "endpoint_not_served", "serves /v1/embeddings"},
		"budget":            {id, `{"metadata":{"tidegate.max_cost_usd":"-1"}}`, 400, "metadata.tidegate.max_cost_usd", "invalid_value", "dollars"},
		"window":            {id, `{"completion_window":"soon"}`, 400, "completion_window", "invalid_value", "soon"},
		"unknown field":     {id, `{"class":["CONTENT"]}`, 400, "class", "unknown_parameter", "class"},
		"no JSON":           {id, `{`, 400, "", "invalid_json", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.retry(c.id, c.body)
			message, _, param, code := got.fault(t)
			if got.Status != c.status || param != c.param || code != c.code || !strings.Contains(message, c.says) {
				t.Errorf("%d %s", got.Status, got.Body)
			}
		})
	}
	made := w.retry(id, "").made(t)
	got := w.retry(id, "")
	if message, _, _, code := got.fault(t); got.Status != http.StatusConflict || code != "already_retried" || !strings.Contains(message, made.ID) {
		t.Errorf("again: %d %s", got.Status, got.Body)
	}
}

// A retry that is asked for again, since its answer was lost, is made once.
func TestRetryIsRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, other := w.ended(jobs.DefaultTenant, jobs.Content), w.ended(jobs.DefaultTenant, jobs.Content)
	first := w.retry(id, "{}").made(t)
	if again := w.retry(id, "{}", "X-Stainless-Retry-Count", "1").made(t); again.ID != first.ID {
		t.Errorf("an SDK's repetition made %s beside %s", again.ID, first.ID)
	}
	if of := w.retry(other, "{}", "X-Stainless-Retry-Count", "1").made(t); of.ID == first.ID {
		t.Error("that of another batch is the same")
	}
	third := w.ended(jobs.DefaultTenant, jobs.Content)
	keyed := w.retry(third, "{}", "Idempotency-Key", "k").made(t)
	if again := w.retry(third, "{}", "Idempotency-Key", "k").made(t); again.ID != keyed.ID {
		t.Errorf("the same key made %s beside %s", again.ID, keyed.ID)
	}
	if got := w.retry(id, "{}", "Idempotency-Key", "k"); got.Status != http.StatusConflict || !strings.Contains(got.Body, "idempotency_key_reused") {
		t.Errorf("of another batch under that key: %d %s", got.Status, got.Body)
	}
	// Nor need it be right any more.
	if err := w.store.SaveRoutes(t.Context(), []jobs.Route{{Name: "large", Goal: "ordered"}}); err != nil {
		t.Fatal(err)
	}
	routed := w.retry(w.ended(jobs.DefaultTenant, jobs.Content), `{"route":"large"}`, "Idempotency-Key", "l").made(t)
	if _, err := w.store.RetireRoute(t.Context(), "large"); err != nil {
		t.Fatal(err)
	}
	if again := w.retry(routed.RetryOf, `{"route":"large"}`, "Idempotency-Key", "l").made(t); again.ID != routed.ID {
		t.Errorf("with its route gone, the same key made %s beside %s", again.ID, routed.ID)
	}
	if got := w.retry(routed.RetryOf, `{"route":"large"}`, "Idempotency-Key", "m"); got.Status != http.StatusBadRequest {
		t.Errorf("anew: %d %s", got.Status, got.Body)
	}
	batches, err := w.store.BatchesOf(t.Context(), jobs.DefaultTenant, store.Page{Limit: 100})
	if err != nil || len(batches) != 8 {
		t.Errorf("%d batches, %v", len(batches), err)
	}
}
