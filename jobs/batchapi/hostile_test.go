package batchapi_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/jobs/batchapi"
)

// Uploads that are not what they say, or of what they should be.
func TestHostileUploads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *batchapi.Config) { c.MaxFileBytes = 3 << 20 })
	kind, whole := form("purpose", "batch", "file/in.jsonl", "a line")
	head := func(lines ...string) string {
		return "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	typed, sized := "Content-Type: "+kind, func(n int) string { return fmt.Sprintf("Content-Length: %d", n) }
	var many []string
	for range 10_000 {
		many = append(many, "purpose", "batch")
	}
	_, tooMany := form(many...)
	for name, c := range map[string]struct {
		request string
		want    int
		code    string
	}{
		"cut off":                   {head(typed, sized(len(whole))) + whole[:len(whole)-30], 400, "incomplete_body"},
		"cut off in its file":       {head(typed, sized(3<<20)) + whole[:100] + strings.Repeat("x", 2<<20), 400, "incomplete_body"},
		"chunks cut off":            {head(typed, "Transfer-Encoding: chunked") + "20\r\n" + whole[:32] + "\r\n", 400, "incomplete_body"},
		"chunks that are none":      {head(typed, "Transfer-Encoding: chunked") + "zz\r\n" + whole, 400, "invalid_multipart"},
		"shorter than it says":      {head(typed, sized(len(whole)+1000)) + whole, 200, ""}, // the form has ended by then
		"longer than it says":       {head(typed, sized(40)) + whole, 400, "missing_required_parameter"},
		"packed":                    {head(typed, "Content-Encoding: gzip", sized(len(whole))) + whole, 415, "unsupported_content_encoding"},
		"packed twice":              {head(typed, "Content-Encoding: br, gzip", sized(len(whole))) + whole, 415, "unsupported_content_encoding"},
		"another type":              {head("Content-Type: application/json", sized(len(whole))) + whole, 415, "unsupported_content_type"},
		"no type":                   {head(sized(len(whole))) + whole, 415, "unsupported_content_type"},
		"no boundary":               {head("Content-Type: multipart/form-data", sized(len(whole))) + whole, 400, "invalid_multipart"},
		"another boundary":          {head("Content-Type: multipart/form-data; boundary=other", sized(len(whole))) + whole, 400, "missing_required_parameter"},
		"a boundary without end":    {head("Content-Type: multipart/form-data; boundary="+strings.Repeat("b", 5000), sized(len(whole))) + whole, 400, "missing_required_parameter"},
		"ten thousand parts":        {head(typed, sized(len(tooMany))) + tooMany, 400, "invalid_multipart"},
		"a header of a part":        {head(typed, "Transfer-Encoding: chunked") + "c00000\r\n--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\nX: " + strings.Repeat("x", 12<<20), 413, "request_too_large"},
		"larger, as it says":        {head(typed, sized(5<<20)) + whole, 413, "file_too_large"},
		"larger than may be":        {head(typed, sized(4<<20)) + "--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n" + strings.Repeat("x", 4<<20), 413, "file_too_large"},
		"much larger, in chunks":    {head(typed, "Transfer-Encoding: chunked") + "4000000\r\n" + "--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n" + strings.Repeat("x", 64<<20), 413, "file_too_large"},
		"a field without end":       {head(typed, sized(2<<20)) + "--limit\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n" + strings.Repeat("x", 2<<20), 400, "invalid_value"},
		"two lengths":               {head(typed, sized(len(whole)), sized(5)) + whole, 400, "-"},
		"a length below zero":       {head(typed, "Content-Length: -5") + whole, 400, "-"},
		"an unknown transfer":       {head(typed, "Transfer-Encoding: xchunked") + whole, 501, "-"},
		"a header over two lines":   {head(typed, "X-A: b\r\n c: d", sized(len(whole))) + whole, 200, ""}, // one header, as it was long ago
		"a name with a space":       {head(typed, "X A: b", sized(len(whole))) + whole, 400, "-"},
		"headers without end":       {head(typed, "X-A: "+strings.Repeat("x", 100<<10)) + whole, 431, "-"},
		"no HTTP":                   {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "-"},
		"a version of long ago":     {strings.Replace(head(typed, sized(len(whole))), "HTTP/1.1", "HTTP/1.0", 1) + whole, 200, ""},
		"a method that there isn't": {strings.Replace(head(typed, sized(len(whole))), "POST", "BREW", 1) + whole, 405, "method_not_allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			all := w.raw(c.request, strings.Contains(name, "cut off") || strings.Contains(name, "says") || c.code == "-")
			if len(all) != 1 && c.want != 400 && c.want != 413 || len(all) > 2 {
				t.Fatalf("%d answers: %+v", len(all), all)
			}
			if len(all) == 0 { // the connection was cut while much was still to be sent
				return
			}
			got := all[0]
			if got.Status != c.want {
				t.Fatalf("%d: %.300s", got.Status, got.Body)
			}
			if c.want != http.StatusOK && c.code != "-" { // else net/http has answered itself
				if message, _, _, code := got.fault(t); message == "" || c.code != "" && code != c.code {
					t.Errorf("it says %.300s", got.Body)
				}
			}
		})
	}
	if n := w.files(); n != 3 {
		t.Errorf("%d files are seen, of 3 that came whole", n)
	}
	fixture.Await(t, soon, "what was cut off is given up", func() bool {
		return w.do(http.MethodGet, "/v1/files?limit=10", "", nil).Status == http.StatusOK && w.files() == 3
	})
}

