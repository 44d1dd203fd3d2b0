package provider

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tidegate/jobs"
)

// asks are bodies of each endpoint.
var asks = map[jobs.Endpoint]string{
	jobs.EndpointChat: prompt, jobs.EndpointEmbeddings: `{"model":"any","input":["a","b"]}`,
	jobs.EndpointResponses: `{"model":"any","input":"hi"}`, jobs.EndpointCompletions: `{"model":"any","prompt":"hi"}`,
}

// vectorsOf is an answer with embeddings, which are written as they are given.
func vectorsOf(embeddings ...string) string {
	for i, e := range embeddings {
		embeddings[i] = fmt.Sprintf(`{"object":"embedding","index":%d,"embedding":%s}`, i, e)
	}
	return `{"object":"list","data":[` + strings.Join(embeddings, ",") + `],"model":"e-2","usage":{"prompt_tokens":8,"total_tokens":8}}`
}

func replyOf(status, output, more string) string {
	return `{"id":"resp_1","object":"response","status":"` + status + `","error":null,"model":"m-2","output":[` + output + `],` +
		`"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":4},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":123}` + more + `}`
}

const (
	thought = `{"id":"rs_1","type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]}`
	saidHi  = `{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"Hi.","annotations":[]}]}`
)

// Each answer is read by what its endpoint answers, and what is none is GARBLED.
func TestAnswersOfEachEndpoint(t *testing.T) {
	t.Parallel()
	const vectors, replies, texts = jobs.EndpointEmbeddings, jobs.EndpointResponses, jobs.EndpointCompletions
	text := func(choice string) string {
		return `{"id":"cmpl-1","object":"text_completion","model":"t-2","choices":[` + choice + `],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}}`
	}
	used, reply := jobs.Usage{Input: 8}, jobs.Usage{Input: 36, CachedInput: 4, Output: 87, Reasoning: 5}
	for name, c := range map[string]struct {
		of     jobs.Endpoint
		answer string
		finish string // of an answer
		class  jobs.Class
		says   string // of a refusal
		usage  jobs.Usage
	}{
		"vectors":            {vectors, vectorsOf("[0.1,-2e-3]", "[1]"), "", jobs.OK, "", used},
		"vectors in base64":  {vectors, vectorsOf(`"AACAPw=="`, `"AACAPw=="`), "", jobs.OK, "", used},
		"total tokens alone": {vectors, strings.Replace(vectorsOf("[1]", "[1]"), `"prompt_tokens":8,`, "", 1), "", jobs.OK, "", used},
		"a vector too few":   {vectors, vectorsOf("[1]"), "", jobs.Garbled, "1 embeddings for 2 inputs", used},
		"a vector too many":  {vectors, vectorsOf("[1]", "[1]", "[1]"), "", jobs.Garbled, "3 embeddings for 2 inputs", used},
		"an empty vector":    {vectors, vectorsOf("[1]", "[]"), "", jobs.Garbled, "1 of 2 embeddings are no vectors", used},
		"no number":          {vectors, vectorsOf("[1]", `[null]`), "", jobs.Garbled, "1 of 2 embeddings are no vectors", used},
		"no embedding":       {vectors, `{"object":"list","data":[]}`, "", jobs.Garbled, "has no embedding", jobs.Usage{}},
		"no data":            {vectors, answer, "", jobs.Garbled, "it has no data", jobs.Usage{Input: 12}},
		"half of them":       {vectors, vectorsOf("[1]", "[1]")[:90], "", jobs.Garbled, "not JSON at byte", jobs.Usage{}},
		"nothing":            {vectors, "", "", jobs.Garbled, "the answer is empty", jobs.Usage{}},
		"an error inside":    {vectors, `{"error":{"message":"Overloaded","type":"overloaded_error"}}`, "", jobs.Overload, "Overloaded", jobs.Usage{}},

		"a response":             {replies, replyOf("completed", thought+","+saidHi, ""), "stop", jobs.OK, "", reply},
		"a call":                 {replies, replyOf("completed", `{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}`, ""), "tool_calls", jobs.OK, "", reply},
		"a refusal":              {replies, replyOf("completed", `{"type":"message","content":[{"type":"refusal","refusal":"No."}]}`, ""), "stop", jobs.OK, "", reply},
		"cut by its limit":       {replies, replyOf("incomplete", thought, `,"incomplete_details":{"reason":"max_output_tokens"}`), "length", jobs.OK, "", reply},
		"filtered":               {replies, replyOf("incomplete", "", `,"incomplete_details":{"reason":"content_filter"}`), "content_filter", jobs.OK, "", reply},
		"incomplete, and why":    {replies, replyOf("incomplete", saidHi, `,"incomplete_details":{"reason":"tired"}`), "tired", jobs.OK, "", reply},
		"incomplete of nothing":  {replies, replyOf("incomplete", "", `,"incomplete_details":{"reason":"tired"}`), "", jobs.Garbled, "says nothing", reply},
		"nothing but a thought":  {replies, replyOf("completed", thought, ""), "", jobs.Garbled, "says nothing", reply},
		"an empty text":          {replies, replyOf("completed", strings.Replace(saidHi, "Hi.", "", 1), ""), "", jobs.Garbled, "says nothing", reply},
		"not over":               {replies, replyOf("in_progress", saidHi, ""), "", jobs.Garbled, `its status is "in_progress"`, reply},
		"a failure":              {replies, strings.Replace(replyOf("failed", "", ""), `"error":null`, `"error":{"code":"rate_limit_exceeded","message":"Slowly."}`, 1), "", jobs.Rate, "Slowly.", reply},
		"a failure of theirs":    {replies, strings.Replace(replyOf("failed", "", ""), `"error":null`, `"error":{"code":"server_error","message":"Oh."}`, 1), "", jobs.Transient, "Oh.", reply},
		"a failure without word": {replies, replyOf("failed", "", ""), "", jobs.Garbled, `its status is "failed"`, reply},
		"a chat":                 {replies, answer, "", jobs.Garbled, "it has no output", jobs.Usage{}},

		"a text":               {texts, text(`{"text":"Hi.","index":0,"finish_reason":"stop"}`), "stop", jobs.OK, "", jobs.Usage{Input: 5, Output: 3}},
		"two texts":            {texts, text(`{"text":"","finish_reason":"length"},{"text":"Hi."}`), "length", jobs.OK, "", jobs.Usage{Input: 5, Output: 3}},
		"ended by a stop word": {texts, text(`{"text":"","finish_reason":"stop"}`), "stop", jobs.OK, "", jobs.Usage{Input: 5, Output: 3}},
		"nothing at all":       {texts, `{"choices":[{"text":"","finish_reason":"stop"}]}`, "", jobs.Garbled, "says nothing", jobs.Usage{}},
		"no choices":           {texts, `{"choices":[]}`, "", jobs.Garbled, "no completion: it has no choices", jobs.Usage{}},
		"a chat's choice":      {texts, answer, "", jobs.Garbled, "its first choice has no text", jobs.Usage{Input: 12, Output: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, seen := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, c.answer) })
			target := at(url)
			target.Endpoints = jobs.EndpointSetOf(c.of)
			got, failed := newClient(t, Config{}).Complete(t.Context(), target, c.of, []byte(asks[c.of]))
			switch {
			case c.class != jobs.OK:
				if failed == nil || failed.Class != c.class || !strings.Contains(failed.Message, c.says) || failed.Usage != c.usage {
					t.Errorf("got %+v, %+v", got, failed)
				}
			case failed != nil:
				t.Fatal(failed)
			default:
				if string(got.Body) != c.answer || got.FinishReason != c.finish || got.Usage != c.usage || !strings.HasSuffix(got.Model, "-2") {
					t.Errorf("got %+v", got)
				}
			}
			if n := seen.requests.Load(); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// Where each endpoint is called, by dialect and base URL; empty: it is not served.
func TestWhereEndpointsAreCalled(t *testing.T) {
	t.Parallel()
	const versioned = "?api-version=" + azureVersion
	for _, c := range []struct {
		dialect, base string
		want          [4]string // in the order of jobs.Endpoints
	}{
		{"openai", "/v1", [4]string{"/v1/chat/completions", "/v1/embeddings", "/v1/responses", "/v1/completions"}},
		{"azure", "/openai/v1", [4]string{"/openai/v1/chat/completions", "/openai/v1/embeddings", "/openai/v1/responses", "/openai/v1/completions"}},
		{"azure", "", [4]string{
			"/openai/deployments/m/chat/completions" + versioned, "/openai/deployments/m/embeddings" + versioned, "", "/openai/deployments/m/completions" + versioned,
		}},
		{"anthropic", "/v1", [4]string{"/v1/messages", "", "", ""}},
		{"gemini", "/v1beta", [4]string{"/v1beta/models/m:generateContent", "", "", ""}},
	} {
		for i, of := range jobs.Endpoints() {
			var got, body string
			url, seen := serve(t, func(w http.ResponseWriter, r *http.Request) {
				got = r.URL.String()
				sent, _ := io.ReadAll(r.Body)
				body = string(sent)
			})
			target := at(url + c.base)
			target.Dialect, target.Model = c.dialect, "m"
			served := Serves(target).Has(of)
			_, failed := newClient(t, Config{}).Complete(t.Context(), target, of, []byte(asks[of]))
			switch want := c.want[i]; {
			case served != (want != ""):
				t.Errorf("%s at %s serves %s: %v", c.dialect, c.base, of, served)
			case want == "" && c.dialect != "azure" && (seen.requests.Load() != 0 || failed == nil || !strings.HasPrefix(failed.Message, "endpoints: ")):
				t.Errorf("%s was called at %s: %v", c.dialect, of, failed)
			case want != "" && got != want:
				t.Errorf("%s was called at %s, want %s", c.dialect, got, want)
			case want != "" && of != jobs.EndpointChat && body != strings.Replace(asks[of], "any", "m", 1):
				t.Errorf("%s was sent %s", of, body)
			}
		}
	}
}

// One of all that a target serves streams: its chats.
func TestOtherEndpointsComeWhole(t *testing.T) {
	t.Parallel()
	var accept, body string
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		accept, body = r.Header.Get("Accept"), string(sent)
		_, _ = io.WriteString(w, vectorsOf("[1]", "[1]"))
	})
	target := at(url)
	target.Stream, target.Endpoints = true, jobs.EndpointSetOf(jobs.Endpoints()...)
	client := newClient(t, Config{})
	if _, failed := client.Complete(t.Context(), target, jobs.EndpointEmbeddings, []byte(asks[jobs.EndpointEmbeddings])); failed != nil {
		t.Fatal(failed)
	}
	if accept != "application/json" || strings.Contains(body, "stream") {
		t.Errorf("asked with %s for %s", body, accept)
	}
	_, _ = client.Complete(t.Context(), target, jobs.EndpointChat, []byte(prompt))
	if !strings.HasPrefix(accept, "text/event-stream") || !strings.Contains(body, `"stream":true`) {
		t.Errorf("a chat is asked with %s for %s", body, accept)
	}
	if len(client.endpoints) != 2 {
		t.Errorf("%d endpoints are kept", len(client.endpoints))
	}
	if client.Keep([]*jobs.Target{target}); len(client.endpoints) != 2 {
		t.Errorf("%d are kept of one that stays", len(client.endpoints))
	}
	if client.Keep(nil); len(client.endpoints) != 0 {
		t.Errorf("%d are kept of one that is gone", len(client.endpoints))
	}
}

