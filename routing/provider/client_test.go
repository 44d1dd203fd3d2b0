package provider

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

func TestCompleteSendsWhatTheTargetSays(t *testing.T) {
	t.Parallel()
	type sent struct {
		Method, Path, Query, Key, Type, Agent, Body string
		Length                                      int64
	}
	var got sent
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = sent{
			r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("Authorization"), r.Header.Get("Content-Type"),
			r.Header.Get("User-Agent"), string(body), r.ContentLength,
		}
		_, _ = io.WriteString(w, answer)
	})
	target := at(url + "/v1/?api-version=3")
	target.Key = " sk-with-space\n" // as it comes out of a file
	_, failed := complete(t, newClient(t, Config{UserAgent: "test/1"}), target)
	body := `{"model":"gpt-5-mini","messages":[{"role":"user","content":"What is a tide gate?"}]}`
	want := sent{"POST", "/v1/chat/completions", "api-version=3", "Bearer sk-with-space", "application/json", "test/1", body, int64(len(body))}
	if failed != nil || got != want {
		t.Errorf("%v\n%s", failed, cmp.Diff(want, got))
	}
}

func TestCompleteGivesTheWholeAnswer(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", "req_1")
		_, _ = io.WriteString(w, "\n: keep-alive\n\n"+answer+"\n")
	})
	got, failed := complete(t, newClient(t, Config{}), at(url))
	if failed != nil {
		t.Fatal(failed)
	}
	if got.FirstByte <= 0 || got.FirstByte > patience {
		t.Errorf("the first byte came after %s", got.FirstByte)
	}
	got.FirstByte = 0
	want := &jobs.Answer{
		Body: []byte(answer), Target: "mini", Model: "gpt-5-mini-2025-08-07", ProviderID: "chatcmpl-1",
		ProviderRequestID: "req_1", FinishReason: "stop", Usage: jobs.Usage{Input: 12, Output: 5},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestOneRequestPerCall: a server that takes a request and hangs up without an
// answer sees it once, also on a connection that was used before, where
// net/http sends again whatever it may.
func TestOneRequestPerCall(t *testing.T) {
	t.Parallel()
	for _, reset := range []bool{false, true} {
		t.Run("reset="+strconv.FormatBool(reset), func(t *testing.T) {
			t.Parallel()
			var requests, connections atomic.Int64
			url := listen(t, func(conn net.Conn) {
				connections.Add(1)
				for r := bufio.NewReader(conn); ; {
					if readRequest(r) != nil {
						return
					}
					if requests.Add(1)%2 == 0 {
						if reset {
							_ = conn.(*net.TCPConn).SetLinger(0)
						}
						return
					}
					_, _ = conn.Write(written(200, answer))
				}
			})
			client := newClient(t, Config{})
			if _, failed := complete(t, client, at(url)); failed != nil {
				t.Fatal(failed)
			}
			failed := refused(t, client, at(url))
			if failed.Class != jobs.Transient || failed.Said || !strings.Contains(failed.Message, "before an answer came") {
				t.Errorf("got %+v", failed)
			}
			if n, used := requests.Load(), connections.Load(); n != 2 || used != 1 {
				t.Errorf("%d requests over %d connections, want 2 over the same one", n, used)
			}
			// The counter-proof: net/http does send a GET again here.
			client.mu.RLock()
			transport := client.transports[patience]
			client.mu.RUnlock()
			for range 2 {
				request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
				if response, err := transport.RoundTrip(request); err == nil {
					_, _ = io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
			}
			if n := requests.Load(); n != 5 {
				t.Errorf("%d requests after two GETs, want 5: this server does not tempt net/http", n)
			}
		})
	}
}

// TestOneRequestPerCallHTTP2 resets the stream with a protocol error after it
// has the whole request: net/http repeats that if it can rewind the body.
func TestOneRequestPerCallHTTP2(t *testing.T) {
	t.Parallel()
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	t.Cleanup(certificate.Close)
	var requests atomic.Int64
	url := listen(t, func(plain net.Conn) {
		conn := tls.Server(plain, &tls.Config{Certificates: certificate.TLS.Certificates, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12})
		resetHTTP2(conn, &requests)
	})
	client := newClient(t, Config{TLS: trusting(certificate)})
	target := at(strings.Replace(url, "http://", "https://", 1))
	failed := refused(t, client, target)
	if failed.Class != jobs.Transient || failed.Said {
		t.Errorf("got %+v", failed)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	// The counter-proof: with a body that can be rewound there are more.
	client.mu.RLock()
	transport := client.transports[patience]
	client.mu.RUnlock()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, _ := http.NewRequestWithContext(ctx, http.MethodPost, target.BaseURL, strings.NewReader(prompt))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if response, err := transport.RoundTrip(request); err == nil {
			response.Body.Close()
		}
	}()
	for deadline := time.Now().Add(patience); requests.Load() < 3; {
		if time.Now().After(deadline) {
			t.Error("net/http did not send again: this server does not tempt it")
			break
		}
		select {
		case <-done:
			t.Error("net/http gave up: this server does not tempt it")
			return
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	<-done
}

// resetHTTP2 speaks just enough HTTP/2 to count requests and reset each.
func resetHTTP2(conn net.Conn, requests *atomic.Int64) {
	frame := func(kind, flags byte, stream uint32, payload ...byte) {
		head := []byte{0, 0, byte(len(payload)), kind, flags, 0, 0, 0, 0}
		binary.BigEndian.PutUint32(head[5:], stream)
		_, _ = conn.Write(append(head, payload...))
	}
	if _, err := io.ReadFull(conn, make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return
	}
	frame(4, 0, 0) // our settings
	for {
		head := make([]byte, 9)
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		size := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
		if _, err := io.ReadFull(conn, make([]byte, size)); err != nil {
			return
		}
		switch kind, flags := head[3], head[4]; {
		case kind == 4 && flags&1 == 0:
			frame(4, 1, 0) // their settings are taken
		case kind == 0 && flags&1 != 0: // the last piece of the body
			requests.Add(1)
			frame(3, 0, binary.BigEndian.Uint32(head[5:]), 0, 0, 0, 1) // PROTOCOL_ERROR
		}
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	bodies := map[int]string{
		200: answer, 429: `{"error":{"message":"slow"}}`, 500: strings.Repeat("x", maxRefusalBytes),
		404: "<html>", 503: "", 307: "",
	}
	url, seen := serve(t, func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(strings.Split(r.URL.Path, "/")[1])
		w.WriteHeader(status)
		_, _ = io.WriteString(w, bodies[status])
	})
	client := newClient(t, Config{})
	for range 5 {
		for status := range bodies {
			_, _ = complete(t, client, at(fmt.Sprintf("%s/%d", url, status)))
		}
	}
	if n := seen.connections.Load(); n != 1 {
		t.Errorf("%d connections for calls in a row, want 1", n)
	}
}

func TestConcurrentCalls(t *testing.T) {
	t.Parallel()
	const calls = 200
	var all sync.WaitGroup
	arrived := make(chan struct{})
	var n atomic.Int64
	url, seen := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == calls {
			close(arrived)
		}
		select { // all are in flight at once
		case <-arrived:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, answer)
	})
	client := newClient(t, Config{})
	round := func() {
		for i := range calls {
			all.Go(func() {
				target := at(url)
				target.Name = strconv.Itoa(i)
				got, failed := client.Complete(t.Context(), target, jobs.EndpointChat, []byte(prompt))
				if failed != nil || got.Target != target.Name {
					t.Errorf("call %d: %v, %v", i, got, failed)
				}
			})
		}
		all.Wait()
	}
	round()
	first := seen.connections.Load()
	round()
	if again := seen.connections.Load(); again != first {
		t.Errorf("%d connections after the first round, %d after the second: they are not kept", first, again)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		url, seen := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://user:secret-word@elsewhere.example.com/v1?key=sk-123456789")
			w.WriteHeader(status)
		})
		failed := refused(t, newClient(t, Config{}), at(url))
		want := "redirected to https://elsewhere.example.com; redirects are not followed: set base_url to the address that answers"
		if failed.Class != jobs.Transient || failed.Message != want || !failed.Said {
			t.Errorf("%d: got %+v", status, failed)
		}
		if n := seen.requests.Load(); n != 1 {
			t.Errorf("%d: %d requests, want 1", status, n)
		}
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	pad := strings.Repeat(" ", 3000)
	long := strings.Replace(answer, `"choices"`, pad+`"choices"`, 1)
	for name, handle := range map[string]http.HandlerFunc{
		"announced": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, long) },
		"chunked": func(w http.ResponseWriter, _ *http.Request) {
			for _, part := range []string{long[:100], long[100:2000], long[2000:]} {
				_, _ = io.WriteString(w, part)
				w.(http.Flusher).Flush()
			}
		},
		"packed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, long)
			_ = z.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := serve(t, handle)
			if got, failed := complete(t, newClient(t, Config{MaxAnswerBytes: len(long)}), at(url)); failed != nil || string(got.Body) != long {
				t.Errorf("exactly as long as allowed: %v", failed)
			}
			failed := refused(t, newClient(t, Config{MaxAnswerBytes: len(long) - 1}), at(url))
			if failed.Class != jobs.Garbled || !failed.Said || !strings.Contains(failed.Message, "longer than") {
				t.Errorf("a byte longer: %+v", failed)
			}
		})
	}
}