// Of CL and TE, one counts: what one side takes for a body, the other must not take
// for a request.
func TestSmuggledRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.file()
	const whole = "both, and a length of all"
	smuggled := "DELETE /v1/files/" + file + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for name, request := range map[string]string{
		"both": "POST /v1/batches HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" +
			fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled),
		whole: "POST /v1/batches HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + strconv.Itoa(5+len(smuggled)) +
			"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"twice":     "POST /v1/batches HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + smuggled,
		"in a path": "GET /v1/files/x\r\n" + smuggled + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, got := range w.raw(request, name != whole) { // a server that goes on behind it must not be stopped by us
				if strings.Contains(got.Body, `"deleted":true`) {
					t.Errorf("the smuggled request was answered: %+v", got)
				}
			}
			if w.files() != 1 {
				t.Fatal("the file is gone")
			}
		})
	}
}

// What somebody writes where an id, a number or a word belongs is not taken for SQL,
// nor for a path, and what is stored comes back as it was.
func TestHostileWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.file()
	for _, word := range []string{
		"'; DROP TABLE tidegate.files; --", "' OR ''='", `"`, "%00", "%ff%fe", "..%2f..%2fetc%2fpasswd", "%F0%9F%92%A9", strings.Repeat("a", 5000), "a%0d%0aX-Evil:1", "*", "{id}", "file-", "%2e%2e",
	} {
		escaped := strings.NewReplacer("'", "%27", ";", "%3B", " ", "%20", `"`, "%22", "=", "%3D").Replace(word)
		for _, path := range []string{"/v1/files/" + escaped, "/v1/files/" + escaped + "/content", "/v1/batches/" + escaped} {
			if got := w.do(http.MethodGet, path, "", nil); got.Status != http.StatusNotFound {
				t.Errorf("%s: %d %.200s", path, got.Status, got.Body)
			} else if message, _, _, _ := got.fault(t); strings.ContainsAny(message, "\r\n\x00") {
				t.Errorf("%s: %q", path, message)
			}
		}
		for _, path := range []string{"/v1/files?after=" + escaped, "/v1/files?limit=" + escaped, "/v1/files?order=" + escaped, "/v1/batches?after=" + escaped, "/v1/batches?limit=" + escaped} {
			if got := w.do(http.MethodGet, path, "", nil); got.Status != http.StatusBadRequest && (got.Status != http.StatusOK || word != "file-") {
				t.Errorf("%s: %d %.200s", path, got.Status, got.Body)
			}
		}
	}
	for _, body := range []string{
		"", "null", "[]", "7", `"x"`, "{", `{"input_file_id":7}`, `{"input_file_id":"x"} {}`, "\xff\xfe", `{"metadata":` + strings.Repeat(`{"a":`, 100_000),
		strings.Repeat("[", 100_000), `{"metadata":{"a":"\u0000"}}`, `{"what":1}`, `{"input_file_id":"` + strings.Repeat("x", 2<<20) + `"}`,
		`{"input_file_id":"` + file + `","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"a\u0000":"b"}}`,
		`{"input_file_id":"` + file + `","endpoint":"/v1/chat/completions","completion_window":"-24h"}`,
		`{"input_file_id":"` + file + `","endpoint":"/v1/chat/completions","completion_window":"99999999999999999999d"}`,
		`{"input_file_id":"` + file + `","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"tidegate.max_cost_usd":"NaN"}}`,
		`{"input_file_id":"` + file + `","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"tidegate.rout":"summaries"}}`,
		`{"input_file_id":"` + file + `","endpoint":"/v1/chat/completions","completion_window":"24h","output_expires_after":{"anchor":"x","seconds":3600}}`,
	} {
		got := w.do(http.MethodPost, "/v1/batches", "application/json", strings.NewReader(body))
		if got.Status != http.StatusBadRequest && got.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("%.60q: %d %.200s", body, got.Status, got.Body)
		}
		_, _, _, _ = got.fault(t)
	}
	const evil = `'); DROP TABLE tidegate.batches; -- \"<script>`
	got := w.do(http.MethodPost, "/v1/batches", "application/json", strings.NewReader(`{"input_file_id":"`+file+`","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"evil":"`+evil+`"}}`))
	if got.Status != http.StatusOK || !strings.Contains(got.Body, evil) {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}

