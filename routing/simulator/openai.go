package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidegate/jobs"
)

// openai is the API of OpenAI, and of everybody who is compatible with it: chat
// completions, and what stands in openai_more.go.
var openai = dialect{
	base:      "/v1",
	operation: openaiOperation,
	key:       openaiKey,
	read:      openaiReadAt,
	refuse:    openaiRefuse,
	body:      openaiBody,
	header:    openaiHeader,
	answer:    openaiAnswerAt,
	models:    openaiModels,
}

func openaiOperation(method, path string) (operation, *refusal) {
	op, want := unknown, ""
	_, served := jobs.ParseEndpoint(path)
	switch {
	case served:
		op, want = complete, http.MethodPost
	case path == "/v1/models" || strings.HasPrefix(path, "/v1/models/"):
		op, want = listModels, http.MethodGet
	}
	if op != unknown && method == want {
		return op, nil
	}
	no := openaiNowhere(method, path)
	if op != unknown {
		no.mode, no.status, no.code = BadRequest, http.StatusMethodNotAllowed, "method_not_supported"
		no.message = fmt.Sprintf("Not allowed to %s on %s (HINT: use %s)", method, path, want)
	}
	return unknown, &no
}

// openaiNowhere is how a path is refused that nothing is at.
func openaiNowhere(method, path string) refusal {
	return refusal{mode: NotFound, status: http.StatusNotFound, kind: "invalid_request_error", message: fmt.Sprintf("Invalid URL (%s %s)", method, path)}
}

func openaiKey(h http.Header) string {
	key, found := strings.CutPrefix(h.Get("Authorization"), "Bearer ")
	if !found {
		return ""
	}
	return key
}

// openaiRequest has the fields that change what the simulator does. Content is
// a string or a list of parts; nil stands for a field that is missing.
type openaiRequest struct {
	Model    string `json:"model"`
	Messages []struct {
		Role    string `json:"role"`
		Content any    `json:"content"`
	} `json:"messages"`
	MaxTokens           *int `json:"max_tokens"`
	MaxCompletionTokens *int `json:"max_completion_tokens"`
	Stream              bool `json:"stream"`
	StreamOptions       struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

func openaiRead(_ string, body []byte) (question, *refusal) {
	var r openaiRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return question{}, openaiNotJSON(err)
	}
	limit := r.MaxCompletionTokens
	if limit == nil {
		limit = r.MaxTokens
	}
	switch {
	case r.Model == "":
		return question{}, openaiWrong("", "", "you must provide a model parameter")
	case r.Messages == nil:
		return question{}, openaiWrong("missing_required_parameter", "messages", "Missing required parameter: 'messages'.")
	case len(r.Messages) == 0:
		return question{}, openaiWrong("empty_array", "messages", "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.")
	case limit != nil && *limit < 1:
		return question{}, openaiWrong("integer_below_min_value", "max_completion_tokens", fmt.Sprintf("Invalid 'max_completion_tokens': integer below minimum value. Expected a value >= 1, but got %d instead.", *limit))
	}
	q := question{model: r.Model, stream: r.Stream, streamUsage: r.StreamOptions.IncludeUsage, promptTokens: 3}
	if limit != nil {
		q.maxTokens = min(*limit, 1<<30) // more is the same, and sums of it must not overflow
	}
	return q, openaiMessages(&q, r)
}

// openaiMessages takes the document from the last message of the user, and the
// instruction from the last one of the system. Every message costs 4 tokens
// beside its text.
func openaiMessages(q *question, r openaiRequest) *refusal {
	texts := make([]string, 0, 2*len(r.Messages))
	for i, message := range r.Messages {
		text := openaiText(message.Content)
		switch message.Role {
		case "user":
			q.document = text
		case "system", "developer":
			q.instruction = text
		case "assistant", "tool", "function":
		default:
			param := fmt.Sprintf("messages[%d].role", i)
			return openaiWrong("invalid_value", param, fmt.Sprintf("Invalid value: %q. Supported values are: 'system', 'developer', 'user', 'assistant', 'tool' and 'function'.", message.Role))
		}
		q.promptTokens += 4 + tokens(text)
		texts = append(texts, message.Role, text)
	}
	q.request = hashOf(texts...)
	return nil
}

func openaiText(content any) string {
	switch content := content.(type) {
	case string:
		return content
	case []any:
		var texts []string
		for _, part := range content {
			if fields, ok := part.(map[string]any); ok {
				if text, ok := fields["text"].(string); ok {
					texts = append(texts, text)
				}
			}
		}
		return strings.Join(texts, "\n\n")
	}
	return ""
}

func openaiWrong(code, param, message string) *refusal {
	return &refusal{mode: BadRequest, status: http.StatusBadRequest, kind: "invalid_request_error", code: code, param: param, message: message}
}

func openaiNotJSON(err error) *refusal {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field != "" {
		return openaiWrong("invalid_type", kind.Field, fmt.Sprintf("Invalid type for '%s': got %s instead.", kind.Field, kind.Value))
	}
	return openaiWrong("", "", "We could not parse the JSON body of your request. The API expects a JSON payload, but what was sent was not valid JSON.")
}

