package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
	"tidegate/worker/publish"
)

// A jobShown is a request as /v1/jobs shows it.
type jobShown struct {
	ID            string
	Status        string
	CustomID      string `json:"custom_id"`
	BatchID       string `json:"batch_id"`
	ResultSubject string `json:"result_subject"`
	Result        *struct {
		State    jobs.State
		Target   string
		Usage    jobs.Usage
		CostUSD  *float64 `json:"cost_usd"`
		Response struct {
			Choices []struct{ Message struct{ Content string } }
		}
	}
}

// answered makes a call that answers with a status, and reads the answer.
func answered[T any](f *front, status int, method, path, body string, headers ...string) (into T) {
	f.Helper()
	kind := ""
	if body != "" {
		kind = "application/json"
	}
	got, text := f.do(f.Context(), method, path, kind, body, headers...)
	if got.status != status {
		f.Fatalf("%s %s: %d, not %d: %s", method, path, got.status, status, text)
	}
	check(f.T, json.Unmarshal([]byte(text), &into))
	return into
}

// A sse is a stream of events that is read.
type sse struct {
	*testing.T
	blocks *bufio.Scanner
	status int
	close  func()
	place  string // the last id
}

type told struct {
	kind, place string
	result      publish.ResultBody
	batch       publish.BatchBody
}

func (f *front) follow(query string, headers ...string) *sse {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), soon)
	f.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+"/events"+query, nil)
	check(f.T, err)
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	check(f.T, err)
	f.Cleanup(func() { _ = response.Body.Close() })
	return &sse{T: f.T, blocks: bufio.NewScanner(response.Body), status: response.StatusCode, close: cancel}
}

// next is the next event; false: the stream has ended.
func (s *sse) next() (e told, ok bool) {
	s.Helper()
	for s.blocks.Scan() {
		line := s.blocks.Text()
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "id":
			s.place, e.place = value, value
		case "event":
			e.kind = value
		case "data":
			switch e.kind {
			case "result":
				check(s.T, json.Unmarshal([]byte(value), &e.result))
			case "batch":
				check(s.T, json.Unmarshal([]byte(value), &e.batch))
			}
		}
		if line == "" && e.kind != "" {
			return e, true
		}
	}
	return e, false
}

// begun waits until the stream has said where it begins: what is told from then on
// comes.
func (s *sse) begun() *sse {
	s.Helper()
	if s.status != http.StatusOK {
		s.Fatalf("following: %d", s.status)
	}
	for s.place == "" && s.blocks.Scan() {
		if name, value, _ := strings.Cut(s.blocks.Text(), ": "); name == "id" {
			s.place = value
		}
	}
	return s
}

// some reads n events.
func (s *sse) some(n int) []told {
	s.Helper()
	all := make([]told, n)
	for i := range all {
		ok := false
		if all[i], ok = s.next(); !ok {
			s.Fatalf("the stream ended after %d of %d events", i, n)
		}
	}
	return all
}

// TestJobOverHTTP: one request goes in over HTTP, and its result comes out on the
// subject that was named, on the stream of events, and where it is asked for.
func TestJobOverHTTP(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{latency: 100 * time.Millisecond})
	fixture.Await(t, soon, "there is a stream", func() bool { return f.follow("").status == http.StatusOK })
	conn, err := nats.Connect(f.NATSURL)
	check(t, err)
	defer conn.Close()
	f.down("*", simulator.Fault{Mode: simulator.Unavailable})
	events := f.follow("?type=result,batch").begun()
	made := answered[jobShown](f, http.StatusAccepted, http.MethodPost, "/jobs", `{"custom_id":"one","max_cost_usd":0.5,"body":`+string(body(1))+`}`)
	subscribed, err := conn.SubscribeSync(made.ResultSubject)
	check(t, err)
	check(t, conn.Flush())
	if made.Status != "waiting" && made.Status != "running" || made.Result != nil { // a worker may have it already
		t.Errorf("it begins as %+v", made)
	}
	f.back()
	e := events.some(1)[0]
	if e.kind != "result" || e.result.RequestID != made.ID || e.result.CustomID != "one" || e.result.State != jobs.StateAnswered {
		t.Errorf("the event is %+v", e)
	}
	msg, err := subscribed.NextMsg(soon)
	check(t, err)
	var direct publish.ResultBody
	check(t, json.Unmarshal(msg.Data, &direct))
	if direct.RequestID != made.ID {
		t.Errorf("on its subject came %s", msg.Data)
	}
	got := answered[jobShown](f, http.StatusOK, http.MethodGet, "/jobs/"+made.ID, "")
	if r := got.Result; got.Status != "answered" || r == nil || r.Response.Choices[0].Message.Content == "" || r.Usage.Output == 0 || r.CostUSD == nil || *r.CostUSD <= 0 || r.Target == "" {
		t.Errorf("it ends as %+v", got)
	}
	answered[any](f, http.StatusConflict, http.MethodDelete, "/jobs/"+made.ID, "")

	batch := answered[struct{ ID string }](f, http.StatusAccepted, http.MethodPost, "/jobs:batch", `{"jobs":[{"custom_id":"a","body":`+string(body(2))+`},{"custom_id":"b","body":`+string(body(3))+`}]}`).ID
	seen := map[string]int{}
	for _, e := range events.some(3) {
		seen[e.result.CustomID]++
		if e.kind == "batch" && (e.batch.BatchID != batch || e.batch.State != jobs.BatchCompleted || e.batch.Completed != 2) || e.kind == "result" && e.result.BatchID != batch {
			t.Errorf("%+v", e)
		}
	}
	if seen["a"] != 1 || seen["b"] != 1 || seen[""] != 1 {
		t.Errorf("events %v", seen)
	}
	list := answered[struct{ Data []jobShown }](f, http.StatusOK, http.MethodGet, "/jobs?status=answered&include=response&order=asc&batch="+batch, "")
	if len(list.Data) != 2 || list.Data[0].CustomID != "a" || list.Data[1].Result.Response.Choices[0].Message.Content == "" {
		t.Errorf("the list is %+v", list)
	}
	fixture.Await(t, soon, "all jobs have ended, at their first attempt", func() bool {
		return f.count("SELECT count(*) FROM tidegate.river_job WHERE attempt = 1 AND finalized_at IS NOT NULL") == 3
	})
}

