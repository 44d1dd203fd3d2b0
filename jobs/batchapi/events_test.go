package batchapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/jobs/batchapi"
)

// A script stands for NATS: it gives events one after the other, and then waits. What
// JetStream does itself is tested in integration.
type script struct {
	mu     sync.Mutex
	events []batchapi.Event
	more   chan struct{} // closed and made anew with each event
	asked  []batchapi.EventFilter
	err    error
	lost   bool
	open   atomic.Int32
	given  atomic.Int32
}

func newScript() *script { return &script{more: make(chan struct{})} }

func (s *script) say(events ...batchapi.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, events...)
	close(s.more)
	s.more = make(chan struct{})
}

func (s *script) Follow(_ context.Context, f batchapi.EventFilter) (batchapi.EventStream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, f)
	if s.err != nil {
		return nil, s.err
	}
	s.open.Add(1)
	return &scriptStream{script: s, at: int(f.After)}, nil
}

type scriptStream struct {
	*script
	at int
}

func (s *scriptStream) Begun() (uint64, bool) { return uint64(s.at), s.lost }

func (s *scriptStream) Next(ctx context.Context) (batchapi.Event, error) {
	for {
		s.mu.Lock()
		events, more, err := s.events, s.more, s.err
		s.mu.Unlock()
		switch {
		case err != nil:
			return batchapi.Event{}, err
		case s.at < len(events):
			s.at++
			s.given.Add(1)
			return events[s.at-1], nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return batchapi.Event{}, ctx.Err()
		}
	}
}

func (s *scriptStream) Close() { s.open.Add(-1) }

func newScripted(t *testing.T) (*world, *script) {
	s := newScript()
	return newWorld(t, func(c *batchapi.Config) { c.Events = s }), s
}

// A reader reads a stream of events line by line.
type reader struct {
	*testing.T
	response *http.Response
	lines    *bufio.Scanner
	close    func()
}

func (w *world) follow(t *testing.T, query string, headers ...string) *reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base+"/v1/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return &reader{t, response, bufio.NewScanner(response.Body), cancel}
}

// next is the next block of lines; empty: the stream has ended.
func (r *reader) next() string {
	r.Helper()
	var block []string
	for r.lines.Scan() {
		if r.lines.Text() == "" {
			return strings.Join(block, "\n")
		}
		block = append(block, r.lines.Text())
	}
	if len(block) > 0 {
		r.Errorf("it ended in the middle of %q", block)
	}
	return ""
}

func (r *reader) says(want ...string) {
	r.Helper()
	for _, block := range want {
		if got := r.next(); got != block {
			r.Errorf("it says %q, not %q", got, block)
		}
	}
}

// What a stream looks like: where it begins, each event with its place, and word that
// it lives.
func TestEventStream(t *testing.T) {
	t.Parallel()
	w, s := newScripted(t)
	w.server.Beat(50 * time.Millisecond)
	s.say(batchapi.Event{Place: 1, Kind: batchapi.EventResult, Data: []byte(`{"a":1}`)})
	r := w.follow(t, "", "Last-Event-ID", "0")
	if h := r.response.Header; r.response.StatusCode != 200 || h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" || h.Get("X-Accel-Buffering") != "no" {
		t.Errorf("%+v", r.response)
	}
	r.says("retry: 2000\nid: 0", "id: 1\nevent: result\ndata: {\"a\":1}", ": still here", ": still here")
	s.say(batchapi.Event{Place: 2, Kind: batchapi.EventBatch, Data: []byte("{\n\"b\":\r\n2}\n")})
	for block := r.next(); ; block = r.next() {
		if block == ": still here" {
			continue
		}
		if block != "id: 2\nevent: batch\ndata: {\ndata: \"b\":\ndata: 2}" {
			t.Errorf("it says %q", block)
		}
		break
	}
	s.lost = true
	w.follow(t, "", "Last-Event-ID", "1").says("retry: 2000\nid: 1", "event: lost\ndata: {\"after\":1}", "id: 2\nevent: batch\ndata: {\ndata: \"b\":\ndata: 2}")
	head, err := http.Head(w.base + "/v1/events")
	if err != nil || head.StatusCode != 200 {
		t.Errorf("HEAD: %v, %v", head, err)
	}
	_ = head.Body.Close()
}

