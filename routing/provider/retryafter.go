package provider

import (
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tidegate/jobs"
)

// maxWait caps what a provider may ask for: a month covers every real quota,
// and a nonsense value must not park a target for ever.
const maxWait = 31 * 24 * time.Hour

// retryAfter is how long the provider asked to be left alone: the first of its
// hints that is above zero, the most exact first. X-Should-Retry is not read:
// it says whether to retry, which is not the provider's to decide, and not when.
//
//   - Retry-After-Ms
//   - Retry-After: seconds, whole or not, or an HTTP date
//   - the message: "Please try again in 1m2.5s"
//   - X-Ratelimit-Reset-Requests and -Tokens, of what is used up
func retryAfter(header http.Header, class jobs.Class, text string, now func() time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(strings.TrimSpace(header.Get("Retry-After-Ms")), 64); err == nil {
		if wait := bounded(ms / 1000); wait > 0 {
			return wait
		}
	}
	if wait := afterHeader(header, now); wait > 0 {
		return wait
	}
	switch class {
	case jobs.Rate, jobs.DailyQuota, jobs.Overload, jobs.Transient:
	default:
		return 0 // a text with a time in it means something else
	}
	if wait := afterText(text); wait > 0 || class != jobs.Rate {
		return wait
	}
	return max(afterReset(header, "Requests", now), afterReset(header, "Tokens", now))
}

func afterHeader(header http.Header, now func() time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if wait, ok := secondsUntil(value, header, now); ok {
		return wait
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return until(date, header, now)
}

// until is how long it is to a date, by the provider's own clock if it shows it: ours
// may differ.
func until(date time.Time, header http.Header, now func() time.Time) time.Duration {
	sent, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		sent = now()
	}
	return min(max(date.Sub(sent), 0), maxWait)
}

// secondsUntil reads what some send where seconds belong: the time itself, in seconds
// or milliseconds since 1970. Taken for a wait it would be decades.
func secondsUntil(value string, header http.Header, now func() time.Time) (time.Duration, bool) {
	switch n := wholeNumber(value); {
	case n >= 1e9 && n < 1e11:
		return until(time.Unix(n, 0), header, now), true
	case n >= 1e12 && n < 1e14:
		return until(time.UnixMilli(n), header, now), true
	}
	return seconds(value)
}

// afterReset reads when a limit is whole again; only one that is used up counts,
// since every answer carries all of them. Some say -1 of what they do not count.
func afterReset(header http.Header, what string, now func() time.Time) time.Duration {
	left, err := strconv.ParseFloat(header.Get("X-Ratelimit-Remaining-"+what), 64)
	if err != nil || left != 0 {
		return 0
	}
	wait, _ := secondsUntil(header.Get("X-Ratelimit-Reset-"+what), header, now)
	return wait
}

// seconds reads "1.5", "6m0s" or "12ms".
func seconds(value string) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if number, err := strconv.ParseFloat(value, 64); err == nil {
		return bounded(number), true
	}
	if wait, err := time.ParseDuration(value); err == nil {
		return min(max(wait, 0), maxWait), true
	}
	return 0, false
}

// bounded converts seconds; what is negative or no number is zero.
func bounded(seconds float64) time.Duration {
	if math.IsNaN(seconds) || math.IsInf(seconds, 0) || seconds <= 0 {
		return 0
	}
	if seconds >= maxWait.Seconds() {
		return maxWait
	}
	return time.Duration(math.Round(seconds*1e6)) * time.Microsecond
}

var (
	waitWords = []string{"try again", "retry", "wait"}
	waitText  = regexp.MustCompile(`^(?: your request)?(?: again)?(?: in| after| for)?:? ((?:\d+(?:\.\d+)? ?[a-z]+(?:,? (?:and )?)?)+)`)
	waitPart  = regexp.MustCompile(`(\d+(?:\.\d+)?) ?([a-z]+)`)
)

// units are the words for seconds, as far as providers use them.
var units = map[string]float64{
	"ms": 0.001, "millisecond": 0.001, "milliseconds": 0.001,
	"s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1,
	"m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60,
	"h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600,
	"d": 86400, "day": 86400, "days": 86400,
}

// afterText finds a wait in a message for people, as in "Please retry in
// 10h17m5.7s".
func afterText(text string) time.Duration {
	text = strings.ToLower(text[:min(len(text), maxCleaned)])
	for _, words := range waitWords {
		for _, rest, found := strings.Cut(text, words); found; _, rest, found = strings.Cut(rest, words) {
			if told := waitText.FindStringSubmatch(rest); told != nil {
				return sumUp(told[1])
			}
		}
	}
	return 0
}

// sumUp adds the parts of a wait, as in "1 minute and 5 seconds".
func sumUp(told string) time.Duration {
	sum := 0.0
	for _, part := range waitPart.FindAllStringSubmatch(told, -1) {
		unit, known := units[part[2]]
		if !known {
			break
		}
		number, _ := strconv.ParseFloat(part[1], 64)
		sum += number * unit
	}
	return bounded(sum)
}
