package simulator_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/genai"

	"tidegate/routing/simulator"
)

// gemini is the vendor's own client.
func (b *bundle) gemini(key string) *genai.Client {
	b.t.Helper()
	client, err := genai.NewClient(b.t.Context(), &genai.ClientConfig{
		APIKey: key, Backend: genai.BackendGeminiAPI, HTTPClient: b.http,
		HTTPOptions: genai.HTTPOptions{BaseURL: strings.TrimSuffix(b.BaseURL("a"), "/v1beta") + "/"},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return client
}

func TestGooglesClientCompletes(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{Dialect: "gemini", Key: "k", Models: []string{"small"}, CachedShare: 0.5, ReasoningTokens: 7})
	got, err := b.gemini("k").Models.GenerateContent(t.Context(), "small", genai.Text(prompt), nil)
	if err != nil {
		t.Fatal(err)
	}
	text := got.Text()
	if !strings.HasPrefix(text, "Predicts the height of the water at a harbour.") || got.Candidates[0].FinishReason != genai.FinishReasonStop {
		t.Errorf("it says %q, %s", text, got.Candidates[0].FinishReason)
	}
	if got.ModelVersion != "small" || got.ResponseID == "" {
		t.Errorf("model %q, id %q", got.ModelVersion, got.ResponseID)
	}
	u := got.UsageMetadata
	if want := int32(len(prompt)+3)/4 + 7; u.PromptTokenCount != want || u.CachedContentTokenCount != want/2 {
		t.Errorf("usage %+v, want %d in", u, want)
	}
	if want := int32(len(text)+3) / 4; u.CandidatesTokenCount != want || u.ThoughtsTokenCount != 7 || u.TotalTokenCount != u.PromptTokenCount+want+7 {
		t.Errorf("usage %+v, want %d out", u, want)
	}
}

func TestGooglesClientStreams(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{Dialect: "gemini", Latency: simulator.Latency{PerToken: time.Microsecond}})
	client := b.gemini("k")
	whole, err := client.Models.GenerateContent(t.Context(), "small", genai.Text(prompt), nil)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	pieces := 0
	for piece, err := range client.Models.GenerateContentStream(t.Context(), "small", genai.Text(prompt), nil) {
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(piece.Text())
		pieces++
	}
	if text.String() != whole.Text() || pieces < 10 {
		t.Errorf("streamed %q in %d pieces, want %q", text.String(), pieces, whole.Text())
	}
}

func TestGooglesClientSeesTypedErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mode   simulator.Mode
		code   int
		status string
	}{
		{simulator.RateLimit, 429, "RESOURCE_EXHAUSTED"},
		{simulator.ServerError, 500, "INTERNAL"},
		{simulator.Unavailable, 503, "UNAVAILABLE"},
		{simulator.Overloaded, 503, "UNAVAILABLE"},
		{simulator.Quota, 429, "RESOURCE_EXHAUSTED"},
		{simulator.DailyQuota, 429, "RESOURCE_EXHAUSTED"},
		{simulator.SpendLimit, 429, "RESOURCE_EXHAUSTED"},
		{simulator.Unpaid, 402, "RESOURCE_EXHAUSTED"},
		{simulator.GaveUp, 504, "DEADLINE_EXCEEDED"},
		{simulator.TooLarge, 413, "INVALID_ARGUMENT"},
		{simulator.Auth, 400, "INVALID_ARGUMENT"},
		{simulator.Forbidden, 403, "PERMISSION_DENIED"},
		{simulator.BadRequest, 400, "INVALID_ARGUMENT"},
		{simulator.NotFound, 404, "NOT_FOUND"},
		{simulator.Context, 400, "INVALID_ARGUMENT"},
	} {
		t.Run(string(test.mode), func(t *testing.T) {
			t.Parallel()
			b := one(t, simulator.Provider{Dialect: "gemini"})
			b.set(simulator.Fault{Mode: test.mode, RetryAfter: 7 * time.Second})
			_, err := b.gemini("k").Models.GenerateContent(t.Context(), "small", genai.Text(prompt), nil)
			var refused genai.APIError
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want a genai.APIError", err)
			}
			if refused.Code != test.code || refused.Status != test.status || refused.Message == "" {
				t.Errorf("got %+v", refused)
			}
			if !strings.Contains(fmt.Sprint(refused.Details), "retryDelay:7s") {
				t.Errorf("it asks to wait %v", refused.Details)
			}
		})
	}
}

func TestGooglesClientSeesAStreamBreak(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{Dialect: "gemini"})
	b.set(simulator.Fault{Mode: simulator.Inside})
	pieces, broke := 0, error(nil)
	for _, err := range b.gemini("k").Models.GenerateContentStream(t.Context(), "small", genai.Text(prompt), nil) {
		if broke = err; err == nil {
			pieces++
		}
	}
	var refused genai.APIError
	if !errors.As(broke, &refused) || refused.Code != 503 || refused.Status != "UNAVAILABLE" || pieces < 5 {
		t.Errorf("after %d pieces: %v", pieces, broke)
	}
}

// What the model will not answer is an answer without a candidate.
func TestGeminiBlocksPrompts(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{Dialect: "gemini"})
	b.set(simulator.Fault{Mode: simulator.Content})
	got, err := b.gemini("k").Models.GenerateContent(t.Context(), "small", genai.Text(prompt), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Candidates) != 0 || got.PromptFeedback.BlockReason != genai.BlockedReasonProhibitedContent {
		t.Errorf("got %+v", got)
	}
}
