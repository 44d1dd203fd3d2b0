package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"tidegate/jobs"
	"tidegate/routing/provider"
	"tidegate/routing/simulator"
)

// simulated are the dialects that the simulator speaks. A new one of the client's
// need not be among them: its recorded answers judge it.
func simulated(t *testing.T) []string {
	t.Helper()
	for _, dialect := range simulator.Dialects() {
		if !slices.Contains(provider.Dialects(), dialect) {
			t.Fatalf("the simulator speaks %s, and nobody calls it", dialect)
		}
	}
	return simulator.Dialects()
}

// vendors are providers that speak each dialect, and the client that calls them.
func vendors(t *testing.T) (*simulator.Server, func(dialect string) *jobs.Target) {
	t.Helper()
	var config simulator.Config
	for _, dialect := range simulated(t) {
		config.Providers = append(config.Providers, simulator.Provider{
			Name: dialect, Dialect: dialect, Key: "the-key", Models: []string{"small"}, CachedShare: 0.5, ReasoningTokens: 7, ContextTokens: 20_000,
		})
	}
	sim, err := simulator.New(config)
	check(t, err)
	base := serve(t, sim)
	return sim, func(dialect string) *jobs.Target {
		path := map[string]string{"gemini": "/v1beta"}[dialect]
		if path == "" {
			path = "/v1"
		}
		return &jobs.Target{
			Name: dialect, Dialect: dialect, BaseURL: base + "/" + dialect + path, Key: "the-key", Model: "small", Timeouts: jobs.DefaultTimeouts,
		}
	}
}

// TestDialectsAnswerAlike: one request, said in each dialect, is answered with one
// text, one usage, and a chat-completion object.
func TestDialectsAnswerAlike(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprintf("stream=%v", stream), func(t *testing.T) {
			t.Parallel()
			answerAlike(t, stream)
		})
	}
}

func answerAlike(t *testing.T, stream bool) {
	t.Helper()
	_, at := vendors(t)
	client := provider.New(provider.Config{})
	t.Cleanup(client.Close)
	const question = `{"messages":[{"role":"system","content":"Answer in one sentence."},{"role":"user","content":"Tides turn. Storms do not."}],"max_tokens":100}`
	texts := map[string]bool{}
	for _, dialect := range simulated(t) {
		target := at(dialect)
		target.Stream = stream
		answer, err := client.Complete(t.Context(), target, jobs.EndpointChat, []byte(question))
		if err != nil {
			t.Fatalf("%s: %v", dialect, err)
		}
		var object struct {
			Object  string
			Choices []struct {
				Message      struct{ Role, Content string }
				FinishReason string `json:"finish_reason"`
			}
			Usage struct {
				Prompt int `json:"prompt_tokens"`
				Output int `json:"completion_tokens"`
				Total  int `json:"total_tokens"`
			}
		}
		check(t, json.Unmarshal(answer.Body, &object))
		u := answer.Usage
		if object.Object != "chat.completion" || len(object.Choices) != 1 || object.Choices[0].FinishReason != "stop" || object.Choices[0].Message.Role != "assistant" ||
			object.Usage.Prompt != u.Input || object.Usage.Output != u.Output || object.Usage.Total != u.Input+u.Output {
			t.Errorf("%s: it answers %s", dialect, answer.Body)
		}
		if answer.Model != "small" || answer.ProviderID == "" || u.CachedInput != u.Input/2 || u.Reasoning != 7 || u.Output <= 7 {
			t.Errorf("%s: it is %+v", dialect, answer)
		}
		texts[object.Choices[0].Message.Content] = true
	}
	if len(texts) != 1 {
		t.Errorf("they say %v", texts)
	}
}

// TestDialectsRefuseAlike: each kind of refusal has one class, in whatever words
// it comes.
func TestDialectsRefuseAlike(t *testing.T) {
	t.Parallel()
	sim, at := vendors(t)
	client := provider.New(provider.Config{})
	t.Cleanup(client.Close)
	for mode, class := range map[simulator.Mode]jobs.Class{
		simulator.RateLimit: jobs.Rate, simulator.ServerError: jobs.Transient, simulator.Overloaded: jobs.Overload,
		simulator.Quota: jobs.Quota, simulator.Auth: jobs.Auth, simulator.BadRequest: jobs.BadRequest, simulator.NotFound: jobs.Auth,
		simulator.Context: jobs.Context, simulator.Content: jobs.Content, simulator.Garbled: jobs.Garbled, simulator.Empty: jobs.Garbled,
		simulator.Reset: jobs.Transient, simulator.Cut: jobs.Garbled, simulator.SpendLimit: jobs.Quota, simulator.Unpaid: jobs.Quota,
		simulator.Inside: jobs.Overload, simulator.Forbidden: jobs.Auth, simulator.TooLarge: jobs.Context, simulator.GaveUp: jobs.Timeout,
	} {
		check(t, sim.Set("*", simulator.Fault{Mode: mode, RetryAfter: 7 * time.Second}))
		for _, dialect := range simulated(t) {
			for _, stream := range []bool{false, true} {
				target := at(dialect)
				target.Stream = stream
				answer, err := client.Complete(t.Context(), target, jobs.EndpointChat, []byte(`{"messages":[{"role":"user","content":"Tides turn."}]}`))
				if answer != nil || err.Class != class {
					t.Errorf("%s, stream=%v, %s: %v, want %s", dialect, stream, mode, err, class)
					continue
				}
				if class == jobs.Rate && err.RetryAfter != 7*time.Second {
					t.Errorf("%s asks to wait %s", dialect, err.RetryAfter)
				}
			}
		}
	}
}

// TestQuotasAreAskedAgainAtTheirReset: where a vendor's rules tell when an allowance
// is whole again, the refusal says so.
func TestQuotasAreAskedAgainAtTheirReset(t *testing.T) {
	t.Parallel()
	sim, at := vendors(t)
	client := provider.New(provider.Config{})
	t.Cleanup(client.Close)
	for _, test := range []struct {
		dialect string
		mode    simulator.Mode
		class   jobs.Class
		within  time.Duration // of the reset; zero: it is not known
	}{
		{"gemini", simulator.DailyQuota, jobs.DailyQuota, 16 * time.Hour},
		{"anthropic", simulator.SpendLimit, jobs.Quota, 31 * 24 * time.Hour},
		{"anthropic", simulator.Unpaid, jobs.Quota, 0},
		{"openai", simulator.SpendLimit, jobs.Quota, 0},
	} {
		check(t, sim.Set("*", simulator.Fault{Mode: test.mode}))
		_, err := client.Complete(t.Context(), at(test.dialect), jobs.EndpointChat, []byte(`{"messages":[{"role":"user","content":"Tides turn."}]}`))
		if err == nil || err.Class != test.class || (err.ResetsIn > 0) != (test.within > 0) || err.ResetsIn > test.within {
			t.Errorf("%s, %s: %+v", test.dialect, test.mode, err)
		}
	}
}