func TestEndlessRefusalIsGivenUp(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(429)
		for {
			if _, err := w.Write(bytes.Repeat([]byte("x"), 4096)); err != nil {
				return
			}
		}
	})
	if failed := refused(t, newClient(t, Config{}), at(url)); failed.Class != jobs.Rate || len(failed.Message) > 4*maxMessage {
		t.Errorf("got %+v", failed)
	}
}

// TestCutAnswers breaks an answer off at every stage.
func TestCutAnswers(t *testing.T) {
	t.Parallel()
	whole := string(written(200, answer))
	body := strings.Index(whole, "{")
	for _, c := range []struct {
		name, wire string
		class      jobs.Class
		said       bool
	}{
		{"nothing", "", jobs.Transient, false},
		{"within the status", whole[:10], jobs.Transient, false},
		{"within the header", whole[:body-8], jobs.Transient, false},
		{"before the body", whole[:body], jobs.Garbled, true},
		{"within the body", whole[:body+50], jobs.Garbled, true},
		{"before the last byte", whole[:len(whole)-1], jobs.Garbled, true},
		{"within a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{\"id\"", jobs.Garbled, true},
		{"not HTTP", "220 smtp.example.com ESMTP\r\n", jobs.Transient, false},
		{"within a refusal", strings.Replace(whole, "200 OK", "429 Too Many Requests", 1)[:body+40], jobs.Rate, true},
		{"without a length", "HTTP/1.0 200 OK\r\n\r\n" + answer[:40], jobs.Garbled, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url := listen(t, func(conn net.Conn) {
				if readRequest(bufio.NewReader(conn)) == nil {
					_, _ = io.WriteString(conn, c.wire)
				}
			})
			failed := refused(t, newClient(t, Config{}), at(url))
			if failed.Class != c.class || failed.Said != c.said || failed.Message == "" {
				t.Errorf("got %+v, want %s, said %v", failed, c.class, c.said)
			}
		})
	}
}

