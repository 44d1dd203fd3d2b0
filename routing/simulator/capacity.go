package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// A Capacity is how many requests a second a provider can carry, and how that
// changes after it was last made well: when its fault ended, or else from the
// start of the script. What is over it is answered 429. The zero Capacity carries
// everything.
type Capacity struct {
	// PerSecond is what it carries when nothing is wrong, and what it announces;
	// zero: there is no bound. A second's worth may be used at once.
	PerSecond float64 `yaml:"per_second"`
	// Factor is what PerSecond is multiplied by, as in 0.6 for a provider that
	// came back smaller than it was; zero: 1.
	Factor float64 `yaml:"factor"`
	// ColdFrom is the share that it carries at first, in [0, 1]; it grows evenly
	// to the whole within ColdFor. Without ColdFor it is whole at once.
	ColdFrom float64       `yaml:"cold_from"`
	ColdFor  time.Duration `yaml:"cold_for"`
	// Melts answers 503 while more than twice the capacity is asked of it, and
	// each of those wastes what another call could have had.
	Melts bool `yaml:"melts"`
	// RelapseAfter is when it goes down again, with 503, for RelapseFor; without
	// RelapseFor it does not.
	RelapseAfter time.Duration `yaml:"relapse_after"`
	RelapseFor   time.Duration `yaml:"relapse_for"`
	// Announces sends PerSecond with every answer and refusal, in the headers
	// for limits, as the account's limit.
	Announces bool `yaml:"announces"`
	// RetryAfter is how the 429s say when to come back; "both" when empty.
	RetryAfter RetryForm `yaml:"retry_after"`
}

// A RetryForm is how a refusal says when to come back.
type RetryForm string

// The forms.
const (
	RetryBoth         RetryForm = "both"         // whole seconds, and milliseconds
	RetrySeconds      RetryForm = "seconds"      // Retry-After alone, in whole seconds
	RetryMilliseconds RetryForm = "milliseconds" // retry-after-ms alone
	RetryNone         RetryForm = "none"         // it does not say
)

// At is how many requests a second are carried that long after the provider was
// last made well: zero while it is down again, endless without a bound.
func (c Capacity) At(since time.Duration) float64 {
	switch {
	case c.PerSecond == 0:
		return math.Inf(1)
	case c.downAt(since):
		return 0
	}
	whole := c.PerSecond * cmp.Or(c.Factor, 1)
	if since >= c.ColdFor {
		return whole
	}
	return whole * (c.ColdFrom + (1-c.ColdFrom)*max(0, since.Seconds()/c.ColdFor.Seconds()))
}

// downAt tells whether the relapse is on.
func (c Capacity) downAt(since time.Duration) bool {
	return c.RelapseFor > 0 && since >= c.RelapseAfter && since < c.RelapseAfter+c.RelapseFor
}

// Validate says which field is wrong and what would be right, or nil.
func (c Capacity) Validate() error {
	for _, field := range []struct {
		name  string
		value float64
		most  float64
	}{{"per_second", c.PerSecond, 1e9}, {"factor", c.Factor, 1e3}, {"cold_from", c.ColdFrom, 1}} {
		if !(field.value >= 0 && field.value <= field.most) {
			return fmt.Errorf("%s: %v is not from 0 to %v", field.name, field.value, field.most)
		}
	}
	for _, field := range []struct {
		name  string
		value time.Duration
	}{{"cold_for", c.ColdFor}, {"relapse_after", c.RelapseAfter}, {"relapse_for", c.RelapseFor}} {
		if field.value < 0 {
			return fmt.Errorf("%s: %s is below zero; use a duration such as 30s, or leave it out", field.name, field.value)
		}
	}
	forms := []RetryForm{RetryBoth, RetrySeconds, RetryMilliseconds, RetryNone}
	if c.RetryAfter != "" && !slices.Contains(forms, c.RetryAfter) {
		return fmt.Errorf("retry_after: %q is not known; use both, seconds, milliseconds or none", c.RetryAfter)
	}
	if c.PerSecond == 0 && c != (Capacity{}) {
		return errors.New("per_second: is missing; nothing else of a capacity counts without it")
	}
	return nil
}
