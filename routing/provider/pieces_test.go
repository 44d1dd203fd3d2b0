package provider

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tidegate/jobs"
)

// TestPiecesAreTheAnswer: what is handed on, put together, is the text of each choice.
func TestPiecesAreTheAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		dialect, events string
		want            map[int]string
	}{
		"openai, two choices": {"openai", `data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":""}},{"index":1,"delta":{"content":"B"}}]}

data: {"choices":[{"index":1,"delta":{"content":"ee"}},{"index":0,"delta":{"content":"A \ud83d"}}]}

data: {"choices":[{"index":0,"delta":{"content":"\ude00!"}}]}

data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"},{"index":1,"delta":{},"finish_reason":"stop"}]}

data: [DONE]

`, map[int]string{0: "A 😀!", 1: "Bee"}},
		"anthropic, thinks first": {"anthropic", `data: {"type":"message_start","message":{"id":"m","model":"x","usage":{"input_tokens":1}}}

data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking"}}

data: {"type":"content_block_delta","index":0,"delta":{"thinking":"hm"}}

data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

data: {"type":"content_block_delta","index":1,"delta":{"text":"The ti"}}

data: {"type":"content_block_delta","index":1,"delta":{"text":"de."}}

data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}

data: {"type":"message_stop"}

`, map[int]string{0: "The tide."}},
		"gemini, thinks first": {"gemini", `data: {"responseId":"r","candidates":[{"content":{"parts":[{"text":"hm","thought":true}]}}]}

data: {"candidates":[{"content":{"parts":[{"text":"The ti"}]}}]}

data: {"candidates":[{"content":{"parts":[{"text":"de."}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2}}

`, map[int]string{0: "The tide."}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = w.Write([]byte(c.events))
			}))
			t.Cleanup(server.Close)
			client := New(Config{})
			t.Cleanup(client.Close)
			got := map[int]string{}
			ctx := jobs.WithPieces(t.Context(), func(p jobs.Piece) { got[p.Choice] += p.Text })
			target := &jobs.Target{Name: "t", Dialect: c.dialect, BaseURL: server.URL, Model: "x", Timeouts: jobs.DefaultTimeouts}
			answer, err := client.Complete(ctx, target, jobs.EndpointChat, []byte(`{"messages":[{"role":"user","content":"x"}]}`))
			if err != nil {
				t.Fatal(err)
			}
			for choice, text := range c.want {
				if got[choice] != text {
					t.Errorf("choice %d came as %q, not %q", choice, got[choice], text)
				}
				if !strings.Contains(string(answer.Body), text) {
					t.Errorf("the answer is %s", answer.Body)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("there came %v", got)
			}
		})
	}
}
