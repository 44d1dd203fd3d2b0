//go:build browser

package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	soon = 30 * time.Second
	// outage is in what time anything of an outage is seen, also on a machine that has
	// much to do.
	outage = 90 * time.Second
)

// A stage is the built program: providers that fail on command, and dev.
type stage struct {
	t         *testing.T
	dir       string
	program   string
	simulator string   // its address
	Address   string   // of the page
	stop      func()   // stops dev, or the server
	where     []string // flags of where the fleet is
	processes map[string]*os.Process
}

const script = `
providers:
  - {name: openai, models: [gpt-5-mini], latency: {median: 300ms, p99: 900ms}}
  - {name: deepseek, models: [deepseek-chat], latency: {median: 700ms, p99: 2s}}
  - {name: mistral, models: [mistral-small-latest], latency: {median: 450ms, p99: 1500ms}}
`

const configuration = `
targets:
  - {name: gpt-5-mini, provider: openai, region: eu, model: gpt-5-mini, base_url: %[1]s/openai/v1, price: {input: 0.25, cached_input: 0.025, output: 2.00}, limits: {requests_per_minute: 6000}}
  - {name: deepseek-chat, provider: deepseek, model: deepseek-chat, base_url: %[1]s/deepseek/v1, price: {input: 0.28, cached_input: 0.028, output: 0.42}, limits: {requests_per_minute: %[2]d}}
  - {name: mistral-small, provider: mistral, region: eu, model: mistral-small-latest, base_url: %[1]s/mistral/v1, price: {input: 0.10, output: 0.30}}
routes:
  - {name: summaries, chain: [gpt-5-mini, deepseek-chat], deadline: 24h}
  - {name: labels, chain: [mistral-small, gpt-5-mini], deadline: 6h}
worker: {shutdown_timeout: 2s}
`

// newStage starts everything. perMinute is what the second target of summaries takes.
func newStage(t *testing.T, perMinute int) *stage {
	t.Helper()
	s := newProviders(t, perMinute)
	s.dev("127.0.0.1:0")
	return s
}

// newProviders builds the program and starts the providers, of which a configuration tells.
func newProviders(t *testing.T, perMinute int) *stage {
	t.Helper()
	dir, err := os.MkdirTemp("", "tidegate-page-") // short: a socket is in it
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &stage{t: t, dir: dir, program: filepath.Join(dir, "tidegate"), where: []string{"--data", filepath.Join(dir, "data")}, processes: map[string]*os.Process{}}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", s.program, "tidegate/cmd/tidegate")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, said)
	}
	check(t, os.WriteFile(s.path("script.yaml"), []byte(script), 0o600))
	var urls map[string]string
	s.start("simulate", &urls, "simulate", "--json", "--listen", "127.0.0.1:0", "--script", s.path("script.yaml"))
	s.simulator, _, _ = strings.Cut(urls["openai"], "/openai")
	check(t, os.WriteFile(s.path("tidegate.yaml"), fmt.Appendf(nil, configuration, s.simulator, perMinute), 0o600))
	return s
}

// dev starts dev, which goes on with what is in its folder.
func (s *stage) dev(listen string) {
	s.t.Helper()
	var where struct {
		HTTP string `json:"http"`
	}
	s.stop = s.start("dev", &where, "dev", "--json", "--config", s.path("tidegate.yaml"), "--data", s.path("data"), "--listen", listen, "--nats-port", "0")
	s.Address = where.HTTP
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// start starts a process, and reads what it says of itself in JSON. It ends with the test,
// or when it is stopped.
func (s *stage) start(name string, says any, args ...string) (stop func()) {
	s.t.Helper()
	// Not CommandContext: it is told to stop, and not killed.
	cmd := exec.Command(s.program, args...)
	cmd.Env = append(os.Environ(), "DATABASE_URL=", "NATS_URL=")
	var failed bytes.Buffer
	cmd.Stderr = &failed
	out, err := cmd.StdoutPipe()
	check(s.t, err)
	check(s.t, cmd.Start())
	s.processes[name] = cmd.Process
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(soon, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		_ = cmd.Wait()
	})
	s.t.Cleanup(func() {
		stop()
		if s.t.Failed() {
			s.t.Logf("%s said:\n%s", name, tail(failed.String()))
		}
	})
	if says == nil { // it says nothing
		return stop
	}
	decoder := json.NewDecoder(bufio.NewReader(out))
	if err := decoder.Decode(says); err != nil {
		s.t.Fatalf("%s: %v\n%s", name, err, tail(failed.String()))
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return stop
}

// tidegate runs a command beside dev, and returns what it prints.
func (s *stage) tidegate(args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), outage)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.program, append(args, s.where...)...)
	cmd.Env = append(os.Environ(), "DATABASE_URL=", "NATS_URL=")
	said, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("tidegate %s: %v\n%s", strings.Join(args, " "), err, said)
	}
	return string(said)
}

// enqueue enqueues n requests of a route, as a batch, and returns its id.
func (s *stage) enqueue(route string, n int) string {
	s.t.Helper()
	var lines bytes.Buffer
	for i := range n {
		fmt.Fprintf(&lines, `{"custom_id":"document-%d","body":{"messages":[{"role":"user","content":"Summarise document %d: the tide gate closes when the water rises, and opens when it falls."}],"max_tokens":60}}`+"\n", i, i)
	}
	check(s.t, os.WriteFile(s.path("in.jsonl"), lines.Bytes(), 0o600))
	return strings.Fields(s.tidegate("enqueue", s.path("in.jsonl"), "--route", route))[0]
}

// fail has a provider fail; "*" is all of them.
func (s *stage) fail(provider string) { s.command(http.MethodPut, provider, `{"mode":"unavailable"}`) }

// heal has it be well again.
func (s *stage) heal(provider string) { s.command(http.MethodDelete, provider, "") }

func (s *stage) command(method, provider, body string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.simulator+"/_simulator/providers/"+provider+"/fault", strings.NewReader(body))
	check(s.t, err)
	answer, err := http.DefaultClient.Do(request)
	check(s.t, err)
	_ = answer.Body.Close()
	if answer.StatusCode >= http.StatusBadRequest {
		s.t.Fatalf("%s of %s: %s", method, provider, answer.Status)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func tail(text string) string {
	const most = 4000
	return text[max(0, len(text)-most):]
}
