package routing

import (
	"math"
	"sync"
)

const (
	calibrateBy   = 0.1 // the weight of the latest call …
	soberAfter    = 8   // … once there were so many: from then on a calibration is relied upon
	wildest       = 8   // times what was estimated, or a part of it: else it was not tokens that were counted
	surprise      = 2   // times what was expected, or a part of it, that one call can make believe
	tooFewTokens  = 32  // of a prompt, to tell anything: what is put around it counts as much
	calibratedFor = 8   // times the size of the prompts that it learned from: of larger ones it knows nothing
)

// A calibration learns by how much the estimates for a target are wrong: prompts
// are counted by a vocabulary that may not be its model's, and answers are as long
// as they like. Large prompts have the say, by the square of their size: so what a
// provider adds to each, which makes much of a small one, is not taken for a part
// of it. The zero value corrects nothing. Safe for concurrent use.
type calibration struct {
	mu sync.Mutex

	calls     int     // that were learned from
	estimates float64 // Σ estimated², of late
	uses      float64 // Σ estimated × used
	misses    float64 // Σ estimated² × how far off what was expected was
	sizes     float64 // Σ estimated³

	outputs int     // answers that were learned from
	output  float64 // tokens of an answer
}

// An estimate is what the tokens of a prompt come to at a target.
type estimate struct {
	tokens int
	miss   float64 // how far off such ones are, as a part of it, on average
	calls  int     // that say so; zero: nobody knows
	off    float64 // how far off what was counted may be, as a part of it: of a long text, samples were
}

// relied tells whether enough calls agree.
func (e estimate) relied() bool { return e.calls >= soberAfter }

// input corrects what was counted of a prompt. What was missing from smaller ones
// grows no further than it was there: a provider may add it to each, of whatever
// size. What was too much is taken off in proportion.
func (c *calibration) input(counted int) estimate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == 0 {
		return estimate{tokens: counted}
	}
	is, factor, size := float64(counted), c.uses/c.estimates, c.sizes/c.estimates
	corrected := is * factor
	if factor > 1 {
		corrected = min(corrected, is+(factor-1)*size)
	}
	e := estimate{tokens: int(math.Round(corrected))}
	if is <= calibratedFor*size {
		e.miss, e.calls = c.misses/c.estimates, c.calls
	}
	return e
}

// learnInput hears what a prompt used that was estimated, before it was corrected.
func (c *calibration) learnInput(estimated, used int) {
	was, is := float64(estimated), float64(used)
	if estimated < tooFewTokens || is > wildest*was || is*wildest < was {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	miss := 0.0
	if c.calls > 0 {
		expected := was * c.uses / c.estimates
		is = min(max(is, expected/surprise), expected*surprise)
		miss = math.Abs(is/expected - 1)
	}
	keep, weight := 1-weightAfter(c.calls), was*was
	c.calls++
	c.estimates = keep*c.estimates + weight
	c.uses = keep*c.uses + was*is
	c.misses = keep*c.misses + weight*miss
	c.sizes = keep*c.sizes + weight*was
}

// weightAfter is that of the next call after so many.
func weightAfter(calls int) float64 {
	if calls == 0 {
		return 1
	}
	return calibrateBy
}

// due tells whether a prompt is to be counted only to learn from it: the first
// ones, and then one now and then.
func (c *calibration) due() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls < soberAfter || c.outputs%learnFromOneOf == 0
}

// learnFromOneOf is how many prompts go by for one that is counted to learn.
const learnFromOneOf = 256

// answer is how long an answer is expected to be, in tokens: guess, until one came.
func (c *calibration) answer(guess int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.outputs == 0 {
		return guess
	}
	return int(math.Round(c.output))
}

// learnAnswer hears how long an answer was.
func (c *calibration) learnAnswer(tokens int) {
	if tokens < 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	is := min(float64(tokens), wildest*max(c.output, expectedOutput))
	weight := weightAfter(c.outputs)
	c.outputs++
	c.output += weight * (is - c.output)
}
