package routing

import (
	"cmp"

	"tidegate/jobs"
)

const (
	countedFirst = 500 // requests that an Estimator counts, …
	countedLater = 20  // … and then one of so many
)

// An Estimator guesses what many requests will use, in tokens. It counts the first
// ones and then one now and then, and takes the others for such as these. The zero
// value has seen none. Not safe for concurrent use.
type Estimator struct {
	requests     int
	tokens, text float64 // of those that were counted
}

// Expected guesses what a request will use, whoever answers: a limit that it sets
// to its answer is taken as what it wants.
func (e *Estimator) Expected(r *jobs.Request) jobs.Usage {
	e.requests++
	c := newCounted(r)
	if e.text > 0 && e.requests > countedFirst && e.requests%countedLater != 0 {
		return c.expected(int(float64(c.text)*e.tokens/e.text) + c.frame())
	}
	input := c.input(r, o200k)
	e.text += float64(c.text)
	e.tokens += float64(input - c.frame())
	return c.expected(input)
}

// expected is what is used beside a prompt of so many tokens, and that.
func (c *counted) expected(input int) jobs.Usage {
	return jobs.Usage{Input: input + perMedium*c.media, Output: c.answers(cmp.Or(c.output, expectedOutput))}
}
