package routing

import (
	"cmp"
	"time"
)

// EWMA is the estimator of the textbooks: an average that moves by a part of the
// way to each new sample, whatever that was asked for and however long ago it was.
// A target that was slow stays so until it is asked again, and nobody asks it.
const EWMA = "ewma"

// DefaultAlpha is how much the latest sample counts where no configuration says it.
const DefaultAlpha = 0.2

var _ = enlist(EWMA, func(config Choosing) estimator {
	alpha := cmp.Or(config.Alpha, DefaultAlpha)
	return estimator{
		hear:  func(own *sums, _ sums, s sample, _ time.Duration) { hearEWMA(own, s, alpha) },
		fade:  func(by time.Duration) fading { return fading{by: by} },
		age:   func(*sums, fading) {},
		guess: guessEWMA,
	}
})

// What the sums of the ewma estimator are: averages times how many samples they
// stand for, so that those of several workers add up.
const (
	ewmaSeconds = iota
	ewmaCalls
	ewmaFailed
	ewmaTried
)

func hearEWMA(own *sums, s sample, alpha float64) {
	failed := 0.0
	if s.failed {
		failed = 1
	} else {
		moveEWMA(&own[ewmaSeconds], &own[ewmaCalls], max(s.seconds, 0), alpha)
	}
	moveEWMA(&own[ewmaFailed], &own[ewmaTried], failed, alpha)
}

// moveEWMA moves an average, of which there is the sum that it makes of its samples.
func moveEWMA(sum, of *float64, to, alpha float64) {
	average := to
	if *of > 0 {
		average = *sum / *of
		average += alpha * (to - average)
	}
	*of = min(*of+1, (2-alpha)/alpha) // as many independent samples are as exact
	*sum = average * *of
}

func guessEWMA(all sums) (g guess) {
	if all[ewmaTried] > 0 {
		g.tried, g.failure = true, all[ewmaFailed]/all[ewmaTried]
	}
	if all[ewmaCalls] > 0 {
		g.known, g.fixed = true, all[ewmaSeconds]/all[ewmaCalls]
	}
	return g
}
