package simulator_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"

	"tidegate/routing/simulator"
)

func TestOfficialClientCompletes(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{Key: "k", Models: []string{"small"}, CachedShare: 0.5, ReasoningTokens: 7})
	client := b.openai("a", "k")
	completion, err := client.Chat.Completions.New(t.Context(), question(prompt))
	if err != nil {
		t.Fatal(err)
	}
	choice := completion.Choices[0]
	if !strings.HasPrefix(choice.Message.Content, "Predicts the height of the water at a harbour.") {
		t.Errorf("the summary is %q", choice.Message.Content)
	}
	if strings.Count(choice.Message.Content, ". ") != 1 {
		t.Errorf("two sentences were asked for: %q", choice.Message.Content)
	}
	if choice.FinishReason != "stop" || completion.Model != "small" || !strings.HasPrefix(completion.ID, "chatcmpl-") {
		t.Errorf("finish %q, model %q, id %q", choice.FinishReason, completion.Model, completion.ID)
	}
	u := completion.Usage
	if want := int64(len(prompt)+3)/4 + 7; u.PromptTokens != want {
		t.Errorf("prompt tokens: %d, want %d", u.PromptTokens, want)
	}
	if want := int64(len(choice.Message.Content)+3)/4 + 7; u.CompletionTokens != want || u.TotalTokens != u.PromptTokens+want {
		t.Errorf("completion tokens: %d of %d, want %d", u.CompletionTokens, u.TotalTokens, want)
	}
	if u.PromptTokensDetails.CachedTokens != u.PromptTokens/2 || u.CompletionTokensDetails.ReasoningTokens != 7 {
		t.Errorf("details: %+v", u)
	}
	if calls := b.Calls("a"); calls.Total != 1 || calls.Outcomes[simulator.OK] != 1 || calls.InFlight != 0 {
		t.Errorf("calls: %+v", calls)
	}
}

func TestOfficialClientStreams(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{Latency: simulator.Latency{PerToken: time.Microsecond}})
	client := b.openai("a", "")
	whole, err := client.Chat.Completions.New(t.Context(), question(prompt))
	if err != nil {
		t.Fatal(err)
	}
	params := question(prompt)
	params.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := client.Chat.Completions.NewStreaming(t.Context(), params)
	defer func() { _ = stream.Close() }() // what it read is judged, not how it closed
	sum := openai.ChatCompletionAccumulator{}
	chunks := 0
	for stream.Next() {
		sum.AddChunk(stream.Current())
		chunks++
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	if got, want := sum.Choices[0].Message.Content, whole.Choices[0].Message.Content; got != want || chunks < 10 {
		t.Errorf("streamed %q in %d chunks, want %q", got, chunks, want)
	}
	if sum.Usage.TotalTokens != whole.Usage.TotalTokens || sum.Choices[0].FinishReason != "stop" {
		t.Errorf("usage %+v, finish %q", sum.Usage, sum.Choices[0].FinishReason)
	}
}

func TestOfficialClientSeesTypedErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mode   simulator.Mode
		status int
		kind   string
		code   string
	}{
		{simulator.RateLimit, 429, "requests", "rate_limit_exceeded"},
		{simulator.ServerError, 500, "server_error", ""},
		{simulator.Unavailable, 503, "service_unavailable_error", "server_is_overloaded"},
		{simulator.Overloaded, 529, "overloaded_error", "overloaded"},
		{simulator.Quota, 429, "insufficient_quota", "credit_balance_exhausted"},
		{simulator.DailyQuota, 429, "insufficient_quota", "organization_usage_limit_exceeded"},
		{simulator.SpendLimit, 429, "insufficient_quota", "organization_spend_limit_exceeded"},
		{simulator.Unpaid, 402, "insufficient_quota", "credit_balance_exhausted"},
		{simulator.GaveUp, 504, "server_error", ""},
		{simulator.TooLarge, 413, "invalid_request_error", "request_too_large"},
		{simulator.Auth, 401, "invalid_request_error", "invalid_api_key"},
		{simulator.Forbidden, 403, "request_forbidden", "unsupported_country_region_territory"},
		{simulator.BadRequest, 400, "invalid_request_error", "invalid_value"},
		{simulator.NotFound, 404, "invalid_request_error", "model_not_found"},
		{simulator.Context, 400, "invalid_request_error", "context_length_exceeded"},
		{simulator.Content, 400, "invalid_request_error", "content_policy_violation"},
	} {
		t.Run(string(test.mode), func(t *testing.T) {
			t.Parallel()
			b := one(t, simulator.Provider{})
			b.set(simulator.Fault{Mode: test.mode})
			client := b.openai("a", "k")
			_, err := client.Chat.Completions.New(t.Context(), question(prompt))
			var refused *openai.Error
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want an *openai.Error", err)
			}
			if refused.StatusCode != test.status || refused.Type != test.kind || refused.Code != test.code || refused.Message == "" {
				t.Errorf("got %d type %q code %q message %q", refused.StatusCode, refused.Type, refused.Code, refused.Message)
			}
			if refused.Response.Header.Get("x-request-id") == "" || refused.Response.Header.Get("openai-version") == "" {
				t.Errorf("headers: %v", refused.Response.Header)
			}
			if got := b.Calls("a").Outcomes[test.mode]; got != 1 {
				t.Errorf("counted under %s: %d", test.mode, got)
			}
		})
	}
}

