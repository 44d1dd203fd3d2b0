package config

import (
	"time"

	"tidegate/jobs"
)

// Retention is how long what has ended is kept; zero: for ever. Files have a time
// of their own, see Batches.
type Retention struct {
	Requests time.Duration `yaml:"requests"` // with their results and batches, from their end on
	Attempts time.Duration `yaml:"attempts"` // calls, by whole days
}

const (
	// leastRequests is how long a repeated create is known for: it must find what it made.
	leastRequests = 24 * time.Hour
	// leastAttempts is above what a worker that starts reads of them, in whole days.
	leastAttempts = 2 * 24 * time.Hour
)

func (c *Retention) setDefaults() {
	c.Requests, c.Attempts = jobs.DefaultKeep, jobs.DefaultKeep
}

// checkRetention notes what is wrong with how long things are kept.
func (r *reader) checkRetention(c *Retention) {
	for _, kept := range []struct {
		field string
		keep  time.Duration
		least time.Duration
	}{{"retention.requests", c.Requests, leastRequests}, {"retention.attempts", c.Attempts, leastAttempts}} {
		if kept.keep != 0 && kept.keep < kept.least {
			r.problem(kept.field, "must be at least %dd, as in 30d, or 0 for ever", int(kept.least/(24*time.Hour)))
		}
	}
}

// Kept is how long what has ended is kept.
func (c *Config) Kept() jobs.Retention { return jobs.Retention(c.Retention) }
