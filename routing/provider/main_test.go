package provider

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tidegate/jobs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen, and quick how long a
// call waits for what must not.
const (
	patience = 20 * time.Second
	quick    = 60 * time.Millisecond
)

const (
	prompt = `{"model":"any","messages":[{"role":"user","content":"What is a tide gate?"}]}`
	answer = `{"id":"chatcmpl-1","object":"chat.completion","created":1761000000,"model":"gpt-5-mini-2025-08-07",` +
		`"choices":[{"index":0,"message":{"role":"assistant","content":"It closes by itself."},"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}}`
)

// newClient is a client that is closed with the test.
func newClient(t testing.TB, config Config) *Client {
	t.Helper()
	client := New(config)
	t.Cleanup(client.Close)
	return client
}

// at is a target at a base URL, with long timeouts.
func at(url string) *jobs.Target {
	return &jobs.Target{
		Name: "mini", Provider: "openai", Dialect: "openai", BaseURL: url, Key: "sk-test", Model: "gpt-5-mini",
		Timeouts: jobs.Timeouts{Connect: patience, FirstByte: patience, Idle: patience, Total: 2 * patience},
	}
}

func complete(t testing.TB, client *Client, target *jobs.Target) (*jobs.Answer, *jobs.Error) {
	t.Helper()
	got, failed := client.Complete(t.Context(), target, jobs.EndpointChat, []byte(prompt))
	if (got == nil) == (failed == nil) {
		t.Fatalf("Complete gave %v and %v; exactly one must be nil", got, failed)
	}
	return got, failed
}

// refused is the error of a call that must not be answered.
func refused(t testing.TB, client *Client, target *jobs.Target) *jobs.Error {
	t.Helper()
	got, failed := complete(t, client, target)
	if failed == nil {
		t.Fatalf("got the answer %s, want an error", got.Body)
	}
	return failed
}

// serve runs an HTTP server and counts its requests and connections.
type counts struct{ requests, connections atomic.Int64 }

func serve(t testing.TB, handle http.HandlerFunc) (url string, seen *counts) {
	t.Helper()
	seen = &counts{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.requests.Add(1)
		handle(w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			seen.connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, seen
}

// listen runs talk for each TCP connection, so that a test decides on every
// byte. Connections are closed when talk returns, and with the test.
func listen(t testing.TB, talk func(net.Conn)) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		open    []net.Conn
	)
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			running.Go(func() { defer conn.Close(); talk(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for _, conn := range open {
			conn.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return "http://" + listener.Addr().String()
}

// readRequest takes one whole request from a connection.
func readRequest(r *bufio.Reader) error {
	request, err := http.ReadRequest(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, request.Body)
	return err
}

// written is an HTTP/1.1 response as it goes over the wire.
func written(status int, body string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\n\r\n%s", status, http.StatusText(status), len(body), body)
	return b.Bytes()
}

// trusting is the client configuration that trusts a test server.
func trusting(server *httptest.Server) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}