// piped is a configuration whose connections are pipes to talk, so that a test
// may run on the clock of testing/synctest.
func piped(talk func(net.Conn)) Config {
	return Config{Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() { defer theirs.Close(); talk(theirs) }()
		return ours, nil
	}}
}

// TestTimeouts hangs at every stage; each has its own limit and its own words.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	// hang sends wire after the request and then nothing.
	hang := func(wire string) func(net.Conn) {
		return func(conn net.Conn) {
			r := bufio.NewReader(conn)
			if readRequest(r) == nil {
				_, _ = io.WriteString(conn, wire)
				_, _ = r.ReadByte() // until the client hangs up
			}
		}
	}
	deaf := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	header := "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
	limits := jobs.Timeouts{Connect: 5 * time.Second, FirstByte: 30 * time.Second, Idle: 10 * time.Second, Total: time.Minute}
	whole := jobs.Timeouts{Total: time.Minute}
	for _, c := range []struct {
		name   string
		url    string
		talk   func(net.Conn)
		limits jobs.Timeouts
		want   jobs.Error
		after  time.Duration
	}{
		{
			"shake hands", "https://192.0.2.1", deaf, limits,
			jobs.Error{Class: jobs.Transient, Message: "no connection within 5s"},
			5 * time.Second,
		},
		{
			"first byte", "http://192.0.2.1", hang(""), limits,
			jobs.Error{Class: jobs.Timeout, Message: "no first byte within 30s"},
			30 * time.Second,
		},
		{
			"half a header", "http://192.0.2.1", hang(header[:20]), limits,
			jobs.Error{Class: jobs.Timeout, Message: "no first byte within 30s"},
			30 * time.Second,
		},
		{
			"idle before the body", "http://192.0.2.1", hang(header), limits,
			jobs.Error{Class: jobs.Timeout, Message: "no more of the answer within 10s", Status: 200, Said: true},
			10 * time.Second,
		},
		{
			"idle within the body", "http://192.0.2.1", hang(header + "{"), limits,
			jobs.Error{Class: jobs.Timeout, Message: "no more of the answer within 10s", Status: 200, Said: true},
			10 * time.Second,
		},
		{
			"idle within a refusal", "http://192.0.2.1", hang("HTTP/1.1 429 Slow\r\nRetry-After: 3\r\nContent-Length: 500\r\n\r\nslow"), limits,
			jobs.Error{Class: jobs.Rate, Message: "slow", Status: 429, Said: true, RetryAfter: 3 * time.Second},
			10 * time.Second,
		},
		{
			"shake hands, without a limit of its own", "https://192.0.2.1", deaf, whole,
			jobs.Error{Class: jobs.Transient, Message: "no connection within 30s"},
			30 * time.Second,
		},
		{
			"whole, while waiting", "http://192.0.2.1", hang(""), whole,
			jobs.Error{Class: jobs.Timeout, Message: "no whole answer within 1m0s"},
			time.Minute,
		},
		{
			"whole, while reading", "http://192.0.2.1", hang(header + "{"), whole,
			jobs.Error{Class: jobs.Timeout, Message: "no whole answer within 1m0s", Status: 200, Said: true},
			time.Minute,
		},
		{
			"whole, though the first byte has longer", "http://192.0.2.1", hang(""),
			jobs.Timeouts{FirstByte: time.Hour, Total: time.Minute},
			jobs.Error{Class: jobs.Timeout, Message: "no whole answer within 1m0s"},
			time.Minute,
		},
		{
			"no limits at all", "http://192.0.2.1", hang(""),
			jobs.Timeouts{},
			jobs.Error{Class: jobs.Timeout, Message: "no whole answer within 3m0s"},
			3 * time.Minute,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				target := at(c.url)
				target.Timeouts = c.limits
				start := time.Now()
				got := refused(t, newClient(t, piped(c.talk)), target)
				if diff := cmp.Diff(&c.want, got); diff != "" {
					t.Error(diff)
				}
				if took := time.Since(start); took != c.after {
					t.Errorf("took %s, want %s", took, c.after)
				}
			})
		})
	}
}

