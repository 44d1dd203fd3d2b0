package main

import (
	"slices"
	"time"
)

// figures are what came of a run.
type figures struct {
	came, calls, refused, failed, lost int
	took                               []float64 // seconds from arrival to answer
	cost                               float64   // micro-USD
	shares                             *shares
}

func (f *figures) mean() float64 {
	sum := 0.0
	for _, seconds := range f.took {
		sum += seconds
	}
	return sum / float64(max(1, len(f.took)))
}

func (f *figures) quantile(q float64) float64 { return quantile(f.took, q) }

func quantile(of []float64, q float64) float64 {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	return sorted[int(q*float64(len(sorted)-1))]
}

// failedShare is that of the requests that were refused, or never answered.
func (f *figures) failedShare() float64 {
	return float64(f.failed+f.lost) / float64(max(1, f.came))
}

const (
	shareOver  = 5 * time.Second
	usedBefore = 10 * time.Minute
	usedLeast  = 0.15
	usedAgain  = 0.5
	usedOver   = 30 * time.Second
	slowLeast  = 10 * time.Minute
	afterSlow  = 2 * time.Minute // for which it is the best again: else there is no reason to return
)

// shares count the calls of each provider over time.
type shares struct {
	of  map[*provider][]int
	all []int
}

func newShares(w *world) *shares {
	s := &shares{of: map[*provider][]int{}, all: make([]int, 2*w.lasts/shareOver+1)}
	for _, p := range w.providers {
		s.of[p] = make([]int, len(s.all))
	}
	return s
}

func (s *shares) count(p *provider, at time.Duration) {
	s.of[p][at/shareOver]++
	s.all[at/shareOver]++
}

// share is that of a provider in some time.
func (s *shares) share(p *provider, from, to time.Duration) float64 {
	mine, all := 0, 0
	for i := max(0, from/shareOver); i < to/shareOver && int(i) < len(s.all); i++ {
		mine, all = mine+s.of[p][i], all+s.all[i]
	}
	return float64(mine) / float64(max(1, all))
}

// recovery is how long after a slow time its provider was used again: from when on
// it had, over half a minute, at least half of its share of the ten minutes before.
// False: it was not used before, or was not slow for long.
func (s *shares) recovery(p *provider, slow slowTime, end time.Duration) (time.Duration, bool) {
	if slow.to-slow.from < slowLeast || slow.from < usedBefore || slow.to+usedBefore > end {
		return 0, false
	}
	before := s.share(p, slow.from-usedBefore, slow.from)
	if before < usedLeast {
		return 0, false
	}
	for at := slow.to; at < end; at += shareOver {
		if s.share(p, at, at+usedOver) >= usedAgain*before {
			return at - slow.to, true
		}
	}
	return end - slow.to, true
}
