package integration

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"tidegate/cmd/app"
	"tidegate/jobs"
	"tidegate/worker"
)

// secretPrompt is what a request asks, and secretAnswer what it is answered: nobody who
// reads the log may see either.
const (
	secretPrompt = "the-prompt-is-a-secret"
	secretAnswer = "the-answer-is-a-secret"
)

// parrot is a provider that answers with what it was asked, in every way in which it may
// fail, and then does answer.
func parrot() http.Handler {
	var n atomic.Int64
	fails := []func(w http.ResponseWriter, asked string){
		func(w http.ResponseWriter, asked string) { http.Error(w, asked, http.StatusServiceUnavailable) },
		func(w http.ResponseWriter, asked string) {
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, `{"error":{"message":%q,"code":%q,"type":%q}}`, asked, asked, asked)
		},
		func(w http.ResponseWriter, asked string) { fmt.Fprint(w, "no JSON: "+asked) },
		func(w http.ResponseWriter, asked string) {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprintf(w, `{"error":{"message":%q}}`, asked)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked := string(body)
		w.Header().Set("X-Request-Id", strings.Map(func(c rune) rune { return max(c, ' ') }, asked))
		switch i := n.Add(1); {
		case strings.Contains(asked, "refuse-me"):
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":{"message":%q,"code":"invalid","type":"invalid_request_error"}}`, asked)
		case i <= 12:
			fails[int(i)%len(fails)](w, asked)
		default:
			fmt.Fprintf(w, `{"id":"x","model":"m","choices":[{"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`, secretAnswer+asked)
		}
	})
}

// TestNoPromptInTheLog: whatever providers say, and however much is logged, no line has a
// word of a prompt or of an answer.
func TestNoPromptInTheLog(t *testing.T) {
	t.Parallel()
	st := newStage(t, staging{serve: func(t *testing.T, _ http.Handler) string { return serve(t, parrot()) }, key: secretKey})
	st.prepare()
	batch := st.enqueue(40, func(i int, r *jobs.Request) {
		how := "answer-me"
		if i%4 == 0 {
			how = "refuse-me"
		}
		r.Body = fmt.Appendf(nil, `{"model":"auto","messages":[{"role":"user","content":"%s %s %d"}]}`, secretPrompt, how, i)
	})
	var log bytes.Buffer
	crew := st.work(func(c *app.StackConfig) {
		c.Log, c.LogEnds = zerolog.New(zerolog.SyncWriter(&log)).Level(zerolog.TraceLevel), worker.LogAll
	})
	st.settle(batch)
	crew.stop()
	text := log.String()
	for _, secret := range []string{secretPrompt, secretAnswer, "refuse-me", secretKey} {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("the log shows %q: …%s…", secret, text[max(0, at-300):min(len(text), at+100)])
		}
	}
	if n := strings.Count(text, `"request ended"`); n != 40 || !strings.Contains(text, "BAD_REQUEST") {
		t.Errorf("%d of 40 lines, or none of a refusal:\n%s", n, text)
	}
	if st.count("SELECT count(*) FROM tidegate.attempts WHERE class IN ('TRANSIENT', 'OVERLOAD', 'GARBLED', 'RATE')") == 0 {
		t.Error("no call failed, so nothing was tested")
	}
}