// TestBodyThatIsNotTaken: a server that stops reading the request is late with
// its first byte too.
func TestBodyThatIsNotTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		client := newClient(t, piped(func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 20)) // a pipe has no buffer: the rest is stuck
			<-over
		}))
		t.Cleanup(func() { close(over) })
		target := at("http://192.0.2.1")
		target.Timeouts.FirstByte = 7 * time.Second
		want := &jobs.Error{Class: jobs.Timeout, Message: "no first byte within 7s"}
		if diff := cmp.Diff(want, refused(t, client, target)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestSlowButSteadyAnswersArrive: the idle limit is between two pieces; the
// whole answer may take many times as long.
func TestSlowButSteadyAnswersArrive(t *testing.T) {
	t.Parallel()
	const pieces = 12
	synctest.Test(t, func(t *testing.T) {
		config := piped(func(conn net.Conn) {
			if readRequest(bufio.NewReader(conn)) != nil {
				return
			}
			wire := written(200, answer)
			tick := time.NewTicker(9 * time.Second)
			defer tick.Stop()
			for i := range pieces {
				<-tick.C
				_, _ = conn.Write(wire[len(wire)*i/pieces : len(wire)*(i+1)/pieces])
			}
		})
		target := at("http://192.0.2.1")
		target.Timeouts = jobs.Timeouts{FirstByte: 20 * time.Second, Idle: 10 * time.Second, Total: 3 * time.Minute}
		start := time.Now()
		got, failed := complete(t, newClient(t, config), target)
		if took := time.Since(start); failed != nil || took != pieces*9*time.Second {
			t.Fatalf("%v after %s", failed, took)
		}
		if got.FirstByte < 9*time.Second || got.FirstByte > 20*time.Second {
			t.Errorf("the first byte came after %s", got.FirstByte)
		}
	})
}

func TestNoConnection(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = quiet
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain, _ := serve(t, http.NotFound)
	for name, c := range map[string]struct{ url, want string }{
		"refused":           {"http://" + closed.Addr().String(), "connection refused"},
		"unknown authority": {secure.URL, "certificate"},
		"no TLS there":      {strings.Replace(plain, "http:", "https:", 1), "no connection: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failed := refused(t, newClient(t, Config{}), at(c.url))
			if failed.Class != jobs.Transient || failed.Said || failed.Status != 0 || !strings.Contains(failed.Message, c.want) {
				t.Errorf("got %+v, want %q in it", failed, c.want)
			}
		})
	}
}

