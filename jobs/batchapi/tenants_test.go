package batchapi_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
)

// A victim is a tenant with one of everything that has an id.
type victim struct {
	*world
	key string            // in full
	ids map[string]string // of what it has, by what it is
}

func newVictim(w *world) *victim {
	w.Helper()
	v := &victim{world: w, key: w.keyOf("acme"), ids: map[string]string{}}
	kind, input := form("purpose", "batch", "file/in.jsonl", "{}")
	v.ids["file"] = v.id(w.do(http.MethodPost, "/v1/files", kind, strings.NewReader(input), "Authorization", v.key), http.StatusOK)
	order := fmt.Sprintf(`{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"24h"}`, v.ids["file"])
	v.ids["batch"] = v.id(w.post("/v1/batches", order, "Authorization", v.key, "Idempotency-Key", "monday"), http.StatusOK)
	v.ids["ended"] = v.id(w.post("/v1/batches", order, "Authorization", v.key), http.StatusOK)
	v.ids["job"] = v.id(w.post("/v1/jobs", `{`+said+`}`, "Authorization", v.key), http.StatusAccepted)
	v.ids["many"] = v.id(w.post("/v1/jobs:batch", `{"jobs":[{`+said+`}]}`, "Authorization", v.key), http.StatusAccepted)
	v.ids["webhook"] = v.id(w.post("/v1/webhook_endpoints", `{"url":"https://example.com/","event_types":["batch.failed"]}`, "Authorization", v.key), http.StatusOK)
	for _, what := range []string{"output", "fault"} {
		file := jobs.File{ID: "file-" + what, Tenant: "acme", Purpose: jobs.PurposeBatchOutput, Name: what, Bytes: 3}
		w.must(w.store.NewFile(w.Context(), file))
		w.must(w.store.AppendPiece(w.Context(), file.ID, 0, []byte("{}\n")))
		_, err := w.store.FinishFile(w.Context(), file)
		w.must(err)
		v.ids[what] = file.ID
	}
	_, err := w.pool.Exec(w.Context(), "UPDATE tidegate.batches SET state = 'completed', ended_at = now(), output_file_id = 'file-output', error_file_id = 'file-fault' WHERE id = $1", v.ids["ended"])
	w.must(err)
	return v
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// keyOf makes a key of a tenant that is good for everything.
func (w *world) keyOf(tenant string) string {
	w.Helper()
	_, whole, err := w.store.CreateKey(w.Context(), jobs.Key{Tenant: tenant, Scopes: jobs.KeyScopes()})
	w.must(err)
	return "Bearer " + whole
}

func (v *victim) id(got answer, status int) string {
	v.Helper()
	return decodeInto[struct{ ID string }](v, got, status).ID
}

// state is all that Postgres knows of what the victim has.
func (v *victim) state() (all string) {
	v.Helper()
	const query = `SELECT concat_ws('; ', (SELECT string_agg(f::text, ' ' ORDER BY id) FROM tidegate.files f), (SELECT string_agg(b::text, ' ' ORDER BY id) FROM tidegate.batches b),
		(SELECT string_agg(r::text, ' ' ORDER BY id) FROM tidegate.requests r), (SELECT count(*) FROM tidegate.results), (SELECT count(*) FROM tidegate.file_pieces),
		(SELECT string_agg(h::text, ' ' ORDER BY id) FROM tidegate.webhooks h), (SELECT count(*) FROM tidegate.river_job WHERE kind = 'webhook'))`
	v.must(v.pool.QueryRow(v.Context(), query).Scan(&all))
	return all
}

// placeholder is what stands in a pattern for an id.
var placeholder = regexp.MustCompile(`\{[a-z]+(\.\.\.)?\}`)

// TestEveryRouteAgainstAnotherTenant: whatever a stranger asks of whatever there is, with
// an id of somebody else it hears the same as with one that nobody has, and nothing
// happens to what that is the id of. Operations that are added are asked, too.
func TestEveryRouteAgainstAnotherTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := newVictim(w)
	v.readsItsOwn(t)
	stranger, before := w.keyOf("umbrella"), v.state()
	for _, pattern := range w.server.Patterns() {
		method, path, _ := strings.Cut(pattern, " ")
		for what, id := range v.ids {
			nobodys := strings.NewReplacer("1", "2", "2", "1", "output", "nobody", "fault", "nobod").Replace(id)
			for _, with := range asked(method, path) {
				ask := func(id string) (int, string) {
					got := w.do(method, strings.ReplaceAll(with.path, "ID", id), with.kind, strings.NewReader(strings.ReplaceAll(with.body, "ID", id)), append([]string{"Authorization", stranger}, with.headers...)...)
					return got.Status, strings.ReplaceAll(got.Body, id, "ID")
				}
				status, said := ask(id)
				elses, known := ask(nobodys)
				switch {
				case status >= http.StatusInternalServerError && status != http.StatusServiceUnavailable:
					t.Errorf("%s of a %s: %d %s", pattern, what, status, said)
				case status != elses || said != known:
					t.Errorf("%s of a %s, %+v:\n%d %s\nand of what nobody has:\n%d %s", pattern, what, with, status, said, elses, known)
				case strings.Contains(path, "{id}") && status != http.StatusNotFound:
					t.Errorf("%s of a %s: %d %s", pattern, what, status, said)
				case slices.ContainsFunc(v.all(), func(id string) bool { return strings.Contains(said, id) }):
					t.Errorf("%s of a %s names something of another tenant: %s", pattern, what, said)
				}
			}
		}
	}
	if after := v.state(); after != before {
		t.Errorf("what the victim had has changed:\n%s\nwas\n%s", after, before)
	}
}

