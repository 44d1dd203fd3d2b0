package simulator

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// anthropic is the Messages API.
var anthropic = dialect{
	base:      "/v1",
	operation: anthropicOperation,
	key:       func(h http.Header) string { return h.Get("X-Api-Key") },
	read:      anthropicRead,
	refuse:    anthropicRefuse,
	body:      anthropicBody,
	header:    anthropicHeader,
	answer:    anthropicAnswer,
	models:    anthropicModels,
	broken:    func(body []byte) []byte { return append([]byte("event: error\n"), event(body)...) },
}

func anthropicOperation(method, path string) (operation, *refusal) {
	op, want := unknown, ""
	switch {
	case path == "/v1/messages":
		op, want = complete, http.MethodPost
	case path == "/v1/models" || strings.HasPrefix(path, "/v1/models/"):
		op, want = listModels, http.MethodGet
	}
	if op != unknown && method == want {
		return op, nil
	}
	no := refusal{mode: NotFound, status: http.StatusNotFound, kind: "not_found_error", message: "Not Found"}
	if op != unknown {
		no = refusal{mode: BadRequest, status: http.StatusMethodNotAllowed, kind: "invalid_request_error", message: "Method Not Allowed"}
	}
	return unknown, &no
}

// anthropicRequest has the fields that change what the simulator does. Content is
// a string or a list of blocks.
type anthropicRequest struct {
	Model    string `json:"model"`
	System   any    `json:"system"`
	Messages []struct {
		Role    string `json:"role"`
		Content any    `json:"content"`
	} `json:"messages"`
	MaxTokens *int `json:"max_tokens"`
	Stream    bool `json:"stream"`
}

func anthropicRead(_ string, body []byte) (question, *refusal) {
	var r anthropicRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return question{}, anthropicWrong("The request body is not valid JSON")
	}
	switch {
	case r.Model == "":
		return question{}, anthropicWrong("model: Field required")
	case r.MaxTokens == nil:
		return question{}, anthropicWrong("max_tokens: Field required")
	case *r.MaxTokens < 1:
		return question{}, anthropicWrong("max_tokens: must be greater than or equal to 1")
	case len(r.Messages) == 0:
		return question{}, anthropicWrong("messages: at least one message is required")
	}
	q := question{model: r.Model, stream: r.Stream, streamUsage: true, promptTokens: 3, maxTokens: min(*r.MaxTokens, 1<<30)}
	q.instruction = openaiText(r.System) // a string, or blocks with a text
	texts := []string{"system", q.instruction}
	for i, message := range r.Messages {
		text := openaiText(message.Content)
		switch message.Role {
		case "user":
			q.document = text
		case "assistant":
		default:
			return question{}, anthropicWrong(fmt.Sprintf("messages.%d.role: Input should be 'user' or 'assistant'", i))
		}
		if blocks, list := message.Content.([]any); message.Content == "" || list && len(blocks) == 0 {
			return question{}, anthropicWrong(fmt.Sprintf("messages.%d: all messages must have non-empty content", i))
		}
		q.promptTokens += 4 + tokens(text)
		texts = append(texts, message.Role, text)
	}
	if q.instruction != "" {
		q.promptTokens += tokens(q.instruction)
	}
	q.request = hashOf(texts...)
	return q, nil
}

func anthropicWrong(message string) *refusal {
	return &refusal{mode: BadRequest, status: http.StatusBadRequest, kind: "invalid_request_error", message: message}
}

