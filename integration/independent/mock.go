package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"tidegate/integration/bench"
)

// soon is how long something may take that takes a moment.
const soon = 30 * time.Second

// A mock is one process that speaks one dialect to us: the package speaks all, and
// each has a process so that each has its own chaos. Its methods are safe for
// concurrent use.
type mock struct {
	dialect string
	key     string // that it insists on
	base    string // as in http://127.0.0.1:4010
	process *bench.Process
}

var listening = regexp.MustCompile(`listening on (http://\S+)`)

// startMock starts the mock of a dialect with its fixtures.
func startMock(ctx context.Context, installed tool, dir, dialect, key string, fixtures []fixture) (*mock, error) {
	text, err := json.Marshal(map[string]any{"fixtures": fixtures})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, dialect+".json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(installed.node, installed.script, "--host", "127.0.0.1", "--port", "0", "--fixtures", file, "--validate-on-load", "--journal-max", "0")
	// With the second, a conversation that comes without its earlier turns is not known.
	cmd.Env = append(os.Environ(), "AIMOCK_API_KEYS="+key, "AIMOCK_STRICT_TURN_INDEX=1")
	m := &mock{dialect: dialect, key: key}
	if m.process, err = bench.StartCommand(filepath.Join(dir, dialect+".log"), cmd); err != nil {
		return nil, err
	}
	err = bench.Await(ctx, soon, "the mock of "+dialect+" listens", func() (bool, error) {
		text, _ := os.ReadFile(m.process.Log()) // it is there since the start
		if found := listening.FindSubmatch(text); found != nil {
			m.base = string(found[1])
		}
		return m.base != "", m.process.Alive()
	})
	if err != nil {
		m.process.Stop()
		return nil, err
	}
	return m, nil
}

// baseURL is what a target is configured with.
func (m *mock) baseURL() string {
	if m.dialect == "gemini" {
		return m.base + "/v1beta"
	}
	return m.base + "/v1"
}

// chaos is how often the mock does what: rates from 0 to 1, tried in this order
// until one hits, and a delay of every call.
type chaos struct {
	Drop       float64 `json:"dropRate,omitempty"`       // 500
	Malformed  float64 `json:"malformedRate,omitempty"`  // 200 and no JSON
	RateLimit  float64 `json:"rateLimitRate,omitempty"`  // 429 with Retry-After: 1
	Disconnect float64 `json:"disconnectRate,omitempty"` // no answer, the connection closed
	LatencyMS  int     `json:"latencyMs,omitempty"`
}

// disturb sets the chaos of all calls from now on.
func (m *mock) disturb(ctx context.Context, c chaos) error {
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	_, err = m.control(ctx, http.MethodPost, "/chaos", body)
	return err
}

// A served call is an entry of the mock's journal.
type served struct {
	number int       // of the question; -1: it is none's
	at     time.Time // when the mock was done with it
	status int       // that was sent; zero: the connection was closed
	whole  bool      // it was answered, and no chaos was in the answer
}

// journal lists the calls that the mock has seen to the end, in order. It knows
// nothing of one whose caller left before.
func (m *mock) journal(ctx context.Context) ([]served, error) {
	text, err := m.control(ctx, http.MethodGet, "/journal", nil)
	if err != nil {
		return nil, err
	}
	var entries []struct {
		Timestamp int64           `json:"timestamp"` // milliseconds
		Body      json.RawMessage `json:"body"`
		Response  struct {
			Status int    `json:"status"`
			Chaos  string `json:"chaosAction"`
		} `json:"response"`
	}
	if err := json.Unmarshal(text, &entries); err != nil {
		return nil, fmt.Errorf("reading the journal of the mock of %s: %w", m.dialect, err)
	}
	calls := make([]served, len(entries))
	for i, e := range entries {
		whole := e.Response.Status == http.StatusOK && e.Response.Chaos == ""
		calls[i] = served{numberIn(e.Body), time.UnixMilli(e.Timestamp), e.Response.Status, whole}
	}
	return calls, nil
}

func (m *mock) control(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, m.base+"/__aimock"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+m.key)
	// The mock closes what is idle for five seconds: a connection is not used again,
	// because it may be just about to.
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("commanding the mock of %s: %w", m.dialect, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", response.StatusCode, text)
	}
	if err != nil {
		return nil, fmt.Errorf("commanding the mock of %s: %s %s: %w", m.dialect, method, path, err)
	}
	return text, nil
}