func (v *victim) all() (ids []string) {
	for _, id := range v.ids {
		ids = append(ids, id)
	}
	return ids
}

// readsItsOwn makes sure that each id is of something.
func (v *victim) readsItsOwn(t *testing.T) {
	t.Helper()
	for what, path := range map[string]string{
		"file": "/v1/files/", "output": "/v1/files/", "fault": "/v1/files/", "batch": "/v1/batches/", "ended": "/v1/batches/", "many": "/v1/batches/", "job": "/v1/jobs/",
		"webhook": "/v1/webhook_endpoints/",
	} {
		if got := v.get(path+v.ids[what], "Authorization", v.key); got.Status != http.StatusOK || !strings.Contains(got.Body, v.ids[what]) {
			t.Errorf("its own %s: %d %s", what, got.Status, got.Body)
		}
	}
	if len(v.ids) != 8 {
		t.Errorf("of %v each must be looked at", v.ids)
	}
}

// An asking is one way to name an id; ID stands for it.
type asking struct {
	path, kind, body string
	headers          []string
}

// asked are the ways in which one operation can be given an id: in its path, in
// parameters, in its body, and in headers that something may listen to.
func asked(method, path string) (all []asking) {
	if placeholder.MatchString(path) {
		all = append(all, asking{path: placeholder.ReplaceAllString(path, "ID")}, asking{path: placeholder.ReplaceAllString(path, "ID"), headers: []string{"X-Tenant", "acme", "OpenAI-Organization", "acme", "OpenAI-Project", "acme"}})
		if method != http.MethodGet {
			return all
		}
	}
	if method == http.MethodGet {
		path = placeholder.ReplaceAllString(path, "ID")
		for _, query := range []string{"tenant=acme", "after=ID", "batch=ID", "tenant=acme&after=ID&order=asc", "id=ID", "include=response&batch=ID"} {
			all = append(all, asking{path: path + "?" + query})
		}
		return append(all, asking{path: path, headers: []string{"X-HTTP-Method-Override", "DELETE", "X-Original-URL", "/v1/files/ID"}})
	}
	if method != http.MethodPost {
		return all
	}
	bodies := []string{
		`{"id":"ID"}`, `{"input_file_id":"ID","endpoint":"/v1/chat/completions","completion_window":"24h"}`,
		`{"input_file_id":"ID","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"tenant":"acme"}}`,
		`{"tenant":"acme",` + said + `}`, `{"jobs":[{"tenant":"acme",` + said + `}]}`, `{"jobs":[{"batch_id":"ID",` + said + `}]}`, `{"batch_id":"ID",` + said + `}`,
		`{"retry_of":"ID"}`, `{"requests":[],"batch":"ID"}`,
	}
	for _, body := range bodies {
		all = append(all, asking{path: path, kind: "application/json", body: body})
	}
	kind, form := form("purpose", "batch", "file", "ID", "id", "ID")
	return append(all, asking{path: path, kind: kind, body: form}, asking{path: path + "?tenant=acme&batch=ID", kind: "application/x-ndjson", body: `{"tenant":"acme",` + said + `}`})
}

