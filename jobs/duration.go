package jobs

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxDays keeps a duration in days far from the end of its type: 100 years.
const maxDays = 36_500

// ParseDuration reads a duration as people write one for background work: what
// time.ParseDuration takes ("90s", "1h30m"), with whole days before it ("7d",
// "1d12h"). A day is 24 hours.
func ParseDuration(text string) (time.Duration, error) {
	days, rest, found := strings.Cut(text, "d")
	if !found {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration: write it like 30s, 24h or 7d", text)
		}
		return d, nil
	}
	count, err := strconv.ParseUint(days, 10, 32)
	if err != nil || count > maxDays {
		return 0, fmt.Errorf("%q is not a duration: write whole days like 7d or 1d12h, at most %dd", text, maxDays)
	}
	sum := time.Duration(count) * 24 * time.Hour
	if rest == "" {
		return sum, nil
	}
	part, err := time.ParseDuration(rest)
	if err != nil || part < 0 || part > maxDays*24*time.Hour {
		return 0, fmt.Errorf("%q is not a duration: write it like 30s, 24h or 1d12h", text)
	}
	return sum + part, nil
}
