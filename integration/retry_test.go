package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/openai/openai-go/v3"

	"tidegate/integration/fixture"
	"tidegate/jobs"
)

var numberForm = regexp.MustCompile(`closed (\d+) times`)

// refuser stands before the providers. While it is on it refuses each fourth document
// for its content, and each seventh as a bad request.
type refuser struct{ off atomic.Bool }

func (f *refuser) serve(t *testing.T, providers http.Handler) string {
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		match, n := numberForm.FindSubmatch(body), 1
		if match != nil {
			_, _ = fmt.Sscan(string(match[1]), &n)
		}
		code := map[jobs.Class]string{jobs.Content: "content_policy_violation", jobs.BadRequest: "unknown_parameter"}[refusedAs(n)]
		if f.off.Load() || code == "" {
			providers.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":%q}}`, code)
	}))
}

// refusedAs is how a refuser refuses a document; empty: not.
func refusedAs(n int) jobs.Class {
	switch {
	case n%4 == 0:
		return jobs.Content
	case n%7 == 0:
		return jobs.BadRequest
	}
	return ""
}

// TestRetryAfterRefusals: lines that providers refused are tried again by class, when
// those have thought better of it, and the files of the new batch hold exactly these.
func TestRetryAfterRefusals(t *testing.T) {
	t.Parallel()
	refuses := &refuser{}
	f := newFront(t, staging{serve: refuses.serve})
	client := f.client()
	const lines = 60
	want := map[jobs.Class]map[string]bool{jobs.Content: {}, jobs.BadRequest: {}}
	for n := range lines {
		if class := refusedAs(n); class != "" {
			want[class][fmt.Sprintf("n-%05d", n)] = true
		}
	}
	first := f.poll(client, f.order(client, f.upload(client, batchLines(lines)).ID).ID, openai.BatchStatusCompleted)
	if output, faults := f.wholeBatch(client, first, lines); len(faults) != len(want[jobs.Content])+len(want[jobs.BadRequest]) || len(output) == 0 {
		t.Fatalf("%d were answered, and %d refused", len(output), len(faults))
	}
	refuses.off.Store(true)

	planned := lastLine[retriedJSON](t, f.must("retry", first.ID, "--class", "content", "--dry-run", "--json").out)
	if planned.BatchID != "" || planned.Requests != len(want[jobs.Content]) || planned.Left[jobs.BadRequest] != len(want[jobs.BadRequest]) {
		t.Errorf("it would take %+v", planned)
	}
	made := lastLine[retriedJSON](t, f.must("retry", "--batch", first.ID, "--class", "CONTENT", "--json").out)
	if made.RetryOf != first.ID || made.Retried[jobs.Content] != len(want[jobs.Content]) || len(made.Retried) != 1 {
		t.Errorf("it took %+v", made)
	}
	f.exactly(client, f.poll(client, made.BatchID, openai.BatchStatusCompleted), first, want[jobs.Content])
	f.says(f.must("status").out, "RETRY OF", made.BatchID, first.ID)
	why := f.must("why", "n-00004", "--batch", made.BatchID).out
	f.says(why, "a retry of ", "answered")

	status, body := f.do(t.Context(), http.MethodPost, "/batches/"+first.ID+"/retry", "application/json", `{}`)
	var over retriedJSON
	if err := json.Unmarshal([]byte(body), &over); err != nil || status.status != http.StatusOK || over.Retried[jobs.BadRequest] != len(want[jobs.BadRequest]) {
		t.Fatalf("%d %s", status.status, body)
	}
	f.exactly(client, f.poll(client, over.ID, openai.BatchStatusCompleted), first, want[jobs.BadRequest])
	refusalCase{[]string{"retry", first.ID}, 1, []string{"nothing is left to retry", made.BatchID, over.ID}}.check(t, f.tidegate)
	refusalCase{[]string{"retry", made.BatchID}, 1, []string{"nothing to retry: no request of batch " + made.BatchID + " failed"}}.check(t, f.tidegate)
	if got := f.poll(client, first.ID, openai.BatchStatusCompleted); got.RawJSON() != first.RawJSON() {
		t.Errorf("the first has changed from %s to %s", first.RawJSON(), got.RawJSON())
	}
}

