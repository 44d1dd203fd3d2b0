package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"tidegate/jobs"
	"tidegate/routing/simulator"
)

// The official SDK for Go, unmodified, from the upload to the results.
func TestOfficialSDK(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	client := f.client()
	for name, send := range map[string]func() *openai.FileObject{
		"from a stream": func() *openai.FileObject { return f.upload(client, batchLines(12)) },
		"from a buffer": func() *openai.FileObject {
			file, err := client.Files.New(f.Context(), openai.FileNewParams{File: bytes.NewReader([]byte(batchLines(12))), Purpose: openai.FilePurposeBatch})
			check(t, err)
			return file
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := send()
			if file.Bytes != int64(len(batchLines(12))) || file.Purpose != openai.FileObjectPurposeBatch || file.Status != openai.FileObjectStatusProcessed { //nolint:staticcheck // SDKs wait for the status
				t.Errorf("the file is %s", file.RawJSON())
			}
			batch := f.order(client, file.ID)
			if batch.Status != openai.BatchStatusValidating && batch.Status != openai.BatchStatusInProgress {
				t.Errorf("it begins as %s", batch.RawJSON())
			}
			batch = f.poll(client, batch.ID, openai.BatchStatusCompleted)
			output, _ := f.wholeBatch(client, batch, 12)
			for id, line := range output {
				var answer openai.ChatCompletion
				check(t, answer.UnmarshalJSON(line.Response.Body))
				if line.Error != nil || line.Response.StatusCode != 200 || !strings.HasPrefix(line.ID, "batch_req_") || answer.Choices[0].Message.Content == "" {
					t.Errorf("%s: %+v", id, line)
				}
			}
			if batch.JSON.ErrorFileID.Raw() != "null" || batch.Usage.InputTokens == 0 || batch.Usage.TotalTokens != batch.Usage.InputTokens+batch.Usage.OutputTokens ||
				batch.Model != "auto" || batch.CompletedAt < batch.FinalizingAt || batch.FinalizingAt < batch.InProgressAt || batch.ExpiresAt != batch.CreatedAt+86400 {
				t.Errorf("it ends as %s", batch.RawJSON())
			}
			gone, err := client.Files.Delete(f.Context(), file.ID)
			if err != nil || !gone.Deleted {
				t.Errorf("deleting: %+v, %v", gone, err)
			}
			_, err = client.Files.Get(f.Context(), file.ID)
			refused(t, err, http.StatusNotFound)
		})
	}
}

// A batch whose every line fails is completed, and has an error file alone.
func TestBatchOfErrors(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	f.down("*", simulator.Fault{Mode: simulator.BadRequest})
	client := f.client()
	batch := f.poll(client, f.order(client, f.upload(client, batchLines(5)).ID).ID, openai.BatchStatusCompleted)
	_, faults := f.wholeBatch(client, batch, 5)
	if batch.JSON.OutputFileID.Raw() != "null" || len(faults) != 5 {
		t.Errorf("it ends as %s", batch.RawJSON())
	}
	for id, line := range faults {
		if line.Error != nil || line.Response == nil || line.Response.StatusCode != 400 || !strings.Contains(string(line.Response.Body), `"error"`) {
			t.Errorf("%s: %+v", id, line)
		}
	}
}

// What is cancelled delivers what was answered before.
func TestBatchIsCancelledOverHTTP(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{latency: 200 * time.Millisecond})
	client := f.client()
	batch := f.order(client, f.upload(client, batchLines(300)).ID)
	f.awaitResults(10)
	cancelled, err := client.Batches.Cancel(f.Context(), batch.ID)
	if err != nil || cancelled.Status != openai.BatchStatusCancelling {
		t.Fatalf("it says %+v, %v", cancelled, err)
	}
	batch = f.poll(client, batch.ID, openai.BatchStatusCancelled)
	output, faults := f.wholeBatch(client, batch, 300)
	if len(output) < 10 || len(faults) == 0 || batch.CancelledAt < batch.CancellingAt || batch.CancellingAt == 0 {
		t.Errorf("%d answers, it ends as %s", len(output), batch.RawJSON())
	}
	for id, line := range faults {
		if line.Response != nil || line.Error == nil || line.Error.Code != "batch_cancelled" {
			t.Errorf("%s: %+v", id, line)
		}
	}
	again, err := client.Batches.Cancel(f.Context(), batch.ID)
	if err != nil || again.Status != openai.BatchStatusCancelled {
		t.Errorf("again: %+v, %v", again, err)
	}
}

