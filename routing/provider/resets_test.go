package provider

import (
	"net/http"
	"testing"
	"time"
)

func TestUntilReset(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		date string
		next func(time.Time) time.Time
		want time.Duration
	}{
		"before midnight in UTC":      {"Sat, 28 Nov 2026 23:00:00 GMT", newGeminiDay, time.Hour},
		"before midnight of a summer": {"Sat, 28 Nov 2026 06:59:00 GMT", newGeminiDay, time.Minute},
		"before midnight of a winter": {"Sat, 28 Nov 2026 07:00:00 GMT", newGeminiDay, time.Hour},
		"at noon":                     {"Sat, 28 Nov 2026 12:00:00 GMT", newGeminiDay, 12 * time.Hour},
		"the last day of a month":     {"Mon, 30 Nov 2026 23:59:59 GMT", newMonth, time.Second},
		"the last day of a year":      {"Thu, 31 Dec 2026 12:00:00 GMT", newMonth, 12 * time.Hour},
		"the first moment of a month": {"Tue, 01 Dec 2026 00:00:00 GMT", newMonth, 31 * 24 * time.Hour},
		"no date":                     {"", newMonth, 0},
		"a date that cannot be read":  {"tomorrow", newMonth, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{}
			header.Set("Date", test.date)
			if got := untilReset(header, test.next); got != test.want {
				t.Errorf("it is %s until then, want %s", got, test.want)
			}
		})
	}
}
