package batchapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
	"tidegate/jobs/batchapi"
)

const said = `"body":{"messages":[{"role":"user","content":"Say it."}]}`

// job is a request as an answer shows it.
type job struct {
	ID            string            `json:"id"`
	Status        string            `json:"status"`
	Route         string            `json:"route"`
	Goal          *string           `json:"optimization_goal"`
	CustomID      *string           `json:"custom_id"`
	BatchID       *string           `json:"batch_id"`
	Priority      int               `json:"priority"`
	MaxCostUSD    *float64          `json:"max_cost_usd"`
	Metadata      map[string]string `json:"metadata"`
	CreatedAt     time.Time         `json:"created_at"`
	Deadline      *time.Time        `json:"deadline"`
	EndedAt       *time.Time        `json:"ended_at"`
	ResultSubject string            `json:"result_subject"`
	Result        *struct {
		State   string
		CostUSD *float64 `json:"cost_usd"`
		Target  *string
		Usage   jobs.Usage
		Error   *struct {
			Class, Code *string
			Status      int
			Message     string
		}
		Response json.RawMessage
		Bytes    int `json:"response_bytes"`
	}
}

func decodeInto[T any](t testing.TB, got answer, status int) (into T) {
	t.Helper()
	if got.Status != status {
		t.Fatalf("%d, not %d: %s", got.Status, status, got.Body)
	}
	if err := json.Unmarshal([]byte(got.Body), &into); err != nil {
		t.Fatal(err)
	}
	return into
}

func (w *world) post(path, body string, headers ...string) answer {
	w.Helper()
	return w.do(http.MethodPost, path, "application/json", strings.NewReader(body), headers...)
}

func (w *world) get(path string, headers ...string) answer {
	w.Helper()
	return w.do(http.MethodGet, path, "", nil, headers...)
}

func (w *world) loaded(id string) jobs.Request {
	w.Helper()
	all, err := w.store.Load(w.Context(), []string{id})
	if err != nil || len(all) != 1 {
		w.Fatalf("%d requests, %v", len(all), err)
	}
	return all[0].Request
}

// A request over HTTP is what a line of a file would be, byte for byte.
func TestJobIsALine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.store.SaveRoutes(t.Context(), []jobs.Route{{Name: "labels", Goal: "ordered", Models: []string{"small"}, Deadline: time.Hour}}); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	body := "{\n  \"messages\": [ {\"role\":\"user\",\n\"content\":\"é <&> \\u00e9\"} ], \"seed\": 1e2 }"
	got := w.post("/v1/jobs", fmt.Sprintf("\n {\"route\": \"summaries\", \"custom_id\":\"a/1\",\n \"goal\":\"cost\", \"deadline\": %q, \"max_cost_usd\": 0.05, \"priority\": 1, \"metadata\":{\"k\":\"v\"}, "+
		"\"tenant\":\"default\", \"method\":\"POST\", \"url\":\"/v1/chat/completions\", \"expect\":{\"min_characters\":3}, \"body\": %s }\n", at.Format(time.RFC3339), body))
	made := decodeInto[job](t, got, http.StatusAccepted)
	stored := w.loaded(made.ID)
	want := jobs.Request{
		ID: made.ID, Tenant: "default", Route: "summaries", Goal: "cost", CustomID: "a/1", Deadline: at, MaxCost: jobs.USD(0.05), Priority: 1,
		Metadata: map[string]string{"k": "v"}, Body: json.RawMessage(body), CreatedAt: stored.CreatedAt, Expect: stored.Expect,
	}
	if diff := cmp.Diff(want, stored, cmp.AllowUnexported(jobs.Expect{})); diff != "" || stored.Expect == nil {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if got.Header.Get("Location") != "/v1/jobs/"+made.ID || made.Status != "waiting" || *made.Goal != "cost" || *made.CustomID != "a/1" || !made.Deadline.Equal(at) ||
		*made.MaxCostUSD != 0.05 || made.Priority != 1 || made.Metadata["k"] != "v" || made.BatchID != nil || made.Result != nil || made.EndedAt != nil ||
		made.ResultSubject != "tidegate.v1.default.results.summaries.-."+made.ID {
		t.Errorf("it says %s", got.Body)
	}
	byModel := decodeInto[job](t, w.post("/v1/jobs", `{"model":"small","messages":[{"role":"user","content":"x"}]}`), http.StatusAccepted)
	if byModel.Route != "labels" || byModel.Deadline == nil || byModel.Deadline.Sub(byModel.CreatedAt) != time.Hour {
		t.Errorf("a completion by itself: %+v", byModel)
	}
	if again := decodeInto[job](t, w.get("/v1/jobs/"+made.ID), http.StatusOK); again.ID != made.ID {
		t.Errorf("it is shown as %+v", again)
	}
	soonOver := decodeInto[job](t, w.post("/v1/jobs", `{"route":"labels","deadline":"2h",`+said+`}`), http.StatusAccepted)
	if left := soonOver.Deadline.Sub(soonOver.CreatedAt); left < 2*time.Hour-time.Minute || left > 2*time.Hour+time.Minute {
		t.Errorf("two hours are %s", left)
	}
}