// TestRunningJob: one that is being called says so, and cannot be answered any more once
// it is cancelled.
func TestRunningJob(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{latency: 3 * time.Second})
	made := answered[jobShown](f, http.StatusAccepted, http.MethodPost, "/jobs", `{"body":`+string(body(1))+`}`)
	fixture.Await(t, soon, "it is being called", func() bool {
		return answered[jobShown](f, http.StatusOK, http.MethodGet, "/jobs/"+made.ID, "").Status == "running"
	})
	list := answered[struct{ Data []jobShown }](f, http.StatusOK, http.MethodGet, "/jobs?status=running", "")
	if len(list.Data) != 1 || list.Data[0].ID != made.ID {
		t.Errorf("running are %+v", list)
	}
	for range 2 {
		if got := answered[jobShown](f, http.StatusOK, http.MethodDelete, "/jobs/"+made.ID, ""); got.Status != "cancelled" || got.Result.State != jobs.StateCancelled {
			t.Errorf("cancelled: %+v", got)
		}
	}
	fixture.Await(t, soon, "its call has ended", func() bool { return f.count("SELECT count(*) FROM tidegate.attempts") == 1 })
	if got := answered[jobShown](f, http.StatusOK, http.MethodGet, "/jobs/"+made.ID, ""); got.Status != "cancelled" {
		t.Errorf("it ends as %+v", got)
	}
}

// TestEventsGoOn: a reader that is cut off again and again, and comes again with the
// place that it has, hears of everything once. So does one that comes late.
func TestEventsGoOn(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	fixture.Await(t, soon, "there is a stream", func() bool { return f.follow("").status == http.StatusOK })
	reader := f.follow("").begun()
	batch := f.enqueue(60, nil)
	seen := map[string]int{}
	for cut := 0; len(seen) < 61; cut++ {
		place := reader.place
		if cut > 0 {
			reader.close()
			reader = f.follow("?batch="+batch.ID, "Last-Event-ID", place).begun()
			if reader.place != place {
				t.Errorf("it goes on behind %s, not %s", reader.place, place)
			}
		}
		for _, e := range reader.some(min(7, 61-len(seen))) {
			seen[e.result.CustomID]++
		}
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%q came %d times", id, n)
		}
	}
	late := f.follow("?since=1h&type=result&batch=" + batch.ID)
	if got := len(late.some(60)); got != 60 {
		t.Errorf("%d came late", got)
	}
	f.settle(f.enqueue(1, nil))
	js, err := jetstream.New(f.Conn)
	check(t, err)
	stream, err := js.Stream(t.Context(), publish.StreamName)
	check(t, err)
	check(t, stream.Purge(t.Context()))
	for _, place := range []string{"1", "100000"} { // what is kept no more, and what never was
		if e, ok := f.follow("", "Last-Event-ID", place).next(); !ok || e.kind != "lost" {
			t.Errorf("behind %s it says %+v", place, e)
		}
	}
}