func TestOfficialClientSeesAStreamBreak(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{})
	b.set(simulator.Fault{Mode: simulator.Inside})
	client := b.openai("a", "k")
	stream := client.Chat.Completions.NewStreaming(t.Context(), question(prompt))
	defer func() { _ = stream.Close() }() // what it read is judged, not how it closed
	chunks := 0
	for stream.Next() {
		chunks++
	}
	if err := stream.Err(); err == nil || !strings.Contains(err.Error(), "overloaded") || chunks < 5 {
		t.Errorf("after %d chunks: %v", chunks, err)
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	const path = "/chat/completions"
	for _, test := range []struct {
		name, method, path, key, body string
		status                        int
		code, param, says             string
	}{
		{"not JSON", "POST", path, "k", `{"model":`, 400, "", "", "JSON"},
		{"no body", "POST", path, "k", ``, 400, "", "", "JSON"},
		{"no model", "POST", path, "k", `{"messages":[]}`, 400, "", "", "model"},
		{"no messages", "POST", path, "k", `{"model":"small"}`, 400, "missing_required_parameter", "messages", "messages"},
		{"empty messages", "POST", path, "k", `{"model":"small","messages":[]}`, 400, "empty_array", "messages", "empty"},
		{"wrong type", "POST", path, "k", `{"model":"small","messages":"x"}`, 400, "invalid_type", "messages", "string"},
		{"wrong role", "POST", path, "k", `{"model":"small","messages":[{"role":"x","content":"y"}]}`, 400, "invalid_value", "messages[0].role", "x"},
		{"no tokens", "POST", path, "k", `{"model":"small","max_tokens":0,"messages":[{"role":"user","content":"y"}]}`, 400, "integer_below_min_value", "max_completion_tokens", "0"},
		{"other model", "POST", path, "k", `{"model":"large","messages":[{"role":"user","content":"y"}]}`, 404, "model_not_found", "", "large"},
		{"too long", "POST", path, "k", `{"model":"small","max_tokens":100,"messages":[{"role":"user","content":"y"}]}`, 400, "context_length_exceeded", "messages", "100 tokens"},
		{"wrong key", "POST", path, "sk-canary", plainBody, 401, "invalid_api_key", "", "Incorrect"},
		{"no key", "POST", path, "", plainBody, 401, "", "", "provide"},
		{"wrong method", "GET", path, "k", "", 405, "method_not_supported", "", "POST"},
		{"wrong path", "POST", "/nowhere", "k", "", 404, "", "", "Invalid URL"},
		{"other model listed", "GET", "/models/large", "k", "", 404, "model_not_found", "", "large"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := one(t, simulator.Provider{Key: "k", Models: []string{"small"}, ContextTokens: 100})
			request, err := http.NewRequestWithContext(t.Context(), test.method, b.BaseURL("a")+test.path, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if test.key != "" {
				request.Header.Set("Authorization", "Bearer "+test.key)
			}
			response, err := b.http.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			var got struct {
				Error map[string]any `json:"error"`
			}
			if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
				t.Fatal(err)
			}
			code, _ := got.Error["code"].(string)
			param, _ := got.Error["param"].(string)
			message, _ := got.Error["message"].(string)
			if response.StatusCode != test.status || code != test.code || param != test.param || !strings.Contains(message, test.says) {
				t.Errorf("got %d %v", response.StatusCode, got.Error)
			}
			if len(got.Error) != 4 || strings.Contains(message, "canary") {
				t.Errorf("the error has not the four fields, or shows the key: %v", got.Error)
			}
		})
	}
}

func TestModelsAreListed(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{Models: []string{"small", "large"}})
	client := b.openai("a", "")
	list, err := client.Models.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Data) != 2 || list.Data[1].ID != "large" {
		t.Errorf("got %+v", list.Data)
	}
	only, err := client.Models.Get(t.Context(), "small")
	if err != nil || only.ID != "small" {
		t.Errorf("got %v, %v", only, err)
	}
	if total := b.Calls("a").Total; total != 0 {
		t.Errorf("a list was counted as a call: %d", total)
	}
}

func TestTokenLimitCutsAndSays(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{})
	client := b.openai("a", "")
	params := question(prompt)
	params.MaxCompletionTokens = openai.Int(4)
	completion, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	if choice := completion.Choices[0]; choice.FinishReason != "length" || completion.Usage.CompletionTokens > 4 || choice.Message.Content == "" {
		t.Errorf("got %q, finish %q, usage %+v", choice.Message.Content, choice.FinishReason, completion.Usage)
	}
}

func TestPartsAreRead(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{})
	got := b.post("a", `{"model":"m","messages":[{"role":"system","content":"Answer in one sentence."},{"role":"user","content":[{"type":"text","text":"Tides turn."}]}]}`)
	if got.status != 200 || !strings.Contains(got.body, "Tides turn.") {
		t.Errorf("got %+v", got)
	}
}
