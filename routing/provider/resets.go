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
