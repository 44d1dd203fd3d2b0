package simulator_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"tidegate/routing/simulator"
)

// anthropic is the vendor's own client, which does not retry.
func (b *bundle) anthropic(key string) anthropic.Client {
	return anthropic.NewClient(
		option.WithBaseURL(strings.TrimSuffix(b.BaseURL("a"), "/v1")+"/"), option.WithAPIKey(key),
		option.WithMaxRetries(0), option.WithHTTPClient(b.http),
	)
}

func message(text string) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{
		Model: "small", MaxTokens: 1000,
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(text))},
	}
}

func TestAnthropicsClientCompletes(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{Dialect: "anthropic", Key: "k", Models: []string{"small"}, CachedShare: 0.5, ReasoningTokens: 7})
	client := b.anthropic("k")
	got, err := client.Messages.New(t.Context(), message(prompt))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Content) != 1 || !strings.HasPrefix(got.Content[0].Text, "Predicts the height of the water at a harbour.") {
		t.Fatalf("it says %+v", got.Content)
	}
	if got.StopReason != anthropic.StopReasonEndTurn || got.Model != "small" || !strings.HasPrefix(got.ID, "msg_") {
		t.Errorf("stop %q, model %q, id %q", got.StopReason, got.Model, got.ID)
	}
	u, text := got.Usage, got.Content[0].Text
	if want := int64(len(prompt)+3)/4 + 7; u.InputTokens+u.CacheReadInputTokens != want || u.CacheReadInputTokens != want/2 {
		t.Errorf("usage %+v, want %d in", u, want)
	}
	if want := int64(len(text)+3)/4 + 7; u.OutputTokens != want || u.OutputTokensDetails.ThinkingTokens != 7 {
		t.Errorf("usage %+v, want %d out", u, want)
	}
}

func TestAnthropicsClientStreams(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{Dialect: "anthropic", Latency: simulator.Latency{PerToken: time.Microsecond}})
	client := b.anthropic("k")
	whole, err := client.Messages.New(t.Context(), message(prompt))
	if err != nil {
		t.Fatal(err)
	}
	stream := client.Messages.NewStreaming(t.Context(), message(prompt))
	defer func() { _ = stream.Close() }() // what it read is judged, not how it closed
	var sum anthropic.Message
	events := 0
	for stream.Next() {
		if err := sum.Accumulate(stream.Current()); err != nil {
			t.Fatal(err)
		}
		events++
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	if sum.Content[0].Text != whole.Content[0].Text || events < 10 || sum.StopReason != "end_turn" || sum.Usage.OutputTokens != whole.Usage.OutputTokens {
		t.Errorf("streamed %+v in %d events, want %+v", sum.Content, events, whole.Content)
	}
}

func TestAnthropicsClientSeesTypedErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mode   simulator.Mode
		status int
		kind   string
	}{
		{simulator.RateLimit, 429, "rate_limit_error"},
		{simulator.ServerError, 500, "api_error"},
		{simulator.Unavailable, 503, "api_error"},
		{simulator.Overloaded, 529, "overloaded_error"},
		{simulator.Quota, 400, "invalid_request_error"},
		{simulator.DailyQuota, 400, "invalid_request_error"},
		{simulator.SpendLimit, 429, "rate_limit_error"},
		{simulator.Unpaid, 402, "billing_error"},
		{simulator.GaveUp, 504, "timeout_error"},
		{simulator.TooLarge, 413, "request_too_large"},
		{simulator.Auth, 401, "authentication_error"},
		{simulator.Forbidden, 403, "permission_error"},
		{simulator.BadRequest, 400, "invalid_request_error"},
		{simulator.NotFound, 404, "not_found_error"},
		{simulator.Context, 400, "invalid_request_error"},
		{simulator.Content, 400, "invalid_request_error"},
	} {
		t.Run(string(test.mode), func(t *testing.T) {
			t.Parallel()
			b := one(t, simulator.Provider{Dialect: "anthropic"})
			b.set(simulator.Fault{Mode: test.mode, RetryAfter: 7 * time.Second})
			client := b.anthropic("k")
			_, err := client.Messages.New(t.Context(), message(prompt))
			var refused *anthropic.Error
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want an *anthropic.Error", err)
			}
			if refused.StatusCode != test.status || string(refused.Type()) != test.kind || refused.RequestID == "" {
				t.Errorf("got %d type %q request %q", refused.StatusCode, refused.Type(), refused.RequestID)
			}
			if got := refused.Response.Header.Get("Retry-After"); got != "7" {
				t.Errorf("it asks to wait %q", got)
			}
		})
	}
}

func TestAnthropicsClientSeesAStreamBreak(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{Dialect: "anthropic"})
	b.set(simulator.Fault{Mode: simulator.Inside})
	client := b.anthropic("k")
	stream := client.Messages.NewStreaming(t.Context(), message(prompt))
	defer func() { _ = stream.Close() }() // what it read is judged, not how it closed
	events := 0
	for stream.Next() {
		events++
	}
	if err := stream.Err(); err == nil || !strings.Contains(err.Error(), "overloaded_error") || events < 5 {
		t.Errorf("after %d events: %v", events, err)
	}
}

func TestAnthropicsRules(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{Dialect: "anthropic", Models: []string{"small"}})
	for body, says := range map[string]string{
		`{`: "JSON",
		`{"max_tokens":5,"messages":[{"role":"user","content":"x"}]}`:                   "model: Field required",
		`{"model":"small","messages":[{"role":"user","content":"x"}]}`:                  "max_tokens: Field required",
		`{"model":"small","max_tokens":5,"messages":[]}`:                                "at least one message",
		`{"model":"small","max_tokens":5,"messages":[{"role":"system","content":"x"}]}`: "messages.0.role",
		`{"model":"small","max_tokens":5,"messages":[{"role":"user","content":""}]}`:    "non-empty",
		`{"model":"large","max_tokens":5,"messages":[{"role":"user","content":"x"}]}`:   "model: large",
	} {
		got := b.do("POST", b.BaseURL("a")+"/messages", body)
		if got.status/100 != 4 || !strings.Contains(got.body, says) || !strings.Contains(got.body, `"type":"error"`) {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
}
