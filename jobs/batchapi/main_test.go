package batchapi_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/jobs/batchapi"
	"tidegate/jobs/queue"
	"tidegate/store"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// soon is how long a fact may take that is only waiting for a busy machine.
const soon = 60 * time.Second

// A world is a Server on a database of one test, on a real socket, with a route that
// workers have announced.
type world struct {
	testing.TB
	pool   *pgxpool.Pool
	store  *store.Store
	server *batchapi.Server
	base   string // http://…
	log    *bytes.Buffer
}

func newWorld(t testing.TB, change ...func(*batchapi.Config)) *world {
	t.Helper()
	pool, err := store.Connect(t.Context(), fixture.Database(t), 6)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	w := &world{TB: t, pool: pool, store: store.New(pool), log: &bytes.Buffer{}}
	if err := w.store.SaveRoutes(t.Context(), []jobs.Route{{Name: "summaries", Goal: "ordered"}}); err != nil {
		t.Fatal(err)
	}
	requests, err := queue.New(pool)
	if err != nil {
		t.Fatal(err)
	}
	config := batchapi.Config{Store: w.store, Queue: requests, Goals: []string{"ordered", "cost"}, Log: zerolog.New(zerolog.SyncWriter(w.log))}
	for _, c := range change {
		c(&config)
	}
	w.server = batchapi.New(config)
	listening := httptest.NewUnstartedServer(w.server)
	listening.Config.MaxHeaderBytes = 32 << 10
	listening.Config.ErrorLog = nil
	listening.Start()
	t.Cleanup(listening.Close)
	w.base = listening.URL
	return w
}

// An answer is what came back.
type answer struct {
	*testing.T
	Status int
	Header http.Header
	Body   string
}

// fault is the error in an answer: all four of its fields are always there.
func (a answer) fault(t testing.TB) (message, kind, param, code string) {
	t.Helper()
	var body struct{ Error map[string]*string }
	if err := json.Unmarshal([]byte(a.Body), &body); err != nil || len(body.Error) != 4 || body.Error["message"] == nil || body.Error["type"] == nil {
		t.Fatalf("%d without the envelope of errors: %.300q", a.Status, a.Body)
	}
	text := func(name string) string {
		if value := body.Error[name]; value != nil {
			return *value
		}
		return ""
	}
	return text("message"), text("type"), text("param"), text("code")
}

// do makes a request as net/http does.
func (w *world) do(method, path, kind string, body io.Reader, headers ...string) answer {
	w.Helper()
	request, err := http.NewRequestWithContext(w.Context(), method, w.base+path, body)
	if err != nil {
		w.Fatal(err)
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.Fatal(err)
	}
	return w.read(response)
}

func (w *world) read(response *http.Response) answer {
	w.Helper()
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		w.Fatal(err)
	}
	return answer{Status: response.StatusCode, Header: response.Header, Body: string(text)}
}

// raw sends bytes as they are, and reads what comes back until the other side closes.
// What is cut ends there: nothing more will come.
func (w *world) raw(request string, cut bool) []answer {
	w.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.base, "http://"))
	if err != nil {
		w.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(soon))
	go func() {
		_, _ = io.WriteString(conn, request) // the server may have had enough
		if cut {
			_ = conn.(*net.TCPConn).CloseWrite()
		}
	}()
	var all []answer
	for reader := bufio.NewReader(conn); ; {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return all
		}
		all = append(all, w.read(response))
	}
}

// form is the body of an upload with parts in their order: name, value; a name with a
// slash has the file's name behind it.
func form(parts ...string) (kind string, body string) {
	var b strings.Builder
	for i := 0; i+1 < len(parts); i += 2 {
		name, file, isFile := strings.Cut(parts[i], "/")
		fmt.Fprintf(&b, "--limit\r\nContent-Disposition: form-data; name=%q", name)
		if isFile {
			fmt.Fprintf(&b, "; filename=%q\r\nContent-Type: application/octet-stream", file)
		}
		fmt.Fprintf(&b, "\r\n\r\n%s\r\n", parts[i+1])
	}
	return "multipart/form-data; boundary=limit", b.String() + "--limit--\r\n"
}

func (w *world) upload(parts ...string) answer {
	w.Helper()
	kind, body := form(parts...)
	return w.do(http.MethodPost, "/v1/files", kind, onlyReader{strings.NewReader(body)})
}

// onlyReader is a body of which nobody knows the length.
type onlyReader struct{ io.Reader }

// file is the id of a file that was uploaded.
func (w *world) file() string {
	w.Helper()
	got := w.upload("purpose", "batch", "file/in.jsonl", `{"custom_id":"a"}`)
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(got.Body), &made); err != nil || got.Status != http.StatusOK {
		w.Fatalf("%+v", got)
	}
	return made.ID
}

// files lists those that are seen.
func (w *world) files() int {
	w.Helper()
	files, err := w.store.Files(w.Context(), jobs.DefaultTenant, "", store.Page{Limit: 1000})
	if err != nil {
		w.Fatal(err)
	}
	return len(files)
}