// What is not answered within its window is there as an error, and the rest as
// answers.
func TestBatchExpires(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	client := f.client()
	file := f.upload(client, batchLines(40))
	f.down("*", simulator.Fault{Mode: simulator.Unavailable})
	batch := f.order(client, file.ID)
	f.poll(client, batch.ID, openai.BatchStatusInProgress)
	f.back()
	f.awaitResults(1)
	f.down("*", simulator.Fault{Mode: simulator.Unavailable})
	// Its window ends now, for all that is left.
	_, err := f.Pool.Exec(t.Context(), `WITH b AS (UPDATE tidegate.batches SET expires_at = now() WHERE id = $1) UPDATE tidegate.requests SET deadline = now() WHERE batch_id = $1`, batch.ID)
	check(t, err)
	batch = f.poll(client, batch.ID, openai.BatchStatusExpired)
	output, faults := f.wholeBatch(client, batch, 40)
	if len(output) == 0 || len(faults) == 0 || batch.ExpiredAt == 0 || batch.CompletedAt != 0 {
		t.Errorf("%d answers, %d errors, it ends as %s", len(output), len(faults), batch.RawJSON())
	}
	for id, line := range faults {
		if line.Response != nil || line.Error == nil || line.Error.Code != "batch_expired" {
			t.Errorf("%s: %+v", id, line)
		}
	}
}

// SDKs repeat a create whose answer was lost, and send no key with it.
func TestCreateIsRepeated(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	client := f.client()
	file := f.upload(client, batchLines(3))
	through := f.client(option.WithBaseURL(newResetter(t, f.base, http.MethodPost, "/v1/batches") + "/"))
	first := f.order(through, file.ID)
	if n := f.count("SELECT count(*) FROM tidegate.batches"); n != 1 {
		t.Errorf("%d batches of one create", n)
	}
	f.poll(client, first.ID, openai.BatchStatusCompleted)
	if second := f.order(through, file.ID); second.ID == first.ID {
		t.Error("who asks for another one does not get it")
	}
	key := option.WithHeader("Idempotency-Key", "monday")
	third := f.order(client, file.ID, key)
	if again := f.order(client, file.ID, key); again.ID != third.ID {
		t.Error("with the same key it is another one")
	}
	_, err := client.Batches.New(f.Context(), openai.BatchNewParams{InputFileID: file.ID, Endpoint: openai.BatchNewParamsEndpointV1ChatCompletions, CompletionWindow: "1h"}, key)
	if told := apiError(t, err, http.StatusConflict); told.Code != "idempotency_key_reused" {
		t.Errorf("it says %s", told.RawJSON())
	}
}

// So do they with single requests, and with many in one call.
func TestJobIsRepeated(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	const said = `"body":{"messages":[{"role":"user","content":"hi"}]}`
	const submissions = "SELECT count(DISTINCT coalesce(batch_id, id::text)) FROM tidegate.requests"
	for path, body := range map[string]string{"jobs": `{` + said + `}`, "jobs:batch": `{"jobs":[{` + said + `},{"custom_id":"b",` + said + `}]}`} {
		client := f.client(option.WithBaseURL(newResetter(t, f.base, http.MethodPost, "/v1/"+path) + "/"))
		var once, twice struct {
			ID string `json:"id"`
		}
		before := f.count(submissions)
		check(t, client.Post(f.Context(), "./"+path, json.RawMessage(body), &once))
		if n := f.count(submissions) - before; n != 1 || once.ID == "" {
			t.Errorf("%s: %d were made of one, which is %q", path, n, once.ID)
		}
		check(t, client.Post(f.Context(), "./"+path, json.RawMessage(body), &twice))
		if twice.ID == once.ID {
			t.Errorf("%s: who asks for another one does not get it", path)
		}
	}
}

