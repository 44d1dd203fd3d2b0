package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// gemini is the generateContent method of the Gemini API.
var gemini = dialect{
	base:      "/v1beta",
	operation: geminiOperation,
	key:       geminiKey,
	read:      geminiRead,
	refuse:    geminiRefuse,
	body:      geminiBody,
	header:    func(http.Header, envelope) {}, // it tells of no limits, and asks to wait in the body
	answer:    geminiAnswer,
	models:    geminiModels,
}

const (
	geminiModelsAt = "/v1beta/models"
	geminiWhole    = ":generateContent"
	geminiStreamed = ":streamGenerateContent"
)

func geminiOperation(method, path string) (operation, *refusal) {
	op, want := unknown, ""
	switch {
	case strings.HasPrefix(path, geminiModelsAt+"/") && (strings.HasSuffix(path, geminiWhole) || strings.HasSuffix(path, geminiStreamed)):
		op, want = complete, http.MethodPost
	case path == geminiModelsAt || strings.HasPrefix(path, geminiModelsAt+"/"):
		op, want = listModels, http.MethodGet
	}
	if op != unknown && method == want {
		return op, nil
	}
	return unknown, &refusal{mode: NotFound, status: http.StatusNotFound, kind: "NOT_FOUND", message: "The requested URL was not found."}
}

func geminiKey(h http.Header) string { return h.Get("X-Goog-Api-Key") }

// geminiRequest has the fields that change what the simulator does.
type geminiRequest struct {
	SystemInstruction geminiContent   `json:"systemInstruction"`
	Contents          []geminiContent `json:"contents"`
	GenerationConfig  struct {
		MaxOutputTokens int `json:"maxOutputTokens"`
	} `json:"generationConfig"`
}

type geminiContent struct {
	Role  string       `json:"role,omitempty"`
	Parts []geminiPart `json:"parts,omitempty"`
}

type geminiPart struct {
	Text string `json:"text"`
}

func (c geminiContent) text() string {
	texts := make([]string, len(c.Parts))
	for i, p := range c.Parts {
		texts[i] = p.Text
	}
	return strings.Join(texts, "\n\n")
}

func geminiRead(path string, body []byte) (question, *refusal) {
	name, method, _ := strings.Cut(strings.TrimPrefix(path, geminiModelsAt+"/"), ":")
	var r geminiRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return question{}, geminiWrong("Invalid JSON payload received.")
	}
	if len(r.Contents) == 0 {
		return question{}, geminiWrong("* GenerateContentRequest.contents: contents is not specified")
	}
	q := question{
		model: name, stream: ":"+method == geminiStreamed, streamUsage: true, promptTokens: 3,
		maxTokens: min(max(r.GenerationConfig.MaxOutputTokens, 0), 1<<30), instruction: r.SystemInstruction.text(),
	}
	texts := []string{"system", q.instruction}
	for _, content := range r.Contents {
		text := content.text()
		switch content.Role {
		case "user", "":
			q.document = text
		case "model":
		default:
			return question{}, geminiWrong("Please use a valid role: user, model.")
		}
		q.promptTokens += 4 + tokens(text)
		texts = append(texts, content.Role, text)
	}
	if q.instruction != "" {
		q.promptTokens += tokens(q.instruction)
	}
	q.request = hashOf(texts...)
	return q, nil
}

func geminiWrong(message string) *refusal {
	return &refusal{mode: BadRequest, status: http.StatusBadRequest, kind: "INVALID_ARGUMENT", message: message}
}

