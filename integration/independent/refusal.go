package main

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	"tidegate/jobs"
)

// A refusal is one that the mock is told to make, in the words of its vendor, and
// the class that it should have.
type refusal struct {
	dialect    string
	status     int
	kind, code string // in gemini, kind is the status of the error
	message    string
	retryAfter int // seconds; zero: the mock itself says 1 beside every 429, else nothing
	class      jobs.Class
	scripted   bool // questions meet it in their round
}

// String is how it is shown.
func (r refusal) String() string {
	return fmt.Sprintf("%d %s: %.40s", r.status, cmp.Or(r.code, r.kind), r.message)
}

// wait is what the provider asks for.
func (r refusal) wait() time.Duration {
	if r.status == http.StatusTooManyRequests && r.retryAfter == 0 {
		return time.Second
	}
	return time.Duration(r.retryAfter) * time.Second
}

// response is the refusal as a fixture has it.
func (r refusal) response() object {
	fault := object{"message": r.message, "type": r.kind}
	if r.code != "" {
		fault["code"] = r.code
	}
	said := object{"error": fault, "status": r.status}
	if r.retryAfter > 0 {
		said["retryAfter"] = r.retryAfter
	}
	return said
}

// refusals are what vendors send when they refuse. What would end a question, or
// open a circuit for a minute, is met by the client alone.
var refusals = []refusal{
	{dialect: "openai", status: 429, kind: "requests", code: "rate_limit_exceeded", message: "Rate limit reached for requests.", retryAfter: 7, class: jobs.Rate},
	{dialect: "openai", status: 429, kind: "requests", code: "slow_down", message: "The rate of requests grows too fast.", class: jobs.Rate},
	{dialect: "openai", status: 429, kind: "insufficient_quota", code: "credit_balance_exhausted", message: "You exceeded your current quota.", class: jobs.Quota},
	{dialect: "openai", status: 429, kind: "insufficient_quota", code: "project_spend_limit_exceeded", message: "The project reached its limit.", class: jobs.Quota},
	{dialect: "openai", status: 503, kind: "service_unavailable_error", code: "server_is_overloaded", message: "The server is overloaded.", class: jobs.Overload, scripted: true},
	{dialect: "openai", status: 500, kind: "server_error", message: "The server had an error.", class: jobs.Transient, scripted: true},
	{dialect: "openai", status: 502, kind: "server_error", message: "Bad gateway.", class: jobs.Transient, scripted: true},
	{dialect: "openai", status: 504, kind: "server_error", message: "Gateway timeout.", class: jobs.Timeout, scripted: true},
	{dialect: "openai", status: 400, kind: "invalid_request_error", code: "context_length_exceeded", message: "This model's maximum context length is 8 tokens.", class: jobs.Context},
	{dialect: "openai", status: 400, kind: "invalid_request_error", code: "content_policy_violation", message: "Rejected by the safety system.", class: jobs.Content},
	{dialect: "openai", status: 401, kind: "invalid_request_error", code: "invalid_api_key", message: "Incorrect API key provided.", class: jobs.Auth},
	{dialect: "openai", status: 403, kind: "request_forbidden", code: "unsupported_country_region_territory", message: "Country not supported.", class: jobs.Auth},
	{dialect: "openai", status: 404, kind: "invalid_request_error", code: "model_not_found", message: "The model does not exist.", class: jobs.Auth},
	{dialect: "openai", status: 400, kind: "invalid_request_error", code: "invalid_type", message: "Invalid type for temperature.", class: jobs.BadRequest},

	{dialect: "anthropic", status: 429, kind: "rate_limit_error", message: "Too many requests.", retryAfter: 7, class: jobs.Rate},
	{dialect: "anthropic", status: 429, kind: "rate_limit_error", message: "Too many requests for now.", class: jobs.Rate, scripted: true},
	{dialect: "anthropic", status: 402, kind: "billing_error", message: "There is a problem with your payment.", class: jobs.Quota},
	{dialect: "anthropic", status: 400, kind: "invalid_request_error", message: "Your credit balance is too low to access the API.", class: jobs.Quota},
	{dialect: "anthropic", status: 529, kind: "overloaded_error", message: "Overloaded", class: jobs.Overload, scripted: true},
	{dialect: "anthropic", status: 500, kind: "api_error", message: "Internal server error", class: jobs.Transient, scripted: true},
	{dialect: "anthropic", status: 504, kind: "timeout_error", message: "The request timed out.", class: jobs.Timeout, scripted: true},
	{dialect: "anthropic", status: 400, kind: "invalid_request_error", message: "prompt is too long: 200001 tokens > 200000 maximum", class: jobs.Context},
	{dialect: "anthropic", status: 413, kind: "request_too_large", message: "The request is too large.", class: jobs.Context},
	{dialect: "anthropic", status: 400, kind: "invalid_request_error", message: "Output blocked by content filtering policy", class: jobs.Content},
	{dialect: "anthropic", status: 401, kind: "authentication_error", message: "invalid x-api-key", class: jobs.Auth},
	{dialect: "anthropic", status: 403, kind: "permission_error", message: "Your key may not use this model.", class: jobs.Auth},
	{dialect: "anthropic", status: 404, kind: "not_found_error", message: "model: none", class: jobs.Auth},
	{dialect: "anthropic", status: 400, kind: "invalid_request_error", message: "messages: at least one message is required", class: jobs.BadRequest},

	{dialect: "gemini", status: 429, kind: "RESOURCE_EXHAUSTED", message: "You exceeded your quota of requests per minute.", retryAfter: 7, class: jobs.Rate},
	{dialect: "gemini", status: 429, kind: "RESOURCE_EXHAUSTED", message: "Resource has been exhausted.", class: jobs.Rate, scripted: true},
	{dialect: "gemini", status: 429, kind: "RESOURCE_EXHAUSTED", message: "Your prepayment credits are depleted.", class: jobs.Quota},
	{dialect: "gemini", status: 503, kind: "UNAVAILABLE", message: "The model is overloaded.", class: jobs.Overload, scripted: true},
	{dialect: "gemini", status: 500, kind: "INTERNAL", message: "An internal error has occurred.", class: jobs.Transient, scripted: true},
	{dialect: "gemini", status: 504, kind: "DEADLINE_EXCEEDED", message: "The deadline expired.", class: jobs.Timeout, scripted: true},
	{dialect: "gemini", status: 400, kind: "INVALID_ARGUMENT", message: "The input token count (9) exceeds the maximum number of tokens allowed (8).", class: jobs.Context},
	{dialect: "gemini", status: 400, kind: "INVALID_ARGUMENT", message: "API key not valid. Please pass a valid API key.", class: jobs.Auth},
	{dialect: "gemini", status: 403, kind: "PERMISSION_DENIED", message: "The caller has no permission.", class: jobs.Auth},
	{dialect: "gemini", status: 404, kind: "NOT_FOUND", message: "models/none is not found.", class: jobs.Auth},
	{dialect: "gemini", status: 400, kind: "INVALID_ARGUMENT", message: "Invalid value at contents.", class: jobs.BadRequest},
}

// scriptedFor lists those that questions of a route meet at their first target. In
// the chain, what another model would take goes on to it.
func scriptedFor(route, first string) (all []*refusal) {
	for i := range refusals {
		r := &refusals[i]
		elsewhere := route == chainRoute && (r.class == jobs.Context || r.class == jobs.Content)
		if r.dialect == first && (r.scripted || elsewhere) {
			all = append(all, r)
		}
	}
	return all
}
