package provider

import (
	"fmt"
	"net/http"
	"testing"
)

// What a model cannot do is no fault of the request; what nobody could do is.
func TestCapabilities(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		dialect, code, says string
		elsewhere           bool
	}{
		{"openai", "unsupported_parameter", "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", true},
		{"openai", "unsupported_value", "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.", true},
		{"openai", "invalid_value", "max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you provided 100000.", true},
		{"openai", "", "Invalid content type. image_url is only supported by certain models.", true},
		{"openai", "invalid_request_error", "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", true},
		{"anthropic", "", "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens for claude-haiku-4-5", true},
		{"anthropic", "", "messages.0.content: Input should be a valid list", false},
		{"gemini", "", "Unable to submit request because it has a maxOutputTokens value of 100000 but the supported range is from 1 (inclusive) to 65537 (exclusive).", true},
		{"gemini", "", "Invalid value at 'contents[0].role'", false},
		{"openai", "invalid_value", "Invalid value: 'sytem'. Supported values are: 'system', 'assistant', 'user'.", false},
		{"openai", "", "messages: there is none", false},
	} {
		url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintf(w, map[string]string{
				"openai":    `{"error":{"message":%q,"type":"invalid_request_error","code":%q}}`,
				"anthropic": `{"type":"error","error":{"type":"invalid_request_error","message":%q},"request_id":%q}`,
				"gemini":    `{"error":{"code":400,"message":%q,"status":"INVALID_ARGUMENT","details":[{"x":%q}]}}`,
			}[test.dialect], test.says, test.code)
		})
		target := at(url)
		target.Dialect = test.dialect
		_, failed := complete(t, newClient(t, Config{}), target)
		if failed == nil || failed.Class != "BAD_REQUEST" || failed.Elsewhere != test.elsewhere {
			t.Errorf("%s %q: %+v", test.dialect, test.says, failed)
		}
	}
}