// What is wrong with a request names its field, and says what would be right.
func TestJobsThatAreWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.store.SaveRoutes(t.Context(), []jobs.Route{{Name: "labels", Goal: "ordered"}}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ body, param, code, says string }{
		"nothing":            {``, "", "invalid_json", "there is nothing"},
		"a list":             {`[]`, "", "invalid_json", "JSON array"},
		"no JSON":            {`{"body":`, "", "invalid_json", "not JSON at byte"},
		"two":                {`{"route":"labels",` + said + `} {}`, "", "invalid_json", "not JSON at byte"},
		"not UTF-8":          {"{\"a\":\"\xff\"}", "", "invalid_json", "UTF-8"},
		"no body":            {`{"route":"labels"}`, "body", "invalid_request", "is missing"},
		"no messages":        {`{"route":"labels","body":{}}`, "body.messages", "invalid_request", "at least one message"},
		"a stream":           {`{"route":"labels","body":{"messages":[{}],"stream":true}}`, "body.stream", "invalid_request", "cannot stream"},
		"no route":           {`{` + said + `}`, "route", "invalid_request", "there are: labels, summaries"},
		"an unknown route":   {`{"route":"label",` + said + `}`, "route", "invalid_request", "there are: labels, summaries"},
		"an unknown goal":    {`{"route":"labels","goal":"fast",` + said + `}`, "optimization_goal", "invalid_request", "there are: cost, ordered"},
		"an unknown field":   {`{"route":"labels","priorty":1,` + said + `}`, "priorty", "invalid_request", `did you mean "priority"`},
		"a subject":          {`{"route":"labels","subject":"mine",` + said + `}`, "subject", "invalid_request", "unknown field"},
		"a field twice":      {`{"route":"labels","route":"labels",` + said + `}`, "route", "invalid_request", "stands twice"},
		"a deadline":         {`{"route":"labels","deadline":"soon",` + said + `}`, "deadline", "invalid_request", "neither a time"},
		"a deadline past":    {`{"route":"labels","deadline":"2001-01-01T00:00:00Z",` + said + `}`, "deadline", "invalid_request", "has passed"},
		"a cost":             {`{"route":"labels","max_cost_usd":0,` + said + `}`, "max_cost_usd", "invalid_request", "must lie between"},
		"a priority":         {`{"route":"labels","priority":9,` + said + `}`, "priority", "invalid_request", "not from 1"},
		"metadata":           {`{"route":"labels","metadata":{"a":1},` + said + `}`, "metadata", "invalid_request", "strings"},
		"an expectation":     {`{"route":"labels","expect":{"regex":"("},` + said + `}`, "expect.regex", "invalid_request", ""},
		"a schema":           {`{"route":"labels","expect":{"json_schema":{"type":"x"}},` + said + `}`, "expect.json_schema", "invalid_request", ""},
		"another's":          {`{"route":"labels","tenant":"other",` + said + `}`, "tenant", "invalid_request", "leave it out"},
		"another url":        {`{"route":"labels","url":"/v1/x",` + said + `}`, "url", "invalid_url", "there are: "},
		"a NUL":              {`{"route":"labels","custom_id":"a\u0000",` + said + `}`, "custom_id", "invalid_request", "NUL"},
		"inside the body":    {`{"route":"labels","messages":[{}]}`, "route", "invalid_request", "inside the completion"},
		"very deep":          {strings.Repeat(`{"body":`, 100_000), "", "invalid_json", ""},
		"metadata with line": {`{"route":"labels","metadata":{"` + strings.Repeat("k", 65) + `":"x"},` + said + `}`, "metadata", "invalid_request", "must have 1 to"},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.post("/v1/jobs", c.body)
			message, kind, param, code := got.fault(t)
			if got.Status != http.StatusBadRequest || kind != "invalid_request_error" || param != c.param || code != c.code || !strings.Contains(message, c.says) {
				t.Errorf("%d %s", got.Status, got.Body)
			}
		})
	}
	if got := w.post("/v1/jobs", `{"route":"labels","body":{"messages":[{"content":"`+strings.Repeat("x", jobs.MaxLineBytes)+`"}]}}`); got.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d %.300s", got.Status, got.Body)
	}
	if got := w.get("/v1/jobs"); !strings.Contains(got.Body, `"data":[]`) {
		t.Errorf("something of it was enqueued: %s", got.Body)
	}
}