// Who sends two keys is let in as nobody: what stands between may have read the other.
func TestTwoKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, other := w.keyOf("acme"), w.keyOf("umbrella")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.base+"/v1/files", nil)
	w.must(err)
	request.Header["Authorization"] = []string{one, other}
	response, err := http.DefaultClient.Do(request)
	w.must(err)
	if got := w.read(response); got.Status != http.StatusUnauthorized {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}

// What is left of a body that was refused is no request.
func TestRestOfARefusedBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.file()
	next := "DELETE /v1/files/" + file + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for name, c := range map[string]struct {
		head string
		want int
	}{
		"packed":       {"Content-Type: multipart/form-data; boundary=b\r\nContent-Encoding: gzip\r\n", http.StatusUnsupportedMediaType},
		"packed, said": {"Content-Type: multipart/form-data; boundary=b\r\nContent-Encoding: identity\r\nContent-Encoding: gzip\r\n", http.StatusUnsupportedMediaType},
		"no form":      {"Content-Type: text/plain\r\n", http.StatusUnsupportedMediaType},
		"no boundary":  {"Content-Type: multipart/form-data\r\n", http.StatusBadRequest},
		"waits":        {"Content-Type: text/plain\r\nExpect: 100-continue\r\n", http.StatusUnsupportedMediaType},
	} {
		for _, size := range []int{0, 300 << 10} { // one that is read to its end, and one that is not
			filled := strings.Repeat("x", size) + next
			for _, body := range []string{
				fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(filled), filled), fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(filled), filled),
			} {
				all := w.raw("POST /v1/files HTTP/1.1\r\nHost: localhost\r\n"+c.head+body, true)
				if len(all) > 1 || len(all) == 1 && all[0].Status != c.want {
					t.Errorf("%s, %d bytes: %+v", name, size, all)
				}
			}
		}
	}
	if w.files() != 1 {
		t.Fatal("the file is gone")
	}
}

// An upload that says itself that it is too large is refused before it is read.
func TestLargeUploadIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.raw("POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1073741824\r\n\r\n--b\r\n", false)
	if len(got) != 1 || got[0].Status != http.StatusRequestEntityTooLarge {
		t.Fatalf("%+v", got)
	}
	if message, _, param, code := got[0].fault(t); code != "file_too_large" || param != "file" || !strings.Contains(message, "209715200 bytes") {
		t.Errorf("it says %s", got[0].Body)
	}
}

// Who does not send the rest of a body that was refused does not keep its connection.
func TestRefusedBodyThatNeverComes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.Hasten(300*time.Millisecond, time.Minute)
	for name, length := range map[string]string{"short": "Content-Length: 100", "in chunks": "Transfer-Encoding: chunked"} {
		got := w.raw("POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"+length+"\r\n\r\n", false)
		if len(got) != 1 || got[0].Status != http.StatusUnsupportedMediaType {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Who comes while all are busy is told to come again, but for who asks whether the
// server lives.
func TestBusy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.HandleAlways("GET /healthz", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w.server.Occupy()
	got := w.get("/v1/files")
	if _, _, _, code := got.fault(t); got.Status != http.StatusServiceUnavailable || code != "server_busy" || got.Header.Get("Retry-After") == "" {
		t.Errorf("%+v", got)
	}
	if got := w.get("/healthz"); got.Status != http.StatusOK {
		t.Errorf("is it alive: %+v", got)
	}
}