// Lists come in pages, which the SDK turns by itself.
func TestPagesOfLists(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	client := f.client()
	var files, batches []string
	for range 5 {
		file := f.upload(client, batchLines(1))
		files = append(files, file.ID)
		batches = append(batches, f.order(client, file.ID).ID)
	}
	var got []string
	all := client.Files.ListAutoPaging(f.Context(), openai.FileListParams{Limit: openai.Int(2), Order: openai.FileListParamsOrderAsc, Purpose: openai.String(jobs.PurposeBatch)})
	for all.Next() {
		got = append(got, all.Current().ID)
	}
	if check(t, all.Err()); fmt.Sprint(got) != fmt.Sprint(files) {
		t.Errorf("files %v of %v", got, files)
	}
	got = nil
	every := client.Batches.ListAutoPaging(f.Context(), openai.BatchListParams{Limit: openai.Int(2)})
	for every.Next() {
		got = append([]string{every.Current().ID}, got...)
	}
	if check(t, every.Err()); fmt.Sprint(got) != fmt.Sprint(batches) {
		t.Errorf("batches %v of %v", got, batches)
	}
}

// Every error has its type in the SDK, and is told in the same envelope.
func TestTypedErrors(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	_, reader, err := f.store.CreateKey(t.Context(), jobs.Key{Tenant: "acme", Scopes: []jobs.KeyScope{jobs.ScopeRead}})
	check(t, err)
	_, whole, err := f.store.CreateKey(t.Context(), jobs.Key{Tenant: "acme", Scopes: []jobs.KeyScope{jobs.ScopeRead, jobs.ScopeSubmit}})
	check(t, err)
	_, other, err := f.store.CreateKey(t.Context(), jobs.Key{Tenant: "umbrella", Scopes: []jobs.KeyScope{jobs.ScopeRead, jobs.ScopeSubmit}})
	check(t, err)
	acme, umbrella := f.client(option.WithAPIKey(whole)), f.client(option.WithAPIKey(other))
	file := f.upload(acme, batchLines(2))
	batch := f.order(acme, file.ID)
	ctx := f.Context()
	create := func(client openai.Client, change func(*openai.BatchNewParams)) error {
		params := openai.BatchNewParams{InputFileID: file.ID, Endpoint: openai.BatchNewParamsEndpointV1ChatCompletions, CompletionWindow: openai.BatchNewParamsCompletionWindow24h}
		change(&params)
		_, err := client.Batches.New(ctx, params)
		return err
	}
	stranger := f.client(option.WithAPIKey("tg_0123456789abcdef_no"))
	for name, c := range map[string]struct {
		status int
		param  string
		err    error
	}{
		"no key":                   {401, "", second(stranger.Batches.Get(ctx, batch.ID))},
		"a scope is missing":       {403, "", create(f.client(option.WithAPIKey(reader)), func(*openai.BatchNewParams) {})},
		"another tenant's batch":   {404, "id", second(umbrella.Batches.Get(ctx, batch.ID))},
		"another tenant's cancel":  {404, "id", second(umbrella.Batches.Cancel(ctx, batch.ID))},
		"another tenant's file":    {404, "id", second(umbrella.Files.Get(ctx, file.ID))},
		"another tenant's content": {404, "id", download(umbrella, file.ID)},
		"another tenant's delete":  {404, "id", second(umbrella.Files.Delete(ctx, file.ID))},
		"another tenant's input":   {400, "input_file_id", create(umbrella, func(*openai.BatchNewParams) {})},
		"no such batch":            {404, "id", second(acme.Batches.Get(ctx, "batch_1"))},
		"an endpoint":              {400, "endpoint", create(acme, func(p *openai.BatchNewParams) { p.Endpoint = "/v1/videos" })},
		"a window":                 {400, "completion_window", create(acme, func(p *openai.BatchNewParams) { p.CompletionWindow = "soon" })},
		"a route":                  {400, "metadata.tidegate.route", create(acme, func(p *openai.BatchNewParams) { p.Metadata = map[string]string{"tidegate.route": "nowhere"} })},
		"an expiry":                {400, "output_expires_after.seconds", create(acme, func(p *openai.BatchNewParams) { p.OutputExpiresAfter.Seconds = 10 })},
		"a purpose":                {400, "purpose", second(acme.Files.New(ctx, openai.FileNewParams{File: strings.NewReader("x"), Purpose: openai.FilePurposeFineTune}))},
		"a page":                   {400, "limit", second(acme.Batches.List(ctx, openai.BatchListParams{Limit: openai.Int(1000)}))},
	} {
		if told := apiError(t, c.err, c.status); told.Param != c.param {
			t.Errorf("%s: %s", name, told.RawJSON())
		}
	}
	batch = f.poll(acme, batch.ID, openai.BatchStatusCompleted)
	_, err = acme.Batches.Cancel(ctx, batch.ID)
	refused(t, err, http.StatusConflict)
	refused(t, download(umbrella, batch.OutputFileID), http.StatusNotFound)
	if page, err := umbrella.Batches.List(ctx, openai.BatchListParams{}); err != nil || len(page.Data) != 0 {
		t.Errorf("another tenant lists %+v, %v", page, err)
	}
	if page, err := umbrella.Files.List(ctx, openai.FileListParams{}); err != nil || len(page.Data) != 0 {
		t.Errorf("another tenant lists %+v, %v", page, err)
	}
}

