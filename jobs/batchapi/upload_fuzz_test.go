package batchapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"

	"tidegate/jobs"
	"tidegate/jobs/batchapi"
	"tidegate/store"
)

// Whatever comes as an upload: it is answered, never with a 5xx; what is taken is there
// byte for byte, and of what is not, nothing stays. The first hole in a body is filled
// with as many bytes as are asked for, so that files of several pieces are tried, too.
func FuzzUpload(f *testing.F) {
	w := newWorld(f, func(c *batchapi.Config) { c.MaxFileBytes = 3 << 20 })
	kind, whole := form("purpose", "batch", "file/in.jsonl", hole)
	for _, seed := range []struct {
		kind, body string
		fill       uint32
	}{
		{kind, whole, 0},
		{kind, whole, 10},
		{kind, whole, store.PieceBytes},
		{kind, whole, 2*store.PieceBytes + 1},
		{kind, whole, 4 << 20},
		{kind, whole[:len(whole)-4], 5},
		{kind + "; charset=utf-8", "\r\npreamble\r\n" + whole, 1},
		{kind, whole + "epilogue", 3},
		{"multipart/form-data", whole, 1},
		{"multipart/mixed; boundary=limit", whole, 1},
		{`multipart/form-data; boundary="a b"`, "--a b\r\n\r\n" + hole, 7},
		{"", "", 0},
		{kind, "--limit\nContent-Disposition: form-data; name=file; filename*=UTF-8''%00\n\nx\n--limit--", 0},
		{kind, "--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\x00/..\\\xff\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=41=\r\n\r\n--limit\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--limit--\r\n", 0},
	} {
		f.Add(seed.kind, []byte(seed.body), seed.fill, false)
	}
	_, twice := form("file/a", "1", "file/b", "2", "purpose", "batch", "expires_after[anchor]", "created_at", "expires_after[seconds]", "3600")
	f.Add(kind, []byte(twice), uint32(0), true)
	_, expires := form("expires_after[seconds]", "3600", "file/in.jsonl", "\r\n--limi\r\n-\x00"+hole, "expires_after[anchor]", "created_at", "purpose", "batch")
	f.Add(kind, []byte(expires), uint32(70), true)
	f.Fuzz(func(t *testing.T, kind string, body []byte, fill uint32, slowly bool) {
		body = bytes.Replace(body, []byte(hole), pattern(int(fill%(4<<20))), 1)
		var sent io.Reader = bytes.NewReader(body)
		if slowly && len(body) < 10_000 {
			sent = iotest.OneByteReader(sent)
		}
		got := w.serve(http.MethodPost, "/v1/files", kind, sent)
		if got.Code >= http.StatusInternalServerError {
			t.Fatalf("%d: %s; the log says %s", got.Code, got.Body, w.log)
		}
		if got.Code == http.StatusOK {
			w.mustBe(t, got.Body.Bytes(), contentOf(t, kind, body))
		} else {
			answer{Status: got.Code, Body: got.Body.String()}.fault(t)
		}
		if left := w.pieces(t); left != 0 {
			t.Fatalf("%d pieces stay of an upload that was answered with %d", left, got.Code)
		}
	})
}

// hole is what is filled.
const hole = "@@@@"

// pattern is so many bytes, which differ from place to place.
func pattern(n int) []byte {
	all := make([]byte, n)
	for i := range all {
		all[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return all
}

// serve asks the handler itself, as somebody on this machine.
func (w *world) serve(method, path, kind string, body io.Reader) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, path, body)
	request.Host, request.RemoteAddr = "localhost", "127.0.0.1:1"
	if kind != "" {
		request.Header["Content-Type"] = []string{kind}
	}
	got := httptest.NewRecorder()
	w.server.ServeHTTP(got, request)
	return got
}

// contentOf is the file of a form that is right.
func contentOf(t *testing.T, kind string, body []byte) []byte {
	t.Helper()
	_, params, err := mime.ParseMediaType(kind)
	if err != nil {
		t.Fatalf("it was taken as %q: %v", kind, err)
	}
	for form := multipart.NewReader(bytes.NewReader(body), params["boundary"]); ; {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			t.Fatal("a form without a file was taken")
		}
		if err != nil {
			t.Fatal(err)
		}
		if part.FormName() == "file" {
			content, err := io.ReadAll(part)
			if err != nil {
				t.Fatal(err)
			}
			return content
		}
	}
}

// mustBe reads back a file that was taken, and removes it.
func (w *world) mustBe(t *testing.T, said, want []byte) {
	t.Helper()
	var file struct {
		ID, Purpose string
		Bytes       int
	}
	if err := json.Unmarshal(said, &file); err != nil || file.Purpose != jobs.PurposeBatch || file.Bytes != len(want) {
		t.Fatalf("%v: it says %s of %d bytes", err, said, len(want))
	}
	got := w.serve(http.MethodGet, "/v1/files/"+file.ID+"/content", "", nil)
	if got.Code != http.StatusOK || !bytes.Equal(got.Body.Bytes(), want) {
		t.Fatalf("%d: %d bytes came back of %d", got.Code, got.Body.Len(), len(want))
	}
	if got := w.serve(http.MethodDelete, "/v1/files/"+file.ID, "", nil); got.Code != http.StatusOK {
		t.Fatalf("removing it: %d %s", got.Code, got.Body)
	}
}

// pieces counts what there is of files.
func (w *world) pieces(t *testing.T) (n int) {
	t.Helper()
	if err := w.pool.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM tidegate.files) + (SELECT count(*) FROM tidegate.file_pieces)").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
