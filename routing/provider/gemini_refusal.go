package provider

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"tidegate/jobs"
)

// geminiFault is an error body.
type geminiFault struct {
	Error struct {
		Code    loose `json:"code"`
		Status  loose `json:"status"`
		Message loose `json:"message"`
		Details []struct {
			Reason     string `json:"reason"`     // of ErrorInfo
			RetryDelay string `json:"retryDelay"` // of RetryInfo
			Violations []struct {
				QuotaID string `json:"quotaId"`
			} `json:"violations"` // of QuotaFailure
		} `json:"details"`
	} `json:"error"`
}

func explainGemini(got response) refusal {
	body := bytes.Trim(trimKeepAlive(got.body), "[]") // a list of one, where it was to be a stream
	var fault geminiFault
	_ = json.Unmarshal(body, &fault) // a member of another kind is left empty
	why := refusal{status: got.status, kind: string(fault.Error.Status), text: string(fault.Error.Message)}
	if why.kind == "" && why.text == "" {
		return explainOpenAI(got) // of a proxy, or one who is only compatible
	}
	why.status = statusInside(got.status, string(fault.Error.Code))
	for _, detail := range fault.Error.Details {
		if detail.Reason != "" {
			why.code = detail.Reason
		}
		for _, violation := range detail.Violations {
			if why.code == "" || strings.Contains(violation.QuotaID, "PerDay") {
				why.code = violation.QuotaID
			}
		}
		if wait, err := time.ParseDuration(detail.RetryDelay); err == nil && wait > 0 {
			why.wait = min(wait, maxWait)
		}
	}
	if strings.Contains(why.code, "PerDay") {
		why.class, why.resetsIn = jobs.DailyQuota, untilReset(got.header, newGeminiDay)
	}
	return why
}

// geminiRules is the table of its refusals: see openAIRules. A quota of a day is
// known by its id, and is not here.
var geminiRules = slices.Concat([]rule{
	// whoever sends the URL of a file that is not ours must not close the key
	{class: jobs.BadRequest, status: span{403, 404}, texts: []string{"access the file"}},
	{class: jobs.Quota, status: span{400, 429}, texts: []string{"prepayment credits", "spend cap", "billing account", "billing is disabled"}},
	{class: jobs.Auth, words: []string{"api_key_invalid", "api_key_service_blocked", "unauthenticated", "permission_denied", "not_found"}},
	{class: jobs.Auth, status: span{400, 400}, texts: []string{"api key not valid", "user location is not supported", "free tier is not available"}},
	{class: jobs.Rate, status: span{429, 429}},
	{class: jobs.Overload, words: []string{"unavailable"}},
	{class: jobs.Timeout, words: []string{"deadline_exceeded"}},
	{class: jobs.Transient, words: []string{"internal", "cancelled", "aborted", "unknown"}},
	{class: jobs.Context, status: span{400, 400}, texts: []string{"exceeds the maximum number of tokens", "input token count"}},
}, openAIRules)

// geminiMidnights are the hours, in UTC, at which a day of Gemini may begin: at
// midnight in California, in summer or in winter, as its documents say, or at
// midnight in UTC, as it was seen. A hope that fails costs one call.
var geminiMidnights = []int{0, 7, 8}

func newGeminiDay(now time.Time) time.Time {
	today := now.Truncate(24 * time.Hour)
	for _, hour := range geminiMidnights {
		if at := today.Add(time.Duration(hour) * time.Hour); at.After(now) {
			return at
		}
	}
	return today.Add(24 * time.Hour)
}
