package provider

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"tidegate/jobs"
)

// A rule is one row of a dialect's table: a refusal that meets all of its
// conditions has its class. The first rule that fits decides.
type rule struct {
	class  jobs.Class
	status span     // zero: any
	words  []string // the error's code or type is one of these; nil: any
	texts  []string // the message holds one of these, in lower case; nil: any
	page   bool     // only a web page
}

// A span is a range of statuses, both ends in it.
type span struct{ from, to int }

// openAIRules is the table of refusals of OpenAI and of those who speak its
// dialect. What a code says goes before what the status says, because one
// status carries several classes. The choices that are not obvious:
//
//   - 504 is TIMEOUT, not TRANSIENT: behind the gateway the call may have gone
//     on, and been billed. So is 524. A 408 is not: there the request itself
//     did not arrive.
//   - 404, 405 and 410 are AUTH, "the key or the target may not do this": the
//     model or the address of the target is wrong, not the request, which must
//     neither end refused nor be sent again and again. So are the statuses that
//     complain of how HTTP is spoken, and 451.
//   - of all statuses 400 and 422 alone end a request; what no API has a meaning
//     for is of something in between, and TRANSIENT.
//   - a 429 that says the request alone is over the limit per minute is
//     CONTEXT: waiting will not help it, another target will.
//   - a 429 beside a limit of zero is AUTH: the account's plan does not have the
//     model, and no wait will help.
//   - 413 is CONTEXT for the same reason.
//   - a 403 that forbids logprobs is BAD_REQUEST: another request may do without. So is
//     one that forbids embeddings: another target's model makes them.
//   - a web page with a status that would be the request's fault is TRANSIENT:
//     those are not the words of an API, and a request must not end by them.
//   - a 3xx is TRANSIENT: the base URL is wrong, the request is not to blame.
var openAIRules = []rule{
	// money and quota: never again at once
	{class: jobs.Quota, words: quotaWords},
	{class: jobs.Quota, status: span{402, 402}},

	// rate limit
	{class: jobs.Context, status: span{429, 429}, texts: []string{"request too large"}},
	{class: jobs.Rate, words: []string{"slow_down"}},
	{class: jobs.Rate, status: span{429, 429}},

	// overloaded
	{class: jobs.Overload, status: span{500, 599}, words: overloadWords},
	{class: jobs.Overload, status: span{503, 503}},
	{class: jobs.Overload, status: span{529, 529}},

	// too late: it may have been billed
	{class: jobs.Timeout, status: span{504, 504}},
	{class: jobs.Timeout, status: span{524, 524}},
	// other trouble of theirs
	{class: jobs.Transient, status: span{500, 599}},

	// context length
	{class: jobs.Context, status: span{400, 499}, words: contextWords},
	{class: jobs.Context, status: span{400, 422}, texts: contextTexts},
	{class: jobs.Context, status: span{413, 413}},

	// content filter
	{class: jobs.Content, status: span{400, 499}, words: contentWords},
	{class: jobs.Content, status: span{400, 403}, texts: []string{"content exists risk", "content management policy", "your input was flagged"}},

	// the key or the target may not do this
	{class: jobs.Auth, status: span{400, 499}, words: targetWords},
	{class: jobs.Auth, status: span{400, 422}, texts: []string{"model not exist", "invalid model", "is not a valid model", "organization must be verified"}},
	{class: jobs.BadRequest, status: span{403, 403}, texts: []string{"not allowed to request logprobs", "not allowed to generate embeddings"}},
	{class: jobs.Auth, status: span{401, 401}},
	{class: jobs.Auth, status: span{403, 406}},
	{class: jobs.Auth, status: span{410, 418}}, // but for 413, above
	{class: jobs.Auth, status: span{426, 428}},
	{class: jobs.Auth, status: span{431, 431}},
	{class: jobs.Auth, status: span{451, 451}},

	// the way there, not the request
	{class: jobs.Transient, status: span{300, 399}},
	{class: jobs.Transient, status: span{400, 499}, page: true},
	{class: jobs.Transient, status: span{401, 421}},
	{class: jobs.Transient, status: span{423, 499}},

	// the request itself
	{class: jobs.BadRequest, status: span{400, 422}},

	// an error inside a 2xx, which has nothing but its words
	{class: jobs.Rate, words: []string{"rate_limit_exceeded", "rate_limit_error", "too_many_requests", "requests", "tokens"}},
	{class: jobs.Overload, words: overloadWords},
	{class: jobs.Context, words: contextWords},
	{class: jobs.Content, words: contentWords},
	{class: jobs.Auth, words: targetWords},
	{class: jobs.Transient, words: []string{"server_error", "internal_error", "internal_server_error", "api_error"}},
	{class: jobs.Context, texts: contextTexts},
	{class: jobs.BadRequest, words: []string{"invalid_request_error"}},
	{class: jobs.Garbled},
}

var (
	quotaWords = []string{
		"insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded",
		"project_spend_limit_exceeded", "organization_usage_limit_exceeded", "billing_hard_limit_reached", "billing_not_active",
	}
	overloadWords = []string{"server_is_overloaded", "service_unavailable_error", "overloaded_error", "overloaded"}
	contextWords  = []string{"context_length_exceeded", "request_too_large"}
	contextTexts  = []string{
		"maximum context length", "context_length_exceeded", "prompt is too long", "exceeds the context window",
		"exceed context limit", "input is too long", "exceeds the available context size",
	}
	contentWords = []string{"content_policy_violation", "content_filter"}
	targetWords  = []string{
		"invalid_api_key", "authentication_error", "permission_error", "model_not_found", "invalid_model",
		"unsupported_country_region_territory", "account_deactivated",
	}
)

// decide walks down a table, and tells whether any row fits.
func decide(rules []rule, why refusal) (class jobs.Class, decided bool) {
	code, kind, text := strings.ToLower(why.code), strings.ToLower(why.kind), strings.ToLower(why.text)
	for _, row := range rules {
		if row.fits(why, code, kind, text) {
			return row.class, true
		}
	}
	return "", false
}

func (r rule) fits(why refusal, code, kind, text string) bool {
	if r.status != (span{}) && (why.status < r.status.from || why.status > r.status.to) || r.page && !why.page {
		return false
	}
	if r.words != nil && !slices.Contains(r.words, code) && !slices.Contains(r.words, kind) {
		return false
	}
	return r.texts == nil || slices.ContainsFunc(r.texts, func(part string) bool {
		return strings.Contains(text, part) && (!r.class.Opens() || !quotes(why.asked, part))
	})
}

// quotes tells whether a request holds a text, in lower case. What a
// provider says in the words of the request it may only have quoted, as in "invalid
// value: …": whoever wrote the request could close the target for all others.
func quotes(asked []byte, part string) bool {
	decoder := json.NewDecoder(bytes.NewReader(asked))
	for {
		token, err := decoder.Token()
		if err != nil {
			return false
		}
		if text, ok := token.(string); ok && strings.Contains(strings.ToLower(text), part) {
			return true
		}
	}
}