// A request that comes again is the one that came, by its key or by what SDKs say of
// a repetition; two that are alike are two.
func TestJobsAreRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := `{"route":"summaries",` + said + `}`
	made := func(got answer) string { return decodeInto[job](t, got, http.StatusAccepted).ID }
	keyed := made(w.post("/v1/jobs", body, "Idempotency-Key", "k1"))
	if again := made(w.post("/v1/jobs", body, "Idempotency-Key", "k1")); again != keyed {
		t.Errorf("%s and %s by one key", keyed, again)
	}
	got := w.post("/v1/jobs", `{"route":"summaries","priority":1,`+said+`}`, "Idempotency-Key", "k1")
	if _, _, param, code := got.fault(t); got.Status != http.StatusConflict || code != "idempotency_key_reused" || param != "Idempotency-Key" {
		t.Errorf("another request by the key: %+v", got)
	}
	first := made(w.post("/v1/jobs", body, "X-Stainless-Retry-Count", "0"))
	second := made(w.post("/v1/jobs", body, "X-Stainless-Retry-Count", "0"))
	third := made(w.post("/v1/jobs", body, "X-Stainless-Retry-Count", "1"))
	plain := made(w.post("/v1/jobs", body))
	if first == second || third != second || first == keyed || plain == made(w.post("/v1/jobs", body)) {
		t.Errorf("%s, %s, again %s", first, second, third)
	}
	// Of many at once with one key, all get the same.
	ids := make([]string, 8)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			got := w.post("/v1/jobs:batch", `{"jobs":[{"route":"summaries",`+said+`}]}`, "Idempotency-Key", "k2")
			_, id, _ := strings.Cut(got.Body, `"id":"`)
			ids[i], _, _ = strings.Cut(id, `"`)
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] || !strings.HasPrefix(id, "batch_") {
			t.Fatalf("%v", ids)
		}
	}
	if got := w.post("/v1/jobs:batch", `{"jobs":[{"route":"summaries",`+said+`},{"route":"summaries",`+said+`}]}`, "Idempotency-Key", "k2"); got.Status != http.StatusConflict {
		t.Errorf("another batch by the key: %+v", got)
	}
	if n := len(decodeInto[struct{ Data []job }](t, w.get("/v1/jobs?limit=100"), http.StatusOK).Data); n != 6 {
		t.Errorf("%d requests", n)
	}
}

type batch struct {
	ID           string
	Status       string
	CreatedAt    int64                                  `json:"created_at"`
	InProgressAt int64                                  `json:"in_progress_at"`
	Counts       struct{ Total, Completed, Failed int } `json:"request_counts"`
}