// A retriedJSON is a retry as a command or a server says it.
type retriedJSON struct {
	ID       string        `json:"id"`       // of a server,
	BatchID  string        `json:"batch_id"` // of a command
	RetryOf  string        `json:"retry_of"`
	Requests int           `json:"requests"`
	Retried  jobs.Failures `json:"retried"`
	Left     jobs.Failures `json:"left"`
}

// exactly checks that the output of a retry has an answer to each of some lines, and
// nothing else, and that it says what it is.
func (f *front) exactly(client openai.Client, batch, of *openai.Batch, want map[string]bool) {
	f.Helper()
	output := f.content(client, batch.OutputFileID)
	for name := range want {
		if line, answered := output[name]; !answered || line.Response == nil || line.Response.StatusCode != http.StatusOK {
			f.Errorf("%s was not answered: %+v", name, line)
		}
	}
	if len(output) != len(want) || batch.ErrorFileID != "" || int(batch.RequestCounts.Completed) != len(want) || batch.RequestCounts.Failed != 0 {
		f.Errorf("%d lines for %d: %s", len(output), len(want), batch.RawJSON())
	}
	if batch.InputFileID != of.InputFileID || !strings.Contains(batch.RawJSON(), `"retry_of":"`+of.ID+`"`) {
		f.Errorf("it is %s", batch.RawJSON())
	}
}

// TestRetryOfRequests: single requests are tried again, all or none.
func TestRetryOfRequests(t *testing.T) {
	t.Parallel()
	refuses := &refuser{}
	s := newStage(t, staging{serve: refuses.serve})
	s.work(nil)
	batch := s.settle(s.enqueue(9, nil)) // 0, 4, 7 and 8 are refused
	refused := decodeLines[struct {
		RequestID string `json:"request_id"`
		CustomID  string `json:"custom_id"`
	}](t, s.must("results", batch.ID, "--state", "refused", "--json").out)
	if len(refused) != 4 {
		t.Fatalf("refused are %+v", refused)
	}
	answered := decodeLines[struct {
		RequestID string `json:"request_id"`
	}](t, s.must("results", batch.ID, "--state", "answered", "--limit", "1", "--json").out)[0].RequestID
	refuses.off.Store(true)
	for _, c := range []refusalCase{
		{[]string{"retry", refused[0].RequestID, answered}, 1, []string{"has its answer", "nothing was made"}},
		{[]string{"retry", refused[0].RequestID, uuid.NewString()}, 1, []string{"not found", "nothing was made"}},
		{[]string{"retry", refused[0].RequestID, batch.ID}, 2, []string{"one batch, or requests"}},
		{[]string{"retry", refused[0].RequestID, "--class", "CONTENT"}, 2, []string{"--class goes with a batch"}},
		{[]string{"retry", refused[0].RequestID, "--route", "nowhere"}, 1, []string{"there are: " + summaries}},
		{[]string{"retry", batch.ID, "--class", "CONTENTS"}, 2, []string{"there are: RATE"}},
		{[]string{"retry", batch.ID, "--goal", "nothing"}, 2, []string{"nothing"}},
		{[]string{"retry", "batch_0"}, 1, []string{"not found"}},
		{[]string{"retry"}, 2, []string{"name a batch"}},
	} {
		c.check(t, s.tidegate)
	}
	if n := s.count("SELECT count(*) FROM tidegate.requests WHERE retry_of IS NOT NULL"); n != 0 {
		t.Errorf("%d requests of retries that were refused", n)
	}
	made := lastLine[struct {
		Retried []struct {
			RequestID string `json:"request_id"`
			RetryOf   string `json:"retry_of"`
		}
	}](t, s.must("retry", refused[0].RequestID, refused[2].RequestID, "--json").out).Retried
	if len(made) != 2 || made[0].RetryOf != refused[0].RequestID || made[1].RetryOf != refused[2].RequestID {
		t.Fatalf("made were %+v", made)
	}
	for i, m := range made {
		fixture.Await(t, soon, "it is answered", func() bool {
			return s.count("SELECT count(*) FROM tidegate.results WHERE request_id = $1 AND state = 'answered'", m.RequestID) == 1
		})
		s.says(s.must("why", m.RequestID).out, "a retry of "+m.RetryOf, refused[2*i].CustomID)
		refusalCase{[]string{"retry", refused[1].RequestID, m.RetryOf}, 1, []string{"tried again already, by request " + m.RequestID, "nothing was made"}}.check(t, s.tidegate)
	}
	outs := make(chan said, 2)
	for range cap(outs) { // one command given twice
		go func() { outs <- s.tidegate("retry", refused[1].RequestID, refused[3].RequestID) }()
	}
	one, other := <-outs, <-outs
	if one.code != 0 {
		one, other = other, one
	}
	if first, _, _ := strings.Cut(one.out, " "); one.code != 0 || other.code != 1 || first == "" || !strings.Contains(other.errors, first) {
		t.Errorf("of two at once one said %+v, and the other %+v", one, other)
	}
	if n := s.count("SELECT count(*) FROM tidegate.requests WHERE retry_of IS NOT NULL"); n != len(refused) {
		t.Errorf("%d requests try %d again", n, len(refused))
	}
}