// openaiRefusals are the vendor's words for each mode. A text with %s mentions
// the model.
var openaiRefusals = map[Mode]refusal{
	RateLimit:   {status: 429, kind: "requests", code: "rate_limit_exceeded", message: "Rate limit reached for %s."},
	ServerError: {status: 500, kind: "server_error", message: "The server had an error while processing your request. Sorry about that!"},
	Unavailable: {status: 503, kind: "service_unavailable_error", code: "server_is_overloaded", message: "The server is currently overloaded. Please try again later."},
	Overloaded:  {status: 529, kind: "overloaded_error", code: "overloaded", message: "Overloaded."},
	Quota:       {status: 429, kind: "insufficient_quota", code: "credit_balance_exhausted", message: "You exceeded your current quota, please check your plan and billing details."},
	DailyQuota:  {status: 429, kind: "insufficient_quota", code: "organization_usage_limit_exceeded", message: "Your organization has reached its usage limit."},
	SpendLimit:  {status: 429, kind: "insufficient_quota", code: "organization_spend_limit_exceeded", message: "Your organization has reached its spend limit."},
	Unpaid:      {status: 402, kind: "insufficient_quota", code: "credit_balance_exhausted", message: "Insufficient balance."},
	Auth:        {status: 401, kind: "invalid_request_error", code: "invalid_api_key", message: "Incorrect API key provided."},
	Forbidden:   {status: 403, kind: "request_forbidden", code: "unsupported_country_region_territory", message: "Country, region, or territory not supported"},
	BadRequest:  {status: 400, kind: "invalid_request_error", code: "invalid_value", message: "The request was not understood."},
	NotFound:    {status: 404, kind: "invalid_request_error", code: "model_not_found", message: "The model `%s` does not exist or you do not have access to it."},
	Context:     {status: 400, kind: "invalid_request_error", code: "context_length_exceeded", param: "messages", message: "This model's maximum context length is exceeded."},
	TooLarge:    {status: 413, kind: "invalid_request_error", code: "request_too_large", message: "The request is too large."},
	GaveUp:      {status: 504, kind: "server_error", message: "The model did not answer in time."},
	Content:     {status: 400, kind: "invalid_request_error", code: "content_policy_violation", message: "The request was rejected by the content policy."},
}

func openaiRefuse(why reason) refusal {
	no := openaiRefusals[why.mode]
	no.mode = why.mode
	if strings.Contains(no.message, "%s") {
		no.message = fmt.Sprintf(no.message, why.model)
	}
	switch {
	case why.mode == Auth && !why.keyed:
		no.code, no.message = "", "You didn't provide an API key. Provide it in an Authorization header, as in Authorization: Bearer YOUR_KEY."
	case why.mode == Context && why.window > 0:
		no.message = fmt.Sprintf("This model's maximum context length is %d tokens. However, your messages resulted in %d tokens.", why.window, why.tokens)
	case why.excess.limit != "":
		no.message = fmt.Sprintf("Rate limit reached for %s on %s: Limit %d.", why.model, why.excess.limit, why.excess.most)
		if strings.HasPrefix(why.excess.limit, "tokens") {
			no.kind = "tokens"
		}
	}
	if why.mode == RateLimit && why.wait > 0 {
		no.message += fmt.Sprintf(" Please try again in %s.", why.wait.Round(time.Millisecond))
	}
	return no
}

func openaiBody(no refusal) []byte {
	return encode(map[string]any{"error": struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}{no.message, no.kind, orNull(no.param), orNull(no.code)}})
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func openaiHeader(h http.Header, e envelope) {
	h.Set("x-request-id", "req_"+e.call)
	h.Set("openai-version", "2020-10-01")
	h.Set("openai-organization", "simulated")
	h.Set("openai-processing-ms", strconv.FormatInt(e.took.Milliseconds(), 10))
	openaiLimit(h, "requests", e.requests)
	openaiLimit(h, "tokens", e.tokens)
	if e.wait <= 0 {
		return
	}
	if e.form != RetryMilliseconds {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.wait.Seconds()))))
	}
	if e.form != RetrySeconds {
		h.Set("retry-after-ms", strconv.FormatInt((e.wait+time.Millisecond-1).Milliseconds(), 10))
	}
}

func openaiLimit(h http.Header, of string, a allowed) {
	if a.limit == 0 {
		return
	}
	h.Set("x-ratelimit-limit-"+of, strconv.Itoa(a.limit))
	h.Set("x-ratelimit-remaining-"+of, strconv.Itoa(a.remaining))
	h.Set("x-ratelimit-reset-"+of, a.reset.Round(time.Millisecond).String())
}

type openaiModel struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func openaiModels(path string, names []string) ([]byte, *refusal) {
	tell := func(name string) openaiModel { return openaiModel{name, "model", 1_700_000_000, "simulator"} }
	only := strings.Trim(strings.TrimPrefix(path, "/v1/models"), "/")
	if only != "" && len(names) > 0 && !slices.Contains(names, only) {
		no := openaiRefuse(reason{mode: NotFound, model: only})
		return nil, &no
	}
	if only != "" {
		return encode(tell(only)), nil
	}
	list := make([]openaiModel, 0, len(names))
	for _, name := range names {
		list = append(list, tell(name))
	}
	return encode(map[string]any{"object": "list", "data": list}), nil
}

// encode writes JSON as the vendor does, with <, > and & as they are. The
// values are our own, so it cannot fail.
func encode(value any) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value)
	return out.Bytes()
}