// Many requests in one call are one batch, all or none.
func TestManyJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.store.SaveRoutes(t.Context(), []jobs.Route{{Name: "labels", Goal: "ordered", Models: []string{"small"}}}); err != nil {
		t.Fatal(err)
	}
	got := w.post("/v1/jobs:batch", `{"batch":{"route":"summaries","goal":"cost","priority":2,"deadline":"3h","max_cost_usd":0.25,"metadata":{"a":"1","b":"1"},"budget_usd":5},
		"jobs":[{"custom_id":"x",`+said+`},
			{"custom_id":"y","route":"labels","goal":"ordered","priority":4,"deadline":"1h","max_cost_usd":0.5,"metadata":{"b":"2"},`+said+`},
			{"model":"small","messages":[{"role":"user","content":"z"}]}]}`)
	made := decodeInto[batch](t, got, http.StatusAccepted)
	if made.Counts.Total != 3 || made.Status != "in_progress" || made.InProgressAt == 0 || made.InProgressAt != made.CreatedAt || got.Header.Get("Location") != "/v1/batches/"+made.ID {
		t.Errorf("it says %s", got.Body)
	}
	var all []string
	for _, one := range decodeInto[struct{ Data []job }](t, w.get("/v1/jobs?order=asc&batch="+made.ID), http.StatusOK).Data {
		r := w.loaded(one.ID)
		all = append(all, fmt.Sprintf("%s %s %s %d %s %s %v", r.CustomID, r.Route, r.Goal, r.Priority, r.Deadline.Sub(r.CreatedAt).Round(time.Minute), r.MaxCost, r.Metadata))
	}
	want := []string{"x summaries cost 2 3h0m0s $0.25 map[a:1 b:1]", "y labels ordered 4 1h0m0s $0.50 map[a:1 b:2]", " summaries cost 2 3h0m0s $0.25 map[a:1 b:1]"}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if limits, err := w.store.Budgets(t.Context(), true); err != nil || len(limits) != 1 || limits[0].Name != made.ID || limits[0].Total != jobs.USD(5) {
		t.Errorf("budgets %+v, %v", limits, err)
	}
	lines := "\n{\"custom_id\":\"1\"," + said + "}\r\n{\"custom_id\":\"2\"," + said + "}\n"
	got = w.do(http.MethodPost, "/v1/jobs:batch?route=labels&priority=3&budget_usd=0.5", "application/x-ndjson; charset=utf-8", strings.NewReader(lines))
	if made = decodeInto[batch](t, got, http.StatusAccepted); made.Counts.Total != 2 {
		t.Errorf("lines: %s", got.Body)
	}
	for _, one := range decodeInto[struct{ Data []job }](t, w.get("/v1/jobs?batch="+made.ID), http.StatusOK).Data {
		if one.Route != "labels" || one.Priority != 3 || *one.BatchID != made.ID {
			t.Errorf("a line became %+v", one)
		}
	}
	if got := w.get("/v1/batches/" + made.ID); got.Status != http.StatusOK {
		t.Errorf("as a batch: %+v", got)
	}
}