// TestRetryIsKilled: the worker that enqueues a retry is killed -9 in the middle, while
// Postgres has its last word in hand. Another goes on right there.
func TestRetryIsKilled(t *testing.T) {
	t.Parallel()
	k := newKilling(t, buildProgram(t))
	const lines = 2400
	first := k.enqueue(lines, nil)
	var entries []jobs.Entry
	rows, err := k.Pool.Query(t.Context(), "SELECT id::text FROM tidegate.requests WHERE batch_id = $1", first.ID)
	check(t, err)
	for rows.Next() {
		var id string
		check(t, rows.Scan(&id))
		entries = append(entries, jobs.Entry{
			Request: &jobs.Request{ID: id, BatchID: first.ID},
			Result:  &jobs.Result{ID: uuid.NewString(), RequestID: id, State: jobs.StateRefused, Status: 400, Class: []jobs.Class{jobs.Content, jobs.Context}[len(entries)%2]},
		})
	}
	check(t, rows.Err())
	_, _, err = k.store.Commit(t.Context(), entries)
	check(t, err)
	made := lastLine[retriedJSON](t, k.must("retry", first.ID, "--class", "CONTENT", "--json").out)
	tx := k.hold(made.BatchID, "batch_work", "w.enqueued = 0")
	k.killStuck(tx, k.fleet.hire(), "tidegate: advance")
	half := k.hold(made.BatchID, "batch_work", "w.enqueued = 0") // nothing was written of it
	worker := k.fleet.hire()
	k.awaitStuck("tidegate: advance")
	check(t, half.Rollback(t.Context())) // this one gets as far as it does
	fixture.Await(t, soon, "a part of it is enqueued", func() bool {
		return k.count("SELECT enqueued FROM tidegate.batch_work WHERE batch_id = $1", made.BatchID) >= 1000
	})
	worker.kill()
	k.fleet.hire()
	batch := k.poll(k.client(), made.BatchID, openai.BatchStatusCompleted)
	if output := k.content(k.client(), batch.OutputFileID); len(output) != lines/2 || batch.ErrorFileID != "" {
		t.Errorf("%d lines of %d: %s", len(output), lines/2, batch.RawJSON())
	}
	if n := k.count("SELECT count(DISTINCT retry_of) FROM tidegate.requests WHERE batch_id = $1", made.BatchID); n != lines/2 {
		t.Errorf("%d are tried again", n)
	}
}
