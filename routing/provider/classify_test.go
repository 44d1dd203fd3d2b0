package provider

import (
	"fmt"
	"testing"

	"tidegate/jobs"
)

// TestEveryStatusHasAClass walks every status of every dialect, with no body to
// help, and requires a class that does no harm: what is not the request's fault
// must not end the request, and trouble must never be taken for an answer.
func TestEveryStatusHasAClass(t *testing.T) {
	t.Parallel()
	for name, d := range dialects {
		for status := 300; status <= 599; status++ {
			class := d.classify(d.explain(response{status: status}))
			var allowed []jobs.Class
			switch {
			case status == 402:
				allowed = []jobs.Class{jobs.Quota}
			case status == 429:
				allowed = []jobs.Class{jobs.Rate}
			case status == 503 || status == 529:
				allowed = []jobs.Class{jobs.Overload}
			case status == 504 || status == 524:
				allowed = []jobs.Class{jobs.Timeout}
			case status >= 500 || status < 400 || status == 408 || status == 409 || status == 425:
				allowed = []jobs.Class{jobs.Transient}
			case status == 401 || status == 403 || status == 404:
				allowed = []jobs.Class{jobs.Auth}
			case status == 400 || status == 422:
				allowed = []jobs.Class{jobs.BadRequest}
			default: // a rare 4xx
				allowed = []jobs.Class{jobs.BadRequest, jobs.Transient, jobs.Auth, jobs.Context}
			}
			ok := false
			for _, a := range allowed {
				ok = ok || a == class
			}
			if !ok {
				t.Errorf("%s: status %d is %s, want one of %v", name, status, class, allowed)
			}
		}
	}
}

// TestPagesNeverEndARequest: a web page is a proxy's, whatever its status.
func TestPagesNeverEndARequest(t *testing.T) {
	t.Parallel()
	for name, d := range dialects {
		for status := 300; status <= 599; status++ {
			why := d.explain(response{status: status, body: []byte("\n<!DOCTYPE html><TITLE>Oh no</TITLE>")})
			if class := d.classify(why); class.Final() || class == jobs.OK {
				t.Errorf("%s: a page with status %d is %s", name, status, class)
			}
			if !why.page || why.text != "Oh no" {
				t.Errorf("%s: the page was read as %+v", name, why)
			}
		}
	}
}

// TestWordsBeforeStatus: one status carries several classes, and a code decides
// whatever the case of its letters and whether it is the type or the code.
func TestWordsBeforeStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status     int
		code, text string
		want       jobs.Class
	}{
		{429, "insufficient_quota", "", jobs.Quota},
		{429, "billing_hard_limit_reached", "", jobs.Quota},
		{403, "Insufficient_Quota", "", jobs.Quota},
		{429, "rate_limit_exceeded", "", jobs.Rate},
		{429, "slow_down", "", jobs.Rate},
		{503, "slow_down", "", jobs.Rate},
		{500, "server_is_overloaded", "", jobs.Overload},
		{400, "context_length_exceeded", "", jobs.Context},
		{413, "", "too big", jobs.Context},
		{400, "", "This model's Maximum Context Length is 8192 tokens.", jobs.Context},
		{400, "content_policy_violation", "", jobs.Content},
		{403, "content_filter", "", jobs.Content},
		{404, "model_not_found", "", jobs.Auth},
		{400, "model_not_found", "", jobs.Auth},
		{429, "", "Request too large for gpt-5 on tokens per min (TPM): Limit 1, Requested 2", jobs.Context},
		{429, "", "You exceeded your current quota", jobs.Rate}, // some say so of a rate
		{500, "", "maximum context length", jobs.Transient},
		{200, "unheard_of", "", jobs.Garbled},
		{200, "invalid_api_key", "", jobs.Auth},
	} {
		for _, why := range []refusal{{status: c.status, code: c.code, text: c.text}, {status: c.status, kind: c.code, text: c.text}} {
			if got := decide(openAIRules, why); got != c.want {
				t.Errorf("%+v: got %s, want %s", why, got, c.want)
			}
		}
	}
}

// TestRulesAreReachable finds a row that an earlier one hides completely, and
// a class that does not exist.
func TestRulesAreReachable(t *testing.T) {
	t.Parallel()
	for i, row := range openAIRules {
		if !row.class.Valid() {
			t.Errorf("row %d: class %q", i, row.class)
		}
		status := max(row.status.from, 200)
		reached := false
		for ; status <= max(row.status.to, 200) && !reached; status++ {
			for _, word := range append([]string{""}, row.words...) {
				for _, text := range append([]string{""}, row.texts...) {
					why := refusal{status: status, code: word, text: text, page: row.page}
					first := -1
					for j, other := range openAIRules {
						if other.fits(why, word, "", text) {
							first = j
							break
						}
					}
					reached = reached || first == i
				}
			}
		}
		if !reached {
			t.Errorf("row %d is never reached: %s", i, fmt.Sprintf("%+v", row))
		}
	}
}
