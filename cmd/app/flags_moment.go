package app

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"tidegate/jobs"
)

// A moment is a flag's point in time: so long ago, as 24h or 7d, or a time of its own, as
// 2026-11-29 or 2026-11-29T12:00:00Z. The zero value was not given.
type moment struct {
	time.Time
	said string
}

// momentVar gives a command a flag of such a time.
func momentVar(flags *pflag.FlagSet, into *moment, name, usage string) {
	flags.Var(into, name, usage+": how long ago, as in 24h or 7d, or when, as in 2026-11-29 or 2026-11-29T12:00:00Z (UTC)")
}

// Set reads it.
func (m *moment) Set(text string) error {
	m.said = text
	if ago, err := jobs.ParseDuration(text); err == nil {
		if ago < 0 {
			return fmt.Errorf("%q has not been yet; use how long ago it was, as in 24h", text)
		}
		m.Time = time.Now().Add(-ago)
		return nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.Parse(form, text); err == nil {
			m.Time = at
			return nil
		}
	}
	return fmt.Errorf("%q is neither how long ago, as in 24h or 7d, nor a time, as in 2026-11-29T12:00:00Z", text)
}

// String is what was said.
func (m *moment) String() string { return m.said }

// Type names it in the help.
func (*moment) Type() string { return "time" }

// checkMoments refuses a time that ends before it begins.
func checkMoments(since, until *moment) error {
	if !since.IsZero() && !until.IsZero() && !since.Before(until.Time) {
		return usagef("--until: %s is not after --since %s; the time would be empty", until.said, since.said)
	}
	return nil
}
