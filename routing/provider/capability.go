package provider

import (
	"fmt"
	"net/http"
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
		// of the endpoint
		"not allowed to generate embeddings", "and not in v1/", "not supported in the v1/", "operation does not work with the specified model",
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

// lacking makes a refusal that says that an endpoint is not there one of this endpoint
// alone, where the target serves others: these are called as before, and a request of
// this one goes to another target. A target that serves one endpoint is configured
// wrong, as it is where a page answers in place of an API, or where its model is not
// known.
func lacking(target *jobs.Target, of jobs.Endpoint, why refusal, err *jobs.Error) *jobs.Error {
	gone, code := false, strings.ToLower(why.code)
	switch err.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		gone = err.Class == jobs.Auth
	case http.StatusNotImplemented:
		gone = err.Class == jobs.Transient
	case http.StatusBadRequest:
		gone = err.Class == jobs.Auth && code == "operationnotsupported" // Azure's
	}
	named := slices.Contains(targetWords, code) || slices.Contains(targetWords, strings.ToLower(why.kind)) || code == "deploymentnotfound"
	if !gone || named || why.page || len(target.Endpoints.List()) < 2 {
		return err
	}
	err.Class, err.Code, err.Elsewhere = jobs.BadRequest, jobs.CodeNotServed, true
	err.Message = fmt.Sprintf("the target does not serve %s, although its endpoints say so: %s", of, err.Message)
	return err
}
