package routing

import "sync"

const (
	calibrateBy = 0.1 // the weight of the latest call
	leastFactor = 0.1 // an estimate is wrong by no more than this …
	mostFactor  = 10  // … or this: else it was not tokens that were counted
)

// A calibration learns by how much the estimates of a target's tokens are wrong:
// bytes are counted by four to a token, which is prose in English, and answers
// are as long as they like. The zero value corrects nothing. Safe for concurrent
// use.
type calibration struct {
	mu     sync.Mutex
	factor float64 // of an estimate; zero: 1
}

// correct is what an estimate comes to.
func (c *calibration) correct(tokens int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.factor == 0 {
		return tokens
	}
	return int(float64(tokens) * c.factor)
}

// learn hears what a call used that was estimated, before it was corrected.
func (c *calibration) learn(estimated, used int) {
	if estimated <= 0 || used <= 0 {
		return
	}
	factor := min(max(float64(used)/float64(estimated), leastFactor), mostFactor)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.factor == 0 {
		c.factor = factor
	}
	c.factor += calibrateBy * (factor - c.factor)
}
