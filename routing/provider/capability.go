package provider

import (
	"slices"
	"strings"

	"tidegate/jobs"
)

// What vendors say when a request is well, and their model is not made for it: an
// older name of a parameter, a temperature that a reasoning model does not take, a
// longer answer than it can give, an image where it cannot see.
var (
	capabilityWords = []string{"unsupported_parameter", "unsupported_value"}
	capabilityTexts = []string{
		"not supported with this model", "not supported by this model", "not supported for this model", "does not support", "doesn't support",
		"only supported by certain models", "unsupported parameter", "unsupported value", "is not enabled for",
		// of the longest answer: OpenAI, Anthropic, DeepSeek, Mistral and vLLM, Gemini
		"max_tokens is too large", "supports at most", "maximum allowed number of output tokens", "valid range of max_tokens",
		"max_tokens must be", "max_completion_tokens must be", "max_output_tokens must be", "supported range is from",
		"cannot both be specified for this model",
	}
)

// elsewhere tells whether a refusal is about what the target's model can do: another
// target may well take the request. If it is wrong it costs a call, which nobody
// bills, at each target of the chain; if it were never so, a chain would be as able
// as the least of its models.
func elsewhere(class jobs.Class, why refusal) bool {
	if class != jobs.BadRequest {
		return false
	}
	text := strings.ToLower(why.text)
	return slices.Contains(capabilityWords, strings.ToLower(why.code)) ||
		slices.ContainsFunc(capabilityTexts, func(part string) bool { return strings.Contains(text, part) })
}