// That an endpoint is not there is the endpoint's matter where a target has others, and
// else its configuration's. What names the model, or is no API's word, is the target's.
func TestEndpointsThatAreNotThere(t *testing.T) {
	t.Parallel()
	both := jobs.EndpointSetOf(jobs.EndpointChat, jobs.EndpointResponses)
	for name, c := range map[string]struct {
		dialect string
		serves  jobs.EndpointSet
		status  int
		body    string
		class   jobs.Class
		gone    bool // the endpoint alone
	}{
		"404":                    {"openai", both, 404, `{"error":{"message":"Invalid URL (POST /v1/responses)","type":"invalid_request_error","param":null,"code":null}}`, jobs.BadRequest, true},
		"404 of a framework":     {"openai", both, 404, `{"detail":"Not Found"}`, jobs.BadRequest, true},
		"405":                    {"openai", both, 405, `{"detail":"Method Not Allowed"}`, jobs.BadRequest, true},
		"501":                    {"openai", both, 501, `{"error":{"code":501,"message":"This server does not support it.","type":"not_supported_error"}}`, jobs.BadRequest, true},
		"404 of Azure":           {"azure", both, 404, `{"error":{"code":"404","message":"Resource not found"}}`, jobs.BadRequest, true},
		"400 of Azure":           {"azure", both, 400, `{"error":{"code":"OperationNotSupported","message":"The responses operation does not work with the specified model, gpt-35. Please choose different model and try again."}}`, jobs.BadRequest, true},
		"no deployment":          {"azure", both, 404, `{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}`, jobs.Auth, false},
		"no model":               {"openai", both, 404, `{"error":{"message":"The model does not exist","type":"invalid_request_error","code":"model_not_found"}}`, jobs.Auth, false},
		"a page":                 {"openai", both, 404, "<html><title>404 Not Found</title></html>", jobs.Auth, false},
		"one endpoint alone":     {"openai", jobs.EndpointSetOf(jobs.EndpointResponses), 404, `{"detail":"Not Found"}`, jobs.Auth, false},
		"one, and 501":           {"openai", jobs.EndpointSetOf(jobs.EndpointResponses), 501, `{"detail":"Not Implemented"}`, jobs.Transient, false},
		"503":                    {"openai", both, 503, `{"detail":"Not Found"}`, jobs.Overload, false},
		"410":                    {"openai", both, 410, `{"detail":"Gone"}`, jobs.Auth, false},
		"another model is meant": {"openai", both, 400, `{"error":{"message":"This model is only supported in v1/chat/completions and not in v1/responses.","type":"invalid_request_error"}}`, jobs.BadRequest, false},
		"no embeddings of it":    {"openai", both, 403, `{"error":{"message":"You are not allowed to generate embeddings from this model","type":"invalid_request_error"}}`, jobs.BadRequest, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			target := at(url + "/openai/v1")
			target.Dialect, target.Endpoints = c.dialect, c.serves
			_, failed := newClient(t, Config{}).Complete(t.Context(), target, jobs.EndpointResponses, []byte(asks[jobs.EndpointResponses]))
			if failed == nil || failed.Class != c.class || failed.Status != c.status || (failed.Code == jobs.CodeNotServed) != c.gone || failed.Elsewhere != (c.class == jobs.BadRequest) {
				t.Fatalf("got %+v", failed)
			}
			if c.gone && !strings.Contains(failed.Message, "does not serve /v1/responses, although its endpoints say so: ") {
				t.Errorf("it says %q", failed.Message)
			}
		})
	}
}

// Whatever comes, an endpoint reads it without a panic, to an answer or a refusal.
func FuzzDecodeOfEndpoints(f *testing.F) {
	addRecorded(f)
	for _, body := range []string{vectorsOf("[1]", `"x"`), vectorsOf("[[1]]"), replyOf("completed", saidHi, ""), replyOf("incomplete", thought, `,"incomplete_details":7`), `{"choices":[{"text":"x"}]}`, `{"output":[[],{"content":[{}]}]}`} {
		f.Add(200, []byte(body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		for name, d := range dialects {
			for of, operation := range d.also {
				before := slices.Clone(body)
				answer, why := operation.decode(response{status, http.Header{}, body})
				if (answer == nil) == (why == nil) || string(before) != string(body) {
					t.Fatalf("%s of %s: %v and %v, of %q now %q", of, name, answer, why, before, body)
				}
				if why != nil {
					checkRefused(t, name, d, response{status: status}, *why)
					continue
				}
				if u := answer.Usage; !json.Valid(answer.Body) || u.Input < 0 || u.Output < 0 || u.CachedInput < 0 || u.Reasoning < 0 {
					t.Fatalf("%s of %s: %+v of %q", of, name, answer, body)
				}
			}
		}
	})
}
