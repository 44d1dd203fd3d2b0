package jobs

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	right := map[string]time.Duration{
		"30s":    30 * time.Second,
		"1h30m":  90 * time.Minute,
		"0":      0,
		"-5s":    -5 * time.Second,
		"7d":     7 * day,
		"0d":     0,
		"1d12h":  36 * time.Hour,
		"36500d": maxDays * day,
	}
	for text, want := range right {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "7", "-1d", "1.5d", "1d-2h", "1d1d", "36501d", "99999999999d", "1d99999999h", "NaNd", "1 d", "soon"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v; want an error", text, got)
		}
	}
}
