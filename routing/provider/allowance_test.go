package provider

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

func TestOpenAIAllowance(t *testing.T) {
	t.Parallel()
	type h = map[string]string
	for _, c := range []struct {
		name   string
		header h
		want   jobs.Allowance
	}{
		{"nothing", nil, jobs.Allowance{}},
		{"both", h{"X-Ratelimit-Limit-Requests": "30000", "X-Ratelimit-Limit-Tokens": "2000000"}, jobs.Allowance{RequestsPerMinute: 30000, TokensPerMinute: 2_000_000}},
		{"one", h{"X-Ratelimit-Limit-Tokens": " 500 "}, jobs.Allowance{TokensPerMinute: 500}},
		{"zero and below say nothing", h{"X-Ratelimit-Limit-Requests": "0", "X-Ratelimit-Limit-Tokens": "-1"}, jobs.Allowance{}},
		{"no number says nothing", h{"X-Ratelimit-Limit-Requests": "many", "X-Ratelimit-Limit-Tokens": "1e3"}, jobs.Allowance{}},
		{"absurd says nothing", h{"X-Ratelimit-Limit-Requests": "9000000000000000000", "X-Ratelimit-Limit-Tokens": "99999999999999999999"}, jobs.Allowance{}},
		{"per minute by its reset", h{
			"X-Ratelimit-Limit-Requests": "60", "X-Ratelimit-Remaining-Requests": "59", "X-Ratelimit-Reset-Requests": "1s",
		}, jobs.Allowance{RequestsPerMinute: 60}},
		{"a bucket that is soon full", h{
			"X-Ratelimit-Limit-Requests": "30000", "X-Ratelimit-Remaining-Requests": "499", "X-Ratelimit-Reset-Requests": "2ms",
		}, jobs.Allowance{RequestsPerMinute: 30000}},
		{"a reset that was rounded up", h{
			"X-Ratelimit-Limit-Tokens": "2000000", "X-Ratelimit-Remaining-Tokens": "1999999", "X-Ratelimit-Reset-Tokens": "1ms",
		}, jobs.Allowance{TokensPerMinute: 2_000_000}},
		{"per day by its reset", h{
			"X-Ratelimit-Limit-Requests": "14400", "X-Ratelimit-Remaining-Requests": "14370", "X-Ratelimit-Reset-Requests": "2m59.56s",
			"X-Ratelimit-Limit-Tokens": "18000", "X-Ratelimit-Remaining-Tokens": "17997", "X-Ratelimit-Reset-Tokens": "7.66ms",
		}, jobs.Allowance{TokensPerMinute: 18000}},
		{"Mistral's", h{"X-Ratelimit-Limit-Req-Minute": "720", "X-Ratelimit-Limit-Tokens-Minute": "5000000"}, jobs.Allowance{RequestsPerMinute: 720, TokensPerMinute: 5_000_000}},
		{"Mistral's of nothing", h{"X-Ratelimit-Limit-Req-Minute": "0", "X-Ratelimit-Limit-Tokens-Minute": "0"}, jobs.Allowance{}},
		{"a reset without what is left", h{"X-Ratelimit-Limit-Requests": "60", "X-Ratelimit-Reset-Requests": "24h"}, jobs.Allowance{RequestsPerMinute: 60}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{}
			for name, value := range c.header {
				header.Set(name, value)
			}
			if diff := cmp.Diff(c.want, openAIAllowance(header)); diff != "" {
				t.Errorf("allowance (-want +got):\n%s", diff)
			}
		})
	}
}

// What is announced comes with answers, refusals and answers that were cut.
func TestAllowanceIsReadFromEveryResponse(t *testing.T) {
	t.Parallel()
	want := jobs.Allowance{RequestsPerMinute: 30000, TokensPerMinute: 2_000_000}
	for name, write := range map[string]func(http.ResponseWriter){
		"answer":  func(w http.ResponseWriter) { _, _ = w.Write([]byte(answer)) },
		"refusal": func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) },
		"garbled": func(w http.ResponseWriter) { _, _ = w.Write([]byte("{}")) },
		"cut": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(answer))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("x-ratelimit-limit-requests", "30000")
				w.Header().Set("x-ratelimit-limit-tokens", "2000000")
				write(w)
			})
			got, failed := complete(t, newClient(t, Config{}), at(url))
			var told jobs.Allowance
			if got != nil {
				told = got.Allowance
			} else {
				told = failed.Allowance
			}
			if told != want || (got != nil) != (name == "answer") {
				t.Errorf("got %+v of %v and %v, want %+v", told, got, failed, want)
			}
		})
	}
}