// geminiRefusals are the vendor's words for each mode. A text with %s mentions the
// model. The code of a quota is its id, that of others their reason.
var geminiRefusals = map[Mode]refusal{
	RateLimit:   {status: 429, kind: "RESOURCE_EXHAUSTED", code: "GenerateRequestsPerMinutePerProjectPerModel", message: "You exceeded your current quota, please check your plan and billing details."},
	ServerError: {status: 500, kind: "INTERNAL", message: "An internal error has occurred. Please retry or report."},
	Unavailable: {status: 503, kind: "UNAVAILABLE", message: "The model is overloaded. Please try again later."},
	Overloaded:  {status: 503, kind: "UNAVAILABLE", message: "The model is overloaded. Please try again later."},
	Quota:       {status: 429, kind: "RESOURCE_EXHAUSTED", message: "Your prepayment credits are depleted. Please manage your project and billing."},
	DailyQuota:  {status: 429, kind: "RESOURCE_EXHAUSTED", code: "GenerateRequestsPerDayPerProjectPerModel-FreeTier", message: "You exceeded your current quota, please check your plan and billing details."},
	SpendLimit:  {status: 429, kind: "RESOURCE_EXHAUSTED", message: "Your project has exceeded its monthly spend cap."},
	Unpaid:      {status: 402, kind: "RESOURCE_EXHAUSTED", message: "Billing is disabled for this project."},
	Forbidden:   {status: 403, kind: "PERMISSION_DENIED", code: "API_KEY_SERVICE_BLOCKED", message: "Requests to this API are blocked."},
	Auth:        {status: 400, kind: "INVALID_ARGUMENT", code: "API_KEY_INVALID", message: "API key not valid. Please pass a valid API key."},
	BadRequest:  {status: 400, kind: "INVALID_ARGUMENT", message: "The request was not understood."},
	NotFound:    {status: 404, kind: "NOT_FOUND", message: "models/%s is not found for API version v1beta, or is not supported for generateContent."},
	Context:     {status: 400, kind: "INVALID_ARGUMENT", message: "The input token count exceeds the maximum number of tokens allowed."},
	TooLarge:    {status: 413, kind: "INVALID_ARGUMENT", message: "Request payload size exceeds the limit."},
	GaveUp:      {status: 504, kind: "DEADLINE_EXCEEDED", message: "The service was unable to finish processing within the deadline."},
	Content:     {status: 200, kind: "PROHIBITED_CONTENT"},
}

func geminiRefuse(why reason) refusal {
	no := geminiRefusals[why.mode]
	no.mode, no.wait = why.mode, why.wait
	if strings.Contains(no.message, "%s") {
		no.message = fmt.Sprintf(no.message, why.model)
	}
	switch {
	case why.mode == Auth && !why.keyed:
		no.status, no.kind, no.code = http.StatusForbidden, "PERMISSION_DENIED", ""
		no.message = "Method doesn't allow unregistered callers. Please use API Key or other form of API consumer identity to call this API."
	case why.mode == Context && why.window > 0:
		no.message = fmt.Sprintf("The input token count (%d) exceeds the maximum number of tokens allowed (%d).", why.tokens, why.window)
	}
	if why.mode == RateLimit && why.wait > 0 {
		no.message += fmt.Sprintf(" Please retry in %s.", why.wait.Round(time.Millisecond))
	}
	return no
}

const googleTypes = "type.googleapis.com/google.rpc."

// geminiBody is an error body, or, of what the model will not answer, an answer
// without a candidate.
func geminiBody(no refusal) []byte {
	if no.mode == Content {
		return encode(map[string]any{"promptFeedback": map[string]string{"blockReason": no.kind}, "usageMetadata": map[string]int{}})
	}
	var details []map[string]any
	switch {
	case no.code == "":
	case no.mode == RateLimit || no.mode == DailyQuota:
		details = append(details, map[string]any{"@type": googleTypes + "QuotaFailure", "violations": []map[string]string{{"quotaId": no.code}}})
	default:
		details = append(details, map[string]any{"@type": googleTypes + "ErrorInfo", "reason": no.code, "domain": "googleapis.com"})
	}
	if no.wait > 0 {
		details = append(details, map[string]any{"@type": googleTypes + "RetryInfo", "retryDelay": fmt.Sprintf("%gs", no.wait.Round(time.Millisecond).Seconds())})
	}
	return encode(map[string]any{"error": struct {
		Code    int              `json:"code"`
		Message string           `json:"message"`
		Status  string           `json:"status"`
		Details []map[string]any `json:"details,omitempty"`
	}{no.status, no.message, no.kind, details}})
}

func geminiModels(path string, names []string) ([]byte, *refusal) {
	tell := func(name string) map[string]any {
		return map[string]any{"name": "models/" + name, "displayName": name, "supportedGenerationMethods": []string{"generateContent"}}
	}
	only := strings.Trim(strings.TrimPrefix(path, geminiModelsAt), "/")
	if only != "" && len(names) > 0 && !slices.Contains(names, only) {
		no := geminiRefuse(reason{mode: NotFound, model: only})
		return nil, &no
	}
	if only != "" {
		return encode(tell(only)), nil
	}
	list := make([]map[string]any, 0, len(names))
	for _, name := range names {
		list = append(list, tell(name))
	}
	return encode(map[string]any{"models": list}), nil
}
