package provider

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"tidegate/jobs"
)

// azureVersion is the version of its API that is asked for where the target names
// none: the last one that was declared stable.
const azureVersion = "2024-10-21"

// azure is OpenAI's dialect at another address, with some refusals of its own. The
// target's model is the name of its deployment.
var _ = register("azure", dialect{
	path:      azurePath,
	headers:   azureHeaders,
	requestID: "Apim-Request-Id",
	encode:    openAI.encode,
	decode:    decodeOpenAI,
	explain:   explainOpenAI,
	rules:     azureRules,
	allowance: openAIAllowance,
	stream:    openAIStream,
	also: openAIOperations(func(end string) func(*jobs.Target) string {
		return func(t *jobs.Target) string { return azureAt(t, end) }
	}),
})

// azurePath goes by the base URL: at one that ends in /v1 Azure is called as OpenAI
// is, without a version; else the deployment is part of the path.
func azurePath(target *jobs.Target) string { return azureAt(target, "chat/completions") }

// azureAt is the path of an operation, by its end. Responses are no deployment's, and are
// served at a base URL in OpenAI's manner alone.
func azureAt(target *jobs.Target, last string) string {
	base, _, _ := strings.Cut(target.BaseURL, "?")
	base = strings.TrimRight(base, "/")
	versioned := last + "?api-version=" + azureVersion
	switch {
	case strings.HasSuffix(base, "/v1"):
		return last
	case last == "responses":
		return ""
	case strings.Contains(base, "/deployments/"):
		return versioned
	case strings.HasSuffix(base, "/openai"):
		return "deployments/" + url.PathEscape(target.Model) + "/" + versioned
	default:
		return "openai/deployments/" + url.PathEscape(target.Model) + "/" + versioned
	}
}

func azureHeaders(target *jobs.Target) http.Header {
	header := http.Header{}
	if target.Key != "" {
		header.Set("Api-Key", target.Key.Reveal())
	}
	return header
}

// azureRules is the table of its refusals: see openAIRules. The choices that are
// not obvious:
//
//   - a 429 "experiencing high demand" is OVERLOAD: it is not this account that asks
//     too much.
//   - "out of call volume quota" is a gateway's, and says when it comes back.
//   - a 408 "Timeout" is TIMEOUT: the model had the request.
//
// An answer beside which it says content_filter_error is an answer all the same: it
// is the filter that failed, and nothing was filtered.
var azureRules = slices.Concat([]rule{
	{class: jobs.DailyQuota, status: span{403, 429}, texts: []string{"out of call volume quota", "out of bandwidth quota"}},
	{class: jobs.Quota, status: span{403, 429}, texts: []string{"exceeded your assigned quota"}},
	{class: jobs.Overload, status: span{429, 429}, texts: []string{"experiencing high demand"}},
	{class: jobs.Overload, words: []string{"nocapacity"}},
	{class: jobs.Timeout, words: []string{"timeout"}},
	{class: jobs.Content, words: []string{"responsibleaipolicyviolation"}},
	{class: jobs.Auth, words: []string{"deploymentnotfound", "permissiondenied", "accessdenied", "operationnotsupported"}},
	{class: jobs.Auth, status: span{400, 400}, texts: []string{"api version not supported"}},
}, openAIRules)