// One that is wrong keeps all out, and is named with the place where it stands.
func TestManyJobsThatAreWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := `{` + said + `}`
	many := strings.Repeat(good+"\n", 10_001)
	bad := strings.Repeat("{}\n", 120)
	const lines, object = "application/x-ndjson", "application/json"
	for name, c := range map[string]struct {
		kind, query, body, param, code, says string
		status                               int
	}{
		"no kind":              {"", "", good, "Content-Type", "unsupported_content_type", "application/x-ndjson", 415},
		"a form":               {"application/x-www-form-urlencoded", "", good, "Content-Type", "unsupported_content_type", "", 415},
		"a bad line":           {lines, "", good + "\n\n{\"body\":{}}\n" + good, "body.messages", "invalid_request", "line 3: body.messages: ", 400},
		"two bad lines":        {lines, "", "x\n" + good + "\n{\"priority\":7," + said + "}\n", "", "invalid_json", "; line 3: priority: ", 400},
		"a name twice":         {lines, "", `{"custom_id":"a",` + said + "}\n" + `{"custom_id":"a",` + said + "}\n", "custom_id", "duplicate_custom_id", "line 2: custom_id: \"a\" was used on line 1", 400},
		"many bad lines":       {lines, "", bad, "body", "invalid_request", "and 95 more or others", 400},
		"none":                 {lines, "", " \n\n", "jobs", "empty_batch", "not one", 400},
		"too many":             {lines, "", many, "jobs", "too_many_jobs", "10000", 400},
		"gzip":                 {lines, "", "\x1f\x8b\x08\x00", "", "invalid_json", "gzip", 400},
		"a route that is not":  {lines, "?route=x", good, "route", "invalid_request", "there are: summaries", 400},
		"a word of a query":    {lines, "?rout=x", good, "rout", "unknown_parameter", "there are route, goal", 400},
		"a query twice":        {lines, "?route=summaries&route=summaries", good, "route", "invalid_value", "more than once", 400},
		"no number":            {lines, "?priority=first", good, "priority", "invalid_value", "not a number", 400},
		"a number of Go's":     {lines, "?priority=0x1p1", good, "", "invalid_value", "", 400},
		"metadata":             {lines, "?metadata=x", good, "metadata", "unknown_parameter", "", 400},
		"an object":            {object, "", `{"jobs":[` + good + `,{"body":{}}]}`, "jobs[1].body.messages", "invalid_request", "jobs[1].body.messages: ", 400},
		"no object":            {object, "", good + good, "", "invalid_json", "not JSON", 400},
		"no list":              {object, "", `{"jobs":{}}`, "jobs", "invalid_request", "list", 400},
		"an empty list":        {object, "", `{"jobs":[]}`, "jobs", "empty_batch", "", 400},
		"numbers":              {object, "", `{"jobs":[1,"x",[],{},null]}`, "jobs[0]", "invalid_json", "jobs[4]: ", 400},
		"no jobs":              {object, "", `{"batch":{}}`, "jobs", "missing_required_parameter", "missing", 400},
		"something else":       {object, "", `{"jobs":[` + good + `],"x":1}`, "", "invalid_request", "neither jobs nor batch", 400},
		"jobs twice":           {object, "", `{"jobs":[` + good + `],"jobs":[]}`, "jobs", "invalid_request", "twice", 400},
		"a budget":             {object, "", `{"jobs":[` + good + `],"batch":{"budget_usd":0}}`, "batch.budget_usd", "invalid_request", "dollars", 400},
		"a name for all":       {object, "", `{"jobs":[` + good + `],"batch":{"custom_id":"x"}}`, "batch", "invalid_request", "none of", 400},
		"a batch that is none": {object, "", `{"jobs":[` + good + `],"batch":7}`, "batch", "invalid_json", "", 400},
		"metadata together": {
			object, "", `{"jobs":[{"metadata":{"a":"1"},` + said + `}],"batch":{"metadata":{` + pairs(17) + `}}}`,
			"batch.metadata", "invalid_request", "17 pairs", 400,
		},
		"metadata of both": {object, "", `{"jobs":[{"metadata":{"a":"1"},` + said + `}],"batch":{"metadata":{` + pairs(16) + `}}}`, "jobs[0].metadata", "invalid_request", "17 pairs", 400},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.do(http.MethodPost, "/v1/jobs:batch"+c.query, c.kind, strings.NewReader(c.body))
			message, _, param, code := got.fault(t)
			if got.Status != c.status || param != c.param || code != c.code || !strings.Contains(message, c.says) {
				t.Errorf("%d %s", got.Status, got.Body)
			}
		})
	}
	if got := w.get("/v1/jobs"); !strings.Contains(got.Body, `"data":[]`) {
		t.Errorf("something of it was enqueued: %s", got.Body)
	}
}

func pairs(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`"key-%d":"v"`, i)
	}
	return strings.Join(all, ",")
}

// A list goes by pages, and each choice of it finds what it names.
func TestListOfJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 7 {
		decodeInto[job](t, w.post("/v1/jobs", fmt.Sprintf(`{"custom_id":"n-%d",%s}`, i, said)), http.StatusAccepted)
	}
	type list struct {
		Data    []job
		FirstID *string `json:"first_id"`
		LastID  *string `json:"last_id"`
		HasMore bool    `json:"has_more"`
	}
	pages := func(query string) (names []string) {
		t.Helper()
		after := ""
		for range 10 {
			page := decodeInto[list](t, w.get("/v1/jobs?limit=3"+query+after), http.StatusOK)
			for _, one := range page.Data {
				names = append(names, *one.CustomID)
			}
			if !page.HasMore {
				return names
			}
			after = "&after=" + *page.LastID
		}
		t.Fatal("the list has no end")
		return nil
	}
	if diff := cmp.Diff([]string{"n-6", "n-5", "n-4", "n-3", "n-2", "n-1", "n-0"}, pages("")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"n-0", "n-1", "n-2", "n-3", "n-4", "n-5", "n-6"}, pages("&order=asc")); diff != "" {
		t.Error(diff)
	}
	all := decodeInto[list](t, w.get("/v1/jobs"), http.StatusOK).Data
	for _, i := range []int{1, 4} {
		if got := decodeInto[job](t, w.do(http.MethodDelete, "/v1/jobs/"+all[i].ID, "", nil), http.StatusOK); got.Status != "cancelled" {
			t.Errorf("cancelled: %+v", got)
		}
	}
	for query, want := range map[string]int{"&status=cancelled": 2, "&status=waiting": 5, "&status=running": 0, "&status=answered": 0, "&status=waiting&order=asc": 5, "&include=response": 7} {
		if got := pages(query); len(got) != want {
			t.Errorf("%s: %v", query, got)
		}
	}
	for query, param := range map[string]string{
		"status=done": "status", "limit=0": "limit", "limit=101": "limit", "order=up": "order", "after='": "after", "include=body": "include", "state=answered": "state", "batch=x'": "batch", "batch=batch_0": "batch",
	} {
		if _, _, at, _ := w.get("/v1/jobs?" + strings.ReplaceAll(query, "'", "%27")).fault(t); at != param {
			t.Errorf("%s: about %q", query, at)
		}
	}
}