// Names of files are what people see, and no way to anywhere.
func TestNamesOfFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, want := range map[string]string{
		"../../etc/passwd": "passwd", `C:\secret\in.jsonl`: "in.jsonl", "..": "file", "日本.jsonl": "日本.jsonl", strings.Repeat("x", 400): strings.Repeat("x", 255), "/": "file",
	} {
		kind, body := form("purpose", "batch")
		body = strings.Replace(body, "--limit--\r\n", "", 1) + "--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + strings.ReplaceAll(name, `\`, `\\`) + "\"\r\n\r\nx\r\n--limit--\r\n"
		got := w.do(http.MethodPost, "/v1/files", kind, strings.NewReader(body))
		if got.Status != http.StatusOK || !strings.Contains(got.Body, `"filename":"`+want+`"`) {
			t.Errorf("%q: %d %s", name, got.Status, got.Body)
		}
	}
}

// Who sends a byte now and then does not keep its place, before nor behind the headers.
func TestSlowSenders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.Hasten(300*time.Millisecond, 500*time.Millisecond)
	kind, whole := form("purpose", "batch", "file/in.jsonl", strings.Repeat("x", 3000))
	for name, c := range map[string]struct {
		pause time.Duration // between bytes
		bytes int           // that come before
	}{"silence": {time.Hour, 50}, "a byte now and then": {100 * time.Millisecond, 200}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", strings.TrimPrefix(w.base, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, err = fmt.Fprintf(conn, "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", kind, len(whole), whole[:c.bytes])
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for _, b := range []byte(whole[c.bytes:]) {
					timer := time.NewTimer(c.pause)
					select {
					case <-timer.C:
					case <-t.Context().Done():
						return
					}
					if _, err := conn.Write([]byte{b}); err != nil {
						return
					}
				}
			}()
			_ = conn.SetReadDeadline(time.Now().Add(soon))
			text, err := io.ReadAll(conn)
			if err != nil && len(text) == 0 || !strings.Contains(string(text), "408 Request Timeout") {
				t.Errorf("%v: %.200s", err, text)
			}
		})
	}
}

// Nothing of what is sent stands in the log, and of a key neither.
func TestLogSaysNothingOfContents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const secret = "s3cr3t-content"
	w.upload("purpose", secret, "file/in.jsonl", secret)
	w.do(http.MethodGet, "/v1/files/"+secret, "", nil, "Authorization", "Bearer "+secret)
	w.do(http.MethodPost, "/v1/batches", "application/json", strings.NewReader(secret))
	if strings.Contains(w.log.String(), secret) {
		t.Errorf("the log says %s", w.log)
	}
}

// Who does not read what it is sent does not keep its place either.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.upload("purpose", "batch", "file/in.jsonl", strings.Repeat("x", 32<<20))
	_, id, _ := strings.Cut(got.Body, `"id":"`)
	id, _, _ = strings.Cut(id, `"`)
	w.server.Hasten(300*time.Millisecond, time.Minute)
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET /v1/files/%s/content HTTP/1.1\r\nHost: localhost\r\n\r\n", id); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(soon))
	response, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil)
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(5 * time.Second) // from the first bytes on, and more than what is patient with it
	if n, err := io.Copy(io.Discard, response.Body); err == nil {
		t.Errorf("it was sent all %d bytes", n)
	}
	_ = response.Body.Close()
}

// Without keys only this machine comes in: no page of another site that a browser here
// shows, under no other name, and nobody behind a proxy here. From the first key on,
// everybody needs one.
func TestWithoutKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, headers := range map[string][]string{
		"another site": {"Origin", "https://evil.example"}, "a proxy": {"X-Forwarded-For", "203.0.113.7"}, "another proxy": {"Via", "1.1 proxy"},
	} {
		if got := w.do(http.MethodGet, "/v1/files", "", nil, headers...); got.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	for host, want := range map[string]int{"localhost": 200, "127.0.0.1:99": 200, "[::1]": 200, "rebound.example": 401, "localhost.example:80": 401} {
		got := w.raw("GET /v1/files HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n", false)
		if len(got) != 1 || got[0].Status != want {
			t.Errorf("as %s: %+v", host, got)
		}
	}
	if _, _, err := w.store.CreateKey(t.Context(), jobs.Key{Tenant: "acme", Scopes: jobs.KeyScopes()}); err != nil {
		t.Fatal(err)
	}
	fixture.Await(t, soon, "a key is asked for", func() bool { return w.do(http.MethodGet, "/v1/files", "", nil).Status == http.StatusUnauthorized })
}