// A stream ends with its key, with what it reads from, with the server and with its
// reader, and gives its place back each time.
func TestEventStreamEnds(t *testing.T) {
	t.Parallel()
	w, s := newScripted(t)
	w.server.Beat(20 * time.Millisecond)
	key, whole, err := w.store.CreateKey(t.Context(), jobs.Key{Tenant: "acme", Scopes: []jobs.KeyScope{jobs.ScopeRead}})
	if err != nil {
		t.Fatal(err)
	}
	fixture.Await(t, soon, "a key is asked for", func() bool { return w.get("/v1/models").Status == http.StatusUnauthorized })
	auth := []string{"Authorization", "Bearer " + whole}
	follow := func() *reader {
		r := w.follow(t, "", auth...)
		r.says("retry: 2000\nid: 0")
		return r
	}
	ends := func(why string, r *reader) {
		t.Helper()
		for block := r.next(); block != ""; block = r.next() {
			if block != ": still here" {
				t.Errorf("%s: it says %q", why, block)
			}
		}
		fixture.Await(t, soon, why+": the stream is closed", func() bool { return s.open.Load() == 0 })
	}
	r := follow()
	s.mu.Lock()
	s.err = io.ErrClosedPipe
	close(s.more)
	s.mu.Unlock()
	ends("the stream breaks", r)
	s.mu.Lock()
	s.err, s.more = nil, make(chan struct{})
	s.mu.Unlock()
	r = follow()
	r.close()
	fixture.Await(t, soon, "the reader has gone", func() bool { return s.open.Load() == 0 })
	r = follow()
	if err := w.store.RevokeKey(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	ends("the key is revoked", r)
	if _, whole, err = w.store.CreateKey(t.Context(), jobs.Key{Tenant: "acme", Scopes: []jobs.KeyScope{jobs.ScopeRead}}); err != nil {
		t.Fatal(err)
	}
	auth[1] = "Bearer " + whole
	r = follow()
	w.server.End()
	ends("the server ends", r)
}

// Who does not read keeps no place, and has nothing fetched for it; it may go on
// behind what it has read.
func TestSlowReaderOfEvents(t *testing.T) {
	t.Parallel()
	w, s := newScripted(t)
	w.server.Hasten(300*time.Millisecond, time.Minute)
	const n = 3000
	for i := range n {
		s.say(batchapi.Event{Place: uint64(i + 1), Kind: batchapi.EventResult, Data: []byte(`"` + strings.Repeat("x", 32<<10) + `"`)})
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	fixture.Await(t, soon, "it is served", func() bool { return s.given.Load() > 0 })
	fixture.Await(t, soon, "it is given up", func() bool { return s.open.Load() == 0 })
	if given := s.given.Load(); given >= n {
		t.Errorf("all %d events were fetched for it", given)
	}
	r := w.follow(t, "", "Last-Event-ID", fmt.Sprint(n-1))
	r.says(fmt.Sprintf("retry: 2000\nid: %d", n-1))
	if block := r.next(); !strings.HasPrefix(block, fmt.Sprintf("id: %d\n", n)) {
		t.Errorf("it goes on with %.80q", block)
	}
}

// Streams have bounds, for a tenant and in all, and take no place of other calls.
func TestManyStreams(t *testing.T) {
	t.Parallel()
	w, s := newScripted(t)
	keys := map[string]string{}
	tenants := []string{"a", "b", "c", "d", "e"}
	for _, tenant := range tenants {
		_, whole, err := w.store.CreateKey(t.Context(), jobs.Key{Tenant: tenant, Scopes: []jobs.KeyScope{jobs.ScopeRead}})
		if err != nil {
			t.Fatal(err)
		}
		keys[tenant] = "Bearer " + whole
	}
	var first *reader
	for i := range batchapi.StreamsAtOnce {
		r := w.follow(t, "", "Authorization", keys[tenants[i/batchapi.StreamsOfTenant]])
		if r.response.StatusCode != http.StatusOK {
			t.Fatalf("stream %d: %d", i, r.response.StatusCode)
		}
		if first == nil {
			first = r
		}
	}
	got := w.get("/v1/events", "Authorization", keys["a"])
	if _, kind, _, code := got.fault(t); got.Status != http.StatusTooManyRequests || code != "too_many_streams" || kind != "rate_limit_error" || got.Header.Get("Retry-After") == "" {
		t.Errorf("one more of a tenant: %+v", got)
	}
	if got := w.get("/v1/events", "Authorization", keys["e"]); got.Status != http.StatusServiceUnavailable {
		t.Errorf("one more of all: %+v", got)
	}
	if got := w.get("/v1/jobs", "Authorization", keys["a"]); got.Status != http.StatusOK {
		t.Errorf("another call: %+v", got)
	}
	for _, tenant := range []string{"a", "e"} { // a browser's EventSource would never come again after a status
		if got := w.get("/v1/events", "Authorization", keys[tenant], "Accept", "text/event-stream"); got.Status != http.StatusOK || !strings.HasPrefix(got.Body, "retry: ") {
			t.Errorf("one more, in a browser: %+v", got)
		}
	}
	first.close()
	fixture.Await(t, soon, "a place is free", func() bool { return s.open.Load() < batchapi.StreamsAtOnce })
	fixture.Await(t, soon, "it is taken", func() bool {
		r := w.follow(t, "", "Authorization", keys["a"])
		defer r.close()
		return r.response.StatusCode == http.StatusOK
	})
}

// What is asked for is what is followed; what makes no sense is said.
func TestEventFilters(t *testing.T) {
	t.Parallel()
	w, s := newScripted(t)
	key := func(tenant string, scopes ...jobs.KeyScope) string {
		_, whole, err := w.store.CreateKey(t.Context(), jobs.Key{Tenant: tenant, Scopes: scopes})
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + whole
	}
	admin, reads, evil := key("mine", jobs.KeyScopes()...), key("mine", jobs.ScopeRead), key("*", jobs.ScopeRead)
	made := decodeInto[batch](t, w.post("/v1/jobs:batch", `{"jobs":[{`+said+`}]}`, "Authorization", admin), http.StatusAccepted).ID
	all := batchapi.EventKinds()
	for _, c := range []struct {
		key, query string
		want       batchapi.EventFilter
	}{
		{admin, "", batchapi.EventFilter{Kinds: all}},
		{reads, "", batchapi.EventFilter{Kinds: all[:2]}},
		{admin, "?route=summaries", batchapi.EventFilter{Kinds: []batchapi.EventKind{"result", "route"}, Route: "summaries"}},
		{reads, "?route=summaries", batchapi.EventFilter{Kinds: all[:1], Route: "summaries"}},
		{reads, "?batch=" + made, batchapi.EventFilter{Kinds: all[:2], Batch: made}},
		{reads, "?batch=" + made + "&route=summaries", batchapi.EventFilter{Kinds: all[:1], Batch: made, Route: "summaries"}},
		{reads, "?type=batch", batchapi.EventFilter{Kinds: all[1:2]}},
		{admin, "?type=circuit,budget,circuit", batchapi.EventFilter{Kinds: []batchapi.EventKind{"circuit", "budget"}}},
		{reads, "?since=2031-01-31T18:00:00Z", batchapi.EventFilter{Kinds: all[:2], Since: time.Date(2031, 1, 31, 18, 0, 0, 0, time.UTC)}},
	} {
		r := w.follow(t, c.query, "Authorization", c.key)
		r.close()
		s.mu.Lock()
		got := s.asked[len(s.asked)-1]
		s.mu.Unlock()
		c.want.Tenant = "mine"
		if r.response.StatusCode != http.StatusOK || got.Tenant != c.want.Tenant || !slices.Equal(got.Kinds, c.want.Kinds) || got.Route != c.want.Route || got.Batch != c.want.Batch || !got.Since.Equal(c.want.Since) {
			t.Errorf("%s: %d %+v", c.query, r.response.StatusCode, got)
		}
	}
	asked := len(s.asked)
	for query, param := range map[string]string{
		"type=circuit": "type", "type=x": "type", "type=result,": "type", "type=batch&route=summaries": "type", "route=*": "route", "route=other": "route", "route=a.>": "route",
		"batch=*": "batch", "batch=batch_0": "batch", "batch=%3E": "batch", "since=x": "since", "since=-1h": "since", "since=0s": "since", "from=1": "from", "type=result&type=batch": "type",
	} {
		got := w.get("/v1/events?"+query, "Authorization", reads)
		if _, _, at, _ := got.fault(t); at != param || got.Status < 400 || got.Status > 404 {
			t.Errorf("%s: %d about %q", query, got.Status, at)
		}
	}
	for _, place := range []string{"x", "-1", "1.5", "99999999999999999999", "9223372036854775808"} {
		got := w.get("/v1/events", "Authorization", reads, "Last-Event-ID", place)
		if _, _, at, _ := got.fault(t); at != "Last-Event-ID" || got.Status != http.StatusBadRequest {
			t.Errorf("%s: %d about %q", place, got.Status, at)
		}
	}
	if got := w.get("/v1/events", "Authorization", evil); got.Status != http.StatusInternalServerError {
		t.Errorf("a tenant that is a pattern: %+v", got)
	}
	if len(s.asked) != asked {
		t.Errorf("something was followed: %+v", s.asked[asked:])
	}
	s.err = &batchapi.AwayError{Why: "start it"}
	got := w.get("/v1/events", "Authorization", reads)
	if message, _, _, code := got.fault(t); got.Status != http.StatusServiceUnavailable || code != "events_unavailable" || message != "start it" || got.Header.Get("Retry-After") == "" {
		t.Errorf("away: %+v", got)
	}
	for _, c := range []struct {
		accept string
		lasts  bool
		status int
		want   string
	}{
		{"text/event-stream", false, 200, "retry: 5000\n: start it\n\n"},
		{"application/json, text/event-stream;q=0.9", false, 200, "retry: 5000\n: start it\n\n"},
		{"text/event-stream", true, 503, "start it"}, // of no use to come again
		{"*/*", false, 503, "start it"},
		{"application/json", false, 503, "start it"},
	} {
		s.err = &batchapi.AwayError{Why: "start it", Lasts: c.lasts}
		got := w.get("/v1/events", "Authorization", reads, "Accept", c.accept, "Last-Event-ID", "7")
		stream := got.Header.Get("Content-Type") == "text/event-stream"
		if got.Status != c.status || stream != (c.status == 200) || !strings.Contains(got.Body, c.want) || stream && got.Body != c.want || (got.Header.Get("Retry-After") != "") != (!stream && !c.lasts) {
			t.Errorf("away, for one that accepts %s: %+v", c.accept, got)
		}
	}
	if got := w.get("/v1/events?type=x", "Authorization", reads, "Accept", "text/event-stream"); got.Status != http.StatusBadRequest {
		t.Errorf("what is wrong is wrong in a browser, too: %+v", got)
	}
	s.err = io.ErrUnexpectedEOF
	got = w.get("/v1/events", "Authorization", reads)
	if message, _, _, _ := got.fault(t); got.Status != http.StatusServiceUnavailable || strings.Contains(message, "EOF") {
		t.Errorf("broken: %+v", got)
	}
}