// anthropicRefusals are the vendor's words for each mode. A text with %s mentions
// the model.
var anthropicRefusals = map[Mode]refusal{
	RateLimit:   {status: 429, kind: "rate_limit_error", message: "This request would exceed your organization's rate limit."},
	ServerError: {status: 500, kind: "api_error", message: "Internal server error"},
	Unavailable: {status: 503, kind: "api_error", message: "Service unavailable"},
	Overloaded:  {status: 529, kind: "overloaded_error", message: "Overloaded"},
	Quota:       {status: 400, kind: "invalid_request_error", message: "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."},
	DailyQuota:  {status: 400, kind: "invalid_request_error", message: "You have reached your specified API usage limits."},
	SpendLimit:  {status: 429, kind: "rate_limit_error", code: "enforced_spend_limit_reached", message: "Your organization has reached its spend limit."},
	Unpaid:      {status: 402, kind: "billing_error", message: "There is an issue with your billing or payment information."},
	Auth:        {status: 401, kind: "authentication_error", message: "invalid x-api-key"},
	Forbidden:   {status: 403, kind: "permission_error", message: "Your API key does not have permission to use the specified resource."},
	BadRequest:  {status: 400, kind: "invalid_request_error", message: "The request was not understood."},
	NotFound:    {status: 404, kind: "not_found_error", message: "model: %s"},
	Context:     {status: 400, kind: "invalid_request_error", message: "prompt is too long"},
	TooLarge:    {status: 413, kind: "request_too_large", message: "Request exceeds the maximum size"},
	GaveUp:      {status: 504, kind: "timeout_error", message: "The request timed out while processing."},
	Content:     {status: 400, kind: "invalid_request_error", message: "Output blocked by content filtering policy"},
}

func anthropicRefuse(why reason) refusal {
	no := anthropicRefusals[why.mode]
	no.mode = why.mode
	if strings.Contains(no.message, "%s") {
		no.message = fmt.Sprintf(no.message, why.model)
	}
	switch {
	case why.mode == Auth && !why.keyed:
		no.message = "x-api-key header is required"
	case why.mode == Context && why.window > 0:
		no.message = fmt.Sprintf("prompt is too long: %d tokens > %d maximum", why.tokens, why.window)
	case why.excess.limit != "":
		no.message = fmt.Sprintf("This request would exceed your organization's rate limit of %d %s.", why.excess.most, why.excess.limit)
	}
	return no
}

func anthropicBody(no refusal) []byte {
	type fault struct {
		Type    string         `json:"type"`
		Message string         `json:"message"`
		Details map[string]any `json:"details,omitempty"`
	}
	inner := fault{Type: no.kind, Message: no.message}
	if no.code != "" {
		inner.Details = map[string]any{"error_code": no.code}
	}
	return encode(struct {
		Type      string `json:"type"`
		Error     fault  `json:"error"`
		RequestID string `json:"request_id"`
	}{"error", inner, "req_simulated"})
}

func anthropicHeader(h http.Header, e envelope) {
	h.Set("request-id", "req_"+e.call)
	h.Set("anthropic-organization-id", "simulated")
	anthropicLimit(h, "requests", e.requests, e.now)
	anthropicLimit(h, "tokens", e.tokens, e.now)
	if e.wait > 0 && e.form != RetryNone {
		h.Set("retry-after", strconv.Itoa(int(math.Ceil(e.wait.Seconds()))))
	}
}

func anthropicLimit(h http.Header, of string, a allowed, now time.Time) {
	if a.limit == 0 {
		return
	}
	h.Set("anthropic-ratelimit-"+of+"-limit", strconv.Itoa(a.limit))
	h.Set("anthropic-ratelimit-"+of+"-remaining", strconv.Itoa(a.remaining))
	h.Set("anthropic-ratelimit-"+of+"-reset", now.Add(a.reset).UTC().Format(time.RFC3339))
}

type anthropicModel struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
	CreatedAt   string `json:"created_at"`
}

func anthropicModels(path string, names []string) ([]byte, *refusal) {
	tell := func(name string) anthropicModel { return anthropicModel{"model", name, name, "2026-01-01T00:00:00Z"} }
	only := strings.Trim(strings.TrimPrefix(path, "/v1/models"), "/")
	if only != "" && len(names) > 0 && !slices.Contains(names, only) {
		no := anthropicRefuse(reason{mode: NotFound, model: only})
		return nil, &no
	}
	if only != "" {
		return encode(tell(only)), nil
	}
	list := make([]anthropicModel, 0, len(names))
	for _, name := range names {
		list = append(list, tell(name))
	}
	return encode(map[string]any{"data": list, "has_more": false}), nil
}
