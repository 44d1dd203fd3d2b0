package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"tidegate/integration/bench"
	"tidegate/integration/fixture"
	"tidegate/jobs"
)

// A front is a stage with a worker, and a server that answers over HTTP.
type front struct {
	*stage
	base string // of the API: http://…/v1
}

func newFront(t *testing.T, s staging) *front {
	t.Helper()
	st := newStage(t, s)
	st.work(nil)
	return &front{stage: st, base: st.serveHTTP()}
}

// serveHTTP runs `tidegate serve` and returns the base URL of its API.
func (s *stage) serveHTTP() string {
	s.Helper()
	file := write(s.T, "tidegate.yaml", s.config.String())
	return run(s.T, "serve", "--listen", "127.0.0.1:0", "--config", file, "--database-url", s.URL, "--nats-url", s.NATSURL).await(`listening on (http://\S+)`) + "/v1"
}

// client is an official SDK as its users have it.
func (f *front) client(options ...option.RequestOption) openai.Client {
	return openai.NewClient(append([]option.RequestOption{option.WithBaseURL(f.base + "/"), option.WithAPIKey("none")}, options...)...)
}

// batchLines are n lines of a batch file, numbered in their custom ids.
func batchLines(n int) string {
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, `{"custom_id":"n-%05d","method":"POST","url":"/v1/chat/completions","body":%s}`+"\n", i, body(i))
	}
	return all.String()
}

// upload sends a file from a reader of which nobody knows the length.
func (f *front) upload(client openai.Client, content string) *openai.FileObject {
	f.Helper()
	file, err := client.Files.New(f.Context(), openai.FileNewParams{File: openai.File(onlyReader{strings.NewReader(content)}, "in.jsonl", "application/jsonl"), Purpose: openai.FilePurposeBatch})
	check(f.T, err)
	return file
}

type onlyReader struct{ io.Reader }

func (f *front) order(client openai.Client, file string, options ...option.RequestOption) *openai.Batch {
	f.Helper()
	batch, err := client.Batches.New(f.Context(), openai.BatchNewParams{
		InputFileID: file, Endpoint: openai.BatchNewParamsEndpointV1ChatCompletions, CompletionWindow: openai.BatchNewParamsCompletionWindow24h,
	}, options...)
	check(f.T, err)
	return batch
}

// poll asks for a batch until it has come to a state.
func (f *front) poll(client openai.Client, id string, states ...openai.BatchStatus) *openai.Batch {
	f.Helper()
	var batch *openai.Batch
	var before openai.BatchRequestCounts
	fixture.Await(f.T, soon, fmt.Sprintf("the batch is %s", states), func() bool {
		var err error
		batch, err = client.Batches.Get(f.Context(), id)
		check(f.T, err)
		counts := batch.RequestCounts
		if counts.Total < before.Total || counts.Completed < before.Completed || counts.Failed < before.Failed {
			f.Errorf("counts went back from %+v to %+v", before, counts)
		}
		before = counts
		final := jobs.BatchState(batch.Status).Final()
		if ids := batch.JSON.OutputFileID.Raw() != "null" || batch.JSON.ErrorFileID.Raw() != "null"; ids && !final {
			f.Errorf("a batch that is %s names files", batch.Status)
		}
		for _, state := range states {
			if batch.Status == state {
				return true
			}
		}
		if final {
			f.Fatalf("the batch has ended as %s: %s", batch.Status, batch.RawJSON())
		}
		return false
	})
	return batch
}

// content reads the lines of a file by their custom ids.
func (f *front) content(client openai.Client, id string) map[string]fileLine {
	f.Helper()
	lines := map[string]fileLine{}
	if id == "" {
		return lines
	}
	response, err := client.Files.Content(f.Context(), id)
	check(f.T, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	check(f.T, err)
	for _, line := range decodeLines[fileLine](f.T, string(text)) {
		if _, twice := lines[line.CustomID]; twice {
			f.Errorf("%s is there twice", line.CustomID)
		}
		lines[line.CustomID] = line
	}
	return lines
}

type fileLine struct {
	ID       string `json:"id"`
	CustomID string `json:"custom_id"`
	Response *struct {
		StatusCode int             `json:"status_code"`
		RequestID  string          `json:"request_id"`
		Body       json.RawMessage `json:"body"`
	} `json:"response"`
	Error *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// wholeBatch checks that each of n lines has ended once, and that the counts say so.
func (f *front) wholeBatch(client openai.Client, batch *openai.Batch, n int) (output, faults map[string]fileLine) {
	f.Helper()
	output, faults = f.content(client, batch.OutputFileID), f.content(client, batch.ErrorFileID)
	counts := batch.RequestCounts
	if int(counts.Completed) != len(output) || int(counts.Failed) != len(faults) || int(counts.Total) != n || len(output)+len(faults) != n {
		f.Errorf("of %d lines, %d are in the output and %d are errors; counted are %+v", n, len(output), len(faults), counts)
	}
	for i := range n {
		id := fmt.Sprintf("n-%05d", i)
		_, answered := output[id]
		if _, failed := faults[id]; answered == failed {
			f.Errorf("%s: answered %v, failed %v", id, answered, failed)
		}
	}
	if requests := f.count("SELECT count(*) FROM tidegate.requests WHERE batch_id = $1", batch.ID); requests != n {
		f.Errorf("%d requests for %d lines", requests, n)
	}
	return output, faults
}

// newResetter is the base URL of an API behind a proxy that cuts the connection of the
// first request of a kind.
func newResetter(t *testing.T, base, method, path string) string {
	t.Helper()
	r, err := bench.NewResetter(strings.TrimSuffix(base, "/v1"), method, path)
	check(t, err)
	return serve(t, r) + "/v1"
}

// apiError is the error of an SDK that names a status.
func apiError(t *testing.T, err error, status int) *openai.Error {
	t.Helper()
	var told *openai.Error
	if !errors.As(err, &told) || told.StatusCode != status {
		t.Fatalf("it says %v, not %d", err, status)
	}
	if again := told.Response.Header.Get("X-Should-Retry"); (again == "false") != (status == http.StatusConflict) {
		t.Errorf("of trying %d again it says %q", status, again)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(told.RawJSON()), &raw); err != nil || len(raw) != 4 || raw["param"] == nil || raw["code"] == nil || told.Message == "" || told.Type == "" {
		t.Errorf("the error is %s", told.RawJSON())
	}
	return told
}

// A reply is an answer without its body.
type reply struct {
	status int
	length int64 // that it said of its body; below zero: it said nothing
	header http.Header
}

// do makes a plain request.
func (f *front) do(ctx context.Context, method, path, kind, body string, headers ...string) (reply, string) {
	f.Helper()
	request, err := http.NewRequestWithContext(ctx, method, f.base+path, strings.NewReader(body))
	check(f.T, err)
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	check(f.T, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	check(f.T, err)
	return reply{response.StatusCode, response.ContentLength, response.Header}, string(text)
}