// TestEventsOfTenants: a key hears of its own tenant, whatever it asks for, and of the
// fleet only with the scope admin.
func TestEventsOfTenants(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	keys := map[string]string{}
	for name, key := range map[string]jobs.Key{
		"acme": {Tenant: "acme", Scopes: []jobs.KeyScope{jobs.ScopeRead, jobs.ScopeSubmit}}, "circuits": {Tenant: "circuits", Scopes: []jobs.KeyScope{jobs.ScopeRead, jobs.ScopeSubmit}},
		"ops": {Tenant: "ops", Scopes: jobs.KeyScopes()},
	} {
		_, whole, err := f.store.CreateKey(t.Context(), key)
		check(t, err)
		keys[name] = "Bearer " + whole
	}
	fixture.Await(t, soon, "there is a stream, and keys are asked for", func() bool {
		return f.follow("").status == http.StatusUnauthorized && f.follow("", "Authorization", keys["ops"]).status == http.StatusOK
	})
	readers := map[string]*sse{}
	for name, key := range keys {
		readers[name] = f.follow("", "Authorization", key).begun()
	}
	batches := map[string]string{}
	for name, key := range keys {
		batches[name] = answered[struct{ ID string }](f, http.StatusAccepted, http.MethodPost, "/jobs:batch", `{"jobs":[{"body":`+string(body(1))+`},{"body":`+string(body(2))+`}]}`, "Authorization", key).ID
	}
	for name, reader := range readers {
		for _, e := range reader.some(3) {
			if e.kind == "result" && (e.result.Tenant != name || e.result.BatchID != batches[name]) || e.kind == "batch" && e.batch.BatchID != batches[name] {
				t.Errorf("%s hears of %+v", name, e)
			}
		}
	}
	_, err := f.Pool.Exec(t.Context(), "INSERT INTO tidegate.circuits (target, state, generation, since) VALUES ('results', 'open', 1, now())")
	check(t, err)
	if e := readers["ops"].some(1)[0]; e.kind != "circuit" {
		t.Errorf("ops hears of %+v", e)
	}
	if got := f.follow("?type=circuit", "Authorization", keys["circuits"]).status; got != http.StatusForbidden {
		t.Errorf("circuits without the scope: %d", got)
	}
	if got := f.follow("?batch="+batches["acme"], "Authorization", keys["ops"]).status; got != http.StatusNotFound {
		t.Errorf("another's batch: %d", got)
	}
	// Nothing else came meanwhile: what comes next is of the next batch.
	for name, key := range keys {
		answered[any](f, http.StatusAccepted, http.MethodPost, "/jobs", `{"custom_id":"last","body":`+string(body(3))+`}`, "Authorization", key)
		if e := readers[name].some(1)[0]; name != "ops" && (e.kind != "result" || e.result.CustomID != "last" || e.result.Tenant != name) {
			t.Errorf("%s hears of %+v", name, e)
		}
	}
	// Another's place is as good as one's own, and shows no more.
	for _, e := range f.follow("?since=1h", "Authorization", keys["acme"]).some(4) {
		if e.kind == "result" && e.result.Tenant != "acme" || e.kind == "batch" && e.batch.Tenant != "acme" || e.kind == "circuit" {
			t.Errorf("from the beginning, acme hears of %+v", e)
		}
	}
}

// TestEventsWithoutNATS: a server serves all else where there is no NATS, and says what
// is missing. Where NATS goes away the stream ends, and the reader goes on where it was.
func TestEventsWithoutNATS(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	alone := &front{stage: f.stage}
	file := write(t, "tidegate.yaml", f.config.String())
	alone.base = run(t, "serve", "--listen", "127.0.0.1:0", "--config", file, "--database-url", f.URL).await(`listening on (http://\S+)`) + "/v1"
	got, text := alone.do(t.Context(), http.MethodGet, "/events", "", "")
	if got.status != http.StatusServiceUnavailable || !strings.Contains(text, "--nats-url") || !strings.Contains(text, `"code":"events_unavailable"`) {
		t.Errorf("without NATS: %d %s", got.status, text)
	}
	made := answered[jobShown](alone, http.StatusAccepted, http.MethodPost, "/jobs", `{"body":`+string(body(1))+`}`)
	fixture.Await(t, soon, "it is answered", func() bool {
		return answered[jobShown](alone, http.StatusOK, http.MethodGet, "/jobs/"+made.ID, "").Status == "answered"
	})
	fixture.Await(t, soon, "there is a stream", func() bool { return f.follow("").status == http.StatusOK })
	reader := f.follow("?type=result").begun()
	f.enqueue(20, nil)
	seen := map[string]int{}
	for _, e := range reader.some(5) {
		seen[e.result.CustomID]++
	}
	f.nats.Stop()
	f.enqueue(10, func(i int, r *jobs.Request) { r.CustomID, r.Body = fmt.Sprintf("late-%d", i), body(100+i) })
	f.awaitResults(31)
	for e, ok := reader.next(); ok; e, ok = reader.next() { // what was on its way, and then the end
		seen[e.result.CustomID]++
	}
	if got, _ := f.do(t.Context(), http.MethodGet, "/events", "", ""); got.status != http.StatusServiceUnavailable {
		t.Errorf("while NATS is away: %d", got.status)
	}
	fixture.RestartNATS(t, f.nats)
	fixture.Await(t, soon, "there is a stream again", func() bool { return f.follow("").status == http.StatusOK })
	reader = f.follow("?type=result", "Last-Event-ID", reader.place).begun()
	for _, e := range reader.some(30 - len(seen)) {
		seen[e.result.CustomID]++
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%q came %d times", id, n)
		}
	}
}