// To cancel ends a request that waits, once and for all.
func TestJobIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := decodeInto[job](t, w.post("/v1/jobs", `{`+said+`}`), http.StatusAccepted)
	for range 2 {
		got := decodeInto[job](t, w.do(http.MethodDelete, "/v1/jobs/"+made.ID, "", nil), http.StatusOK)
		if got.Status != "cancelled" || got.Result == nil || got.Result.State != "cancelled" || got.EndedAt == nil || *got.Result.CostUSD != 0 || *got.Result.Error.Code != "batch_cancelled" {
			t.Errorf("it says %+v", got)
		}
	}
	ended := decodeInto[job](t, w.post("/v1/jobs", `{`+said+`}`), http.StatusAccepted)
	request := w.loaded(ended.ID)
	result := &jobs.Result{
		ID: "01a20aa4-c8ca-75b5-a7d0-750cfcc3a7fe", State: jobs.StateAnswered, Status: 200, Body: []byte(`{"choices":[]}`), Target: "cheap", Model: "m",
		Usage: jobs.Usage{Input: 10, Output: 3}, Cost: jobs.USD(0.0012), Attempts: 1,
	}
	if _, _, err := w.store.Commit(t.Context(), []jobs.Entry{{Request: &request, Result: result}}); err != nil {
		t.Fatal(err)
	}
	got := w.do(http.MethodDelete, "/v1/jobs/"+ended.ID, "", nil)
	if message, _, param, code := got.fault(t); got.Status != http.StatusConflict || code != "job_not_cancellable" || param != "id" || !strings.Contains(message, "'answered'") {
		t.Errorf("one that has ended: %+v", got)
	}
	shown := decodeInto[job](t, w.get("/v1/jobs/"+ended.ID), http.StatusOK)
	if r := shown.Result; shown.Status != "answered" || string(r.Response) != `{"choices":[]}` || *r.CostUSD != 0.0012 || *r.Target != "cheap" || r.Usage.Output != 3 || r.Error != nil {
		t.Errorf("it is %+v", shown)
	}
	listed := decodeInto[struct{ Data []job }](t, w.get("/v1/jobs?status=answered"), http.StatusOK).Data
	if len(listed) != 1 || string(listed[0].Result.Response) != "null" || listed[0].Result.Bytes != 14 {
		t.Errorf("listed: %+v", listed)
	}
	listed = decodeInto[struct{ Data []job }](t, w.get("/v1/jobs?status=answered&include=response"), http.StatusOK).Data
	if len(listed) != 1 || string(listed[0].Result.Response) != `{"choices":[]}` {
		t.Errorf("listed with answers: %+v", listed)
	}
}

