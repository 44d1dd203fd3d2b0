package simulator

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// z99 is how many deviations the 99th percentile of a normal distribution lies
// above its middle.
const z99 = 2.3263478740408408

// A Latency is how long answers take: a lognormal wait for the first byte, and
// a time for every token. The zero Latency answers at once.
type Latency struct {
	Median time.Duration `yaml:"median"`
	// P99 is passed by one answer in a hundred; zero: all take Median.
	P99      time.Duration `yaml:"p99"`
	PerToken time.Duration `yaml:"per_token"`
}

func (l Latency) validate() error {
	switch {
	case l.Median < 0:
		return fmt.Errorf("median: %s is below zero; use a duration such as 400ms", l.Median)
	case l.PerToken < 0:
		return fmt.Errorf("per_token: %s is below zero; use a duration such as 5ms", l.PerToken)
	case l.P99 != 0 && (l.P99 < l.Median || l.Median == 0):
		return fmt.Errorf("p99: %s needs a median above 0 and not above it; the median is %s", l.P99, l.Median)
	}
	return nil
}

// draw returns the wait before the first token. The same two numbers draw the
// same wait, so a request takes as long the second time as the first.
func (l Latency) draw(seed, request uint64) time.Duration {
	if l.P99 <= l.Median {
		return l.Median
	}
	sigma := math.Log(float64(l.P99)/float64(l.Median)) / z99
	normal := rand.New(rand.NewPCG(seed, request)).NormFloat64()
	return time.Duration(float64(l.Median) * math.Exp(sigma*normal))
}

// share draws a number in [0, 1) for the n-th call.
func share(seed, n uint64) float64 {
	return rand.New(rand.NewPCG(seed, n)).Float64()
}
