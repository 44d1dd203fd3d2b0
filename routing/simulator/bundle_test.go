package simulator_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"tidegate/routing/simulator"
)

// document is short enough to read and long enough to be summarised.
const document = `Package tide predicts the height of the water at a harbour.

A prediction is a sum of harmonic constituents, each with an amplitude and a phase.
The constituents of a harbour are found by fitting them to a year of measured heights.
Wind and air pressure are not predicted, so the measured height differs from the prediction.
For example, a storm may raise the water by two metres (e.g. in the German Bight).

	h := tide.Predict(harbour, time.Now())

Use Harbour.Fit to find the constituents from measured heights, and Predict to add them up.
The fit takes about 3.5 seconds for a year of heights.`

const prompt = "Summarise the following document in at most two sentences:\n\n" + document

// A bundle is a server that runs on loopback, and a client that leaves nothing
// open.
type bundle struct {
	*simulator.Server
	t    *testing.T
	http *http.Client
	stop context.CancelFunc
	done chan struct{} // closed when Run has returned
}

func start(t *testing.T, config simulator.Config) *bundle {
	t.Helper()
	server, err := simulator.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	transport := &http.Transport{}
	b := &bundle{server, t, &http.Client{Transport: transport, Timeout: 20 * time.Second}, stop, make(chan struct{})}
	go func() {
		defer close(b.done)
		if err := server.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-b.done
		transport.CloseIdleConnections()
	})
	return b
}

// one starts a server with a single provider "a".
func one(t *testing.T, provider simulator.Provider) *bundle {
	t.Helper()
	provider.Name = "a"
	return start(t, simulator.Config{Providers: []simulator.Provider{provider}})
}

// openai is the vendor's own client, which does not retry.
func (b *bundle) openai(name, key string) openai.Client {
	return openai.NewClient(
		option.WithBaseURL(b.BaseURL(name)), option.WithAPIKey(key),
		option.WithMaxRetries(0), option.WithHTTPClient(b.http),
	)
}

func question(text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model:    "small",
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)},
	}
}

// A reply is what came back over HTTP.
type reply struct {
	status int
	header http.Header
	body   string
	err    error // of the connection, or of reading the body
}

const plainBody = `{"model":"small","messages":[{"role":"user","content":"Tides are predictable. Storms are not."}]}`

func (b *bundle) post(name, body string) reply {
	return b.do(http.MethodPost, b.BaseURL(name)+"/chat/completions", body)
}

func (b *bundle) do(method, url, body string) reply {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	response, err := b.http.Do(request)
	if err != nil {
		return reply{err: err}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(text), err}
}

func (b *bundle) set(fault simulator.Fault) {
	b.t.Helper()
	if err := b.Set("*", fault); err != nil {
		b.t.Fatal(err)
	}
}

// await waits for a fact that another goroutine brings about.
func await(t *testing.T, what string, fact func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(10 * time.Second)
	for !fact() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited 10 s for: %s", what)
		}
	}
}