// What is of another tenant is not there, whatever is done with it.
func TestJobsOfAnotherTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := func(tenant string, scopes ...jobs.KeyScope) string {
		_, whole, err := w.store.CreateKey(t.Context(), jobs.Key{Tenant: tenant, Scopes: scopes})
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + whole
	}
	mine, other, reads := key("mine", jobs.KeyScopes()...), key("other", jobs.KeyScopes()...), key("mine", jobs.ScopeRead)
	made := decodeInto[job](t, w.post("/v1/jobs", `{`+said+`}`, "Authorization", mine), http.StatusAccepted)
	all := decodeInto[batch](t, w.post("/v1/jobs:batch", `{"jobs":[{`+said+`}]}`, "Authorization", mine), http.StatusAccepted)
	if made.ResultSubject != "tidegate.v1.mine.results.summaries.-."+made.ID || w.loaded(made.ID).Tenant != "mine" {
		t.Errorf("it is of %+v", made)
	}
	for _, c := range []struct{ method, path string }{
		{"GET", "/v1/jobs/" + made.ID},
		{"DELETE", "/v1/jobs/" + made.ID},
		{"GET", "/v1/jobs?batch=" + all.ID},
		{"GET", "/v1/batches/" + all.ID},
		{"GET", "/v1/jobs/" + strings.ToUpper(made.ID)},
		{"GET", "/v1/jobs/01a20aa4-c8ca-75b5-a7d0-750cfcc3a7fe"},
		{"GET", "/v1/jobs/x"},
		{"GET", "/v1/jobs/" + all.ID},
	} {
		if got := w.do(c.method, c.path, "", nil, "Authorization", other); got.Status != http.StatusNotFound {
			t.Errorf("%s %s: %d %s", c.method, c.path, got.Status, got.Body)
		}
	}
	if got := w.get("/v1/jobs", "Authorization", other); !strings.Contains(got.Body, `"data":[]`) {
		t.Errorf("the other lists %s", got.Body)
	}
	for _, c := range []struct{ method, path string }{{"POST", "/v1/jobs"}, {"POST", "/v1/jobs:batch"}, {"DELETE", "/v1/jobs/" + made.ID}} {
		if got := w.do(c.method, c.path, "application/json", strings.NewReader("{}"), "Authorization", reads); got.Status != http.StatusForbidden {
			t.Errorf("who may read: %s %s: %d", c.method, c.path, got.Status)
		}
	}
	// One key of each is another request, also under the same Idempotency-Key.
	a := decodeInto[job](t, w.post("/v1/jobs", `{`+said+`}`, "Authorization", mine, "Idempotency-Key", "k"), http.StatusAccepted)
	b := decodeInto[job](t, w.post("/v1/jobs", `{`+said+`}`, "Authorization", other, "Idempotency-Key", "k"), http.StatusAccepted)
	if a.ID == b.ID {
		t.Error("two tenants have one request")
	}
}

// Bodies have a bound in memory of all who send them; what goes over it is told to
// come again.
func TestRoomForBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.Shrink(1 << 19)
	large := `{"body":{"messages":[{"role":"user","content":"` + strings.Repeat("x", 1<<20) + `"}]}}`
	got := w.post("/v1/jobs", large)
	if _, _, _, code := got.fault(t); got.Status != http.StatusServiceUnavailable || code != "server_busy" || got.Header.Get("Retry-After") == "" {
		t.Errorf("%+v", got)
	}
	for range 5 { // each gives its room back
		decodeInto[job](t, w.post("/v1/jobs", large[:1<<19]+`"}]}}`), http.StatusAccepted)
	}
	w.server.Shrink(0)
	decodeInto[job](t, w.post("/v1/jobs", large[:batchapi.SmallBytes-10]+`"}]}}`), http.StatusAccepted)
	if got := w.post("/v1/jobs", large[:batchapi.SmallBytes]+`"}]}}`); got.Status != http.StatusServiceUnavailable {
		t.Errorf("without room: %+v", got)
	}
}

// Whatever was told of the length of a body, and however it comes, it is read whole.
func TestReadWhole(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, batchapi.SmallBytes - 1, batchapi.SmallBytes, batchapi.SmallBytes + 1, 5*batchapi.SmallBytes + 3} {
		want := pattern(size)
		for _, told := range []int64{-1, int64(size)} {
			for name, in := range map[string]io.Reader{"at once": bytes.NewReader(want), "with its end": iotest.DataErrReader(bytes.NewReader(want)), "in halves": iotest.HalfReader(bytes.NewReader(want))} {
				got, err := batchapi.ReadWhole(in, told)
				if err != nil || !bytes.Equal(got, want) || told >= 0 && cap(got) > max(size+1, batchapi.SmallBytes) {
					t.Errorf("%d bytes, %d told, %s: %d bytes of %d, %v", size, told, name, len(got), cap(got), err)
				}
			}
		}
	}
	if _, err := batchapi.ReadWhole(iotest.ErrReader(io.ErrUnexpectedEOF), 10); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut off: %v", err)
	}
}

// A server without a queue says so.
func TestNoQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *batchapi.Config) { c.Queue = nil })
	for _, path := range []string{"/v1/jobs", "/v1/jobs:batch"} {
		if got := w.post(path, `{`+said+`}`); got.Status != http.StatusServiceUnavailable {
			t.Errorf("%s: %+v", path, got)
		}
	}
}
