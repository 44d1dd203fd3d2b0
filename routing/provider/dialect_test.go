package provider

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tidegate/jobs"
)

// TestRecordedAnswers plays every recorded answer of every dialect through the
// whole client. A file begins with what must come of it:
//
//	want: OK <finish reason> <input>/<cached>/<output>/<reasoning tokens>
//	want: <CLASS> [<code>] [<retry after>]
//
// and goes on with the response as it was on the wire. A file whose name ends in
// _stream.http is what came when a stream was asked for.
func TestRecordedAnswers(t *testing.T) {
	t.Parallel()
	for name := range dialects {
		met := map[jobs.Class]bool{}
		for _, file := range recordings(t, name) {
			recorded, want := readRecorded(t, file)
			met[jobs.Class(strings.Fields(want)[0])] = true
			t.Run(name+"/"+filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				playRecorded(t, &jobs.Target{Dialect: name, Stream: isStream(file)}, recorded, want)
			})
		}
		for _, class := range []jobs.Class{jobs.OK, jobs.Rate, jobs.Quota, jobs.Overload, jobs.Transient, jobs.Timeout, jobs.Auth, jobs.Context, jobs.Content, jobs.BadRequest, jobs.Garbled} {
			if !met[class] {
				t.Errorf("dialect %s: no recorded answer in testdata/%s is %s: record one, in a file whose first line is \"want: %s …\"", name, name, class, class)
			}
		}
	}
}

// recordings are the files with a dialect's recorded answers.
func recordings(t testing.TB, dialect string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dialect, "*.http"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func readRecorded(t testing.TB, file string) (recorded response, want string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	first, wire, _ := bytes.Cut(data, []byte("\n"))
	want, ok := strings.CutPrefix(string(first), "want: ")
	if !ok {
		t.Fatalf("%s: its first line must be \"want: …\"", file)
	}
	parsed, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(wire)), nil)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	defer parsed.Body.Close()
	body, err := io.ReadAll(parsed.Body)
	if err != nil {
		t.Fatalf("%s: is its Content-Length right? %v", file, err)
	}
	return response{parsed.StatusCode, parsed.Header, body}, want
}

func isStream(file string) bool { return strings.HasSuffix(file, "_stream.http") }

func playRecorded(t *testing.T, as *jobs.Target, recorded response, want string) {
	t.Helper()
	url, seen := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range recorded.header {
			w.Header()[name] = values
		}
		w.WriteHeader(recorded.status)
		_, _ = w.Write(recorded.body)
	})
	target := at(url)
	target.Dialect, target.Stream = as.Dialect, as.Stream
	got, failed := complete(t, newClient(t, Config{}), target)
	if told := tell(got, failed); told != want {
		t.Errorf("got  %s\nwant %s\n(%v)", told, want, failed)
	}
	if n := seen.requests.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	id := recorded.header.Get(dialects[as.Dialect].requestID)
	switch {
	case got != nil && (got.Target != "mini" || got.Model == "" || got.ProviderID == "" || got.FirstByte <= 0 || got.ProviderRequestID != id):
		t.Errorf("not all of the answer is filled: %+v", got)
	case failed != nil && (!failed.Said || failed.Status != recorded.status || failed.ProviderRequestID != id || failed.Message == ""):
		t.Errorf("not all of the error is filled: %+v", failed)
	case failed != nil && strings.Contains(failed.Message, "not to be seen"):
		t.Errorf("the message holds the request's input: %q", failed.Message)
	}
}

func tell(got *jobs.Answer, failed *jobs.Error) string {
	if got != nil {
		u := got.Usage
		return fmt.Sprintf("OK %s %d/%d/%d/%d", got.FinishReason, u.Input, u.CachedInput, u.Output, u.Reasoning)
	}
	words := []string{string(failed.Class), failed.Code}
	if failed.RetryAfter > 0 {
		words = append(words, failed.RetryAfter.String())
	}
	return strings.Join(slices.DeleteFunc(words, func(word string) bool { return word == "" }), " ")
}

// TestDialectsAreWhole finds a field that the author of a dialect forgot.
func TestDialectsAreWhole(t *testing.T) {
	t.Parallel()
	for name, d := range dialects {
		if d.path == nil || d.headers == nil || d.encode == nil || d.decode == nil || d.explain == nil || d.rules == nil || d.allowance == nil || d.requestID == "" {
			t.Errorf("dialect %s: a field is missing: %+v", name, d)
		}
		header := d.headers(&jobs.Target{Key: "the-key"})
		if !strings.Contains(fmt.Sprint(header), "the-key") {
			t.Errorf("dialect %s: its headers do not carry the key: %v", name, header)
		}
		if header := d.headers(&jobs.Target{}); strings.Contains(fmt.Sprint(header), "Bearer") {
			t.Errorf("dialect %s: sends an empty key: %v", name, header)
		}
		if _, err := d.encode(&jobs.Target{Model: "m"}, []byte(`{"messages":`)); err == nil {
			t.Errorf("dialect %s: encodes half a JSON text", name)
		}
		if !slices.Contains(Dialects(), name) {
			t.Errorf("dialect %s is not in Dialects", name)
		}
	}
}
