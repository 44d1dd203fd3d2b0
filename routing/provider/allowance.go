package provider

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tidegate/jobs"
)

const (
	// longestMinute is the longest time in which a limit may come back that is
	// taken for one per minute. Some providers send their limit per day in the
	// same header.
	longestMinute = 10 * time.Minute
	// resetGrain is how exact a reset is: it is told in whole milliseconds.
	resetGrain = time.Millisecond
	// maxAllowance is above every real limit, so that a nonsense value does not
	// overflow what is reckoned with it.
	maxAllowance = 1 << 40
)

// openAIAllowance reads the limits that stand beside every answer and refusal in
// OpenAI's headers, or in Mistral's.
func openAIAllowance(header http.Header) jobs.Allowance {
	return jobs.Allowance{
		RequestsPerMinute: cmp.Or(perMinute(header, "Requests"), perMinute(header, "Req-Minute")),
		TokensPerMinute:   cmp.Or(perMinute(header, "Tokens"), perMinute(header, "Tokens-Minute")),
	}
}

// givesNothing tells whether a limit of zero is announced, as Mistral does beside
// its 429s where the account's plan does not have the model: no wait will help.
func givesNothing(header http.Header) bool {
	return wholeNumber(header.Get("X-Ratelimit-Limit-Req-Minute")) == 0 || wholeNumber(header.Get("X-Ratelimit-Limit-Tokens-Minute")) == 0
}

// perMinute is one announced limit; zero when there is none, or none that could
// be meant, or when it is one per day.
func perMinute(header http.Header, what string) int {
	limit := wholeNumber(header.Get("X-Ratelimit-Limit-" + what))
	if limit <= 0 || limit > maxAllowance || comesBackIn(header, what, limit) > longestMinute {
		return 0
	}
	return int(limit)
}

// comesBackIn is how long the whole of a limit takes to come back, reckoned from
// what is missing of it and when that will be there; zero when this is not told.
func comesBackIn(header http.Header, what string, limit int64) time.Duration {
	left := header.Get("X-Ratelimit-Remaining-" + what)
	reset, told := seconds(header.Get("X-Ratelimit-Reset-" + what))
	used := limit - max(wholeNumber(left), 0)
	if !told || left == "" || used <= 0 || reset <= resetGrain {
		return 0
	}
	return bounded((reset - resetGrain).Seconds() * float64(limit) / float64(used))
}

// wholeNumber reads a number of requests or tokens; -1 for what is none.
func wholeNumber(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return -1
	}
	return n
}