// download reads a file for nothing but its error.
func download(client openai.Client, id string) error {
	response, err := client.Files.Content(context.Background(), id)
	if err == nil {
		_ = response.Body.Close()
	}
	return err
}

// refused is apiError for who wants no more of it.
func refused(t *testing.T, err error, status int) {
	t.Helper()
	_ = apiError(t, err, status)
}

func second[T any](_ T, err error) error { return err }

// Lines that are not right fail their batch, each under its number.
func TestFaultsOverHTTP(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	client := f.client()
	content := batchLines(2) + "{\n\n" + batchLines(1)
	batch := f.poll(client, f.order(client, f.upload(client, content).ID).ID, openai.BatchStatusFailed)
	faults := batch.Errors.Data
	if len(faults) != 2 || faults[0].Line != 3 || faults[0].Code != jobs.CodeNotJSON || faults[1].Line != 5 || faults[1].Code != jobs.CodeDuplicateID || faults[1].Param != "custom_id" ||
		batch.FailedAt == 0 || batch.RequestCounts.Total != 0 {
		t.Errorf("it fails as %s", batch.RawJSON())
	}
}

// Parts of a file can be had, and a part that is not there is told.
func TestRangesOfContent(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	content := batchLines(9000) // of several pieces
	file := f.upload(f.client(), content)
	for span, want := range map[string]string{
		"bytes=0-9": content[:10], "bytes=-5": content[len(content)-5:], "bytes=1048570-1048590": content[1048570:1048591], "bytes=1048576-": content[1048576:],
	} {
		response, text := f.do(t.Context(), http.MethodGet, "/files/"+file.ID+"/content", "", "", "Range", span)
		if response.status != http.StatusPartialContent || text != want {
			t.Errorf("%s: %d, %d bytes of %d", span, response.status, len(text), len(want))
		}
	}
	for name, c := range map[string]struct {
		header, value, code string
		status              int
	}{
		"behind the end": {"Range", fmt.Sprintf("bytes=%d-", len(content)), "invalid_range", http.StatusRequestedRangeNotSatisfiable},
		"no range":       {"Range", "lines=1-2", "invalid_range", http.StatusRequestedRangeNotSatisfiable},
		"another file":   {"If-Match", `"file-1"`, "precondition_failed", http.StatusPreconditionFailed},
	} {
		response, text := f.do(t.Context(), http.MethodGet, "/files/"+file.ID+"/content", "", "", c.header, c.value)
		var told struct{ Error struct{ Code string } }
		if err := json.Unmarshal([]byte(text), &told); err != nil || response.status != c.status || told.Error.Code != c.code || response.header.Get("Content-Disposition") != "" {
			t.Errorf("%s: %d %v %s", name, response.status, response.header, text)
		}
	}
	response, text := f.do(t.Context(), http.MethodGet, "/files/"+file.ID+"/content", "", "")
	if text != content || response.length != int64(len(content)) || response.header.Get("X-Request-Id") == "" {
		t.Errorf("%d bytes of %d, %v", len(text), len(content), response.header)
	}
}
