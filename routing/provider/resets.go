package provider

import (
	"net/http"
	"time"
)

// untilReset is how long it is until an allowance is whole again, by the clock of
// the provider itself: it says in its headers what time it is there. Zero: it does
// not.
func untilReset(header http.Header, next func(time.Time) time.Time) time.Duration {
	now, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0
	}
	return next(now.UTC()).Sub(now)
}

// newMonth is the beginning of the next month, in UTC.
func newMonth(now time.Time) time.Time {
	return time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
}

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