func TestNameThatDoesNotResolve(t *testing.T) {
	t.Parallel()
	dial := func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "nowhere.invalid", IsNotFound: true}}
	}
	want := &jobs.Error{Class: jobs.Transient, Message: "no connection: dial tcp: lookup nowhere.invalid: no such host"}
	if diff := cmp.Diff(want, refused(t, newClient(t, Config{Dial: dial}), at("http://nowhere.invalid"))); diff != "" {
		t.Error(diff)
	}
}

func TestDialIsBoundedByConnect(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	dial := func(context.Context, string, string) (net.Conn, error) { <-over; return nil, net.ErrClosed }
	target := at("http://127.0.0.1:1")
	target.Timeouts.Connect = quick
	failed := refused(t, newClient(t, Config{Dial: dial}), target)
	if diff := cmp.Diff(&jobs.Error{Class: jobs.Transient, Message: "no connection within 60ms"}, failed); diff != "" {
		t.Error(diff)
	}
}

// TestLost: when the caller stops, nothing is said about the target.
func TestLost(t *testing.T) {
	t.Parallel()
	t.Run("before", func(t *testing.T) {
		t.Parallel()
		url, seen := serve(t, http.NotFound)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, failed := newClient(t, Config{}).Complete(ctx, at(url), jobs.EndpointChat, []byte(prompt))
		if failed == nil || failed.Class != jobs.Lost || failed.Said || seen.requests.Load() != 0 {
			t.Errorf("got %+v after %d requests", failed, seen.requests.Load())
		}
	})
	for name, partial := range map[string]string{"header": "", "body": "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"} {
		t.Run("waiting for the "+name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			url := listen(t, func(conn net.Conn) {
				r := bufio.NewReader(conn)
				if readRequest(r) == nil {
					_, _ = io.WriteString(conn, partial)
					cancel()
					_, _ = r.ReadByte()
				}
			})
			_, failed := newClient(t, Config{}).Complete(ctx, at(url), jobs.EndpointChat, []byte(prompt))
			want := &jobs.Error{Class: jobs.Lost, Message: "stopped by the caller while the call was in flight; it may have been billed"}
			if diff := cmp.Diff(want, failed); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("deadline", func(t *testing.T) {
		t.Parallel()
		url := listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
		ctx, cancel := context.WithTimeout(t.Context(), quick)
		defer cancel()
		if _, failed := newClient(t, Config{}).Complete(ctx, at(url), jobs.EndpointChat, []byte(prompt)); failed == nil || failed.Class != jobs.Lost {
			t.Errorf("got %+v, want LOST", failed)
		}
	})
}

// TestUncallableTargets: what is wrong with a target is never the request's
// fault, and is said before anything is sent.
func TestUncallableTargets(t *testing.T) {
	t.Parallel()
	client := newClient(t, Config{})
	for name, c := range map[string]struct {
		change func(*jobs.Target)
		want   string
	}{
		"dialect":    {func(t *jobs.Target) { t.Dialect = "klingon" }, `dialect: "klingon" is not known; use one of ` + strings.Join(Dialects(), ", ")},
		"no URL":     {func(t *jobs.Target) { t.BaseURL = "" }, "base_url: must be a URL as in https://api.example.com/v1"},
		"no scheme":  {func(t *jobs.Target) { t.BaseURL = "user:secret@host/v1" }, "base_url: must be a URL as in https://api.example.com/v1"},
		"broken key": {func(t *jobs.Target) { t.Key = "sk-a\nb" }, "api_key: holds a line break or another control character, which no header can carry"},
	} {
		target := at("http://127.0.0.1:1")
		c.change(target)
		failed := refused(t, client, target)
		if diff := cmp.Diff(&jobs.Error{Class: jobs.Transient, Message: c.want}, failed); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestBodyThatIsNoJSONIsNotSent(t *testing.T) {
	t.Parallel()
	url, seen := serve(t, http.NotFound)
	_, failed := newClient(t, Config{}).Complete(t.Context(), at(url), jobs.EndpointChat, []byte(`{"messages":[`))
	if failed == nil || failed.Class != jobs.BadRequest || failed.Said || seen.requests.Load() != 0 {
		t.Errorf("got %+v after %d requests", failed, seen.requests.Load())
	}
}

// TestHTTP2 makes many calls at once over one connection.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	var protocol atomic.Value
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol.Store(r.Proto)
		body, _ := io.ReadAll(r.Body)
		if !json.Valid(body) || int64(len(body)) != r.ContentLength {
			w.WriteHeader(400)
		}
		_, _ = io.WriteString(w, answer)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	client := newClient(t, Config{TLS: trusting(server)})
	body := []byte(`{"messages":["` + strings.Repeat("long ", 100_000) + `"]}`)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			got, failed := client.Complete(t.Context(), at(server.URL), jobs.EndpointChat, body)
			if failed != nil || got.FirstByte <= 0 {
				t.Error(got, failed)
			}
		})
	}
	all.Wait()
	if protocol.Load() != "HTTP/2.0" {
		t.Errorf("spoke %v, want HTTP/2.0", protocol.Load())
	}
}

// TestAnswerBeforeTheBodyIsSent: a server may refuse a large body early.
func TestAnswerBeforeTheBodyIsSent(t *testing.T) {
	t.Parallel()
	url := listen(t, func(conn net.Conn) {
		_, _ = bufio.NewReader(conn).ReadByte()
		_, _ = conn.Write(written(413, `{"error":{"message":"too large"}}`))
		_, _ = io.Copy(io.Discard, conn)
	})
	body := []byte(`{"messages":["` + strings.Repeat("long ", 500_000) + `"]}`)
	_, failed := newClient(t, Config{}).Complete(t.Context(), at(url), jobs.EndpointChat, body)
	if failed == nil || failed.Class != jobs.Context {
		t.Errorf("got %+v, want CONTEXT", failed)
	}
}
