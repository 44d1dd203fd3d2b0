package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"tidegate/jobs"
	"tidegate/routing"
)

// A picker is a way to choose.
type picker interface {
	choosing(r *run) routing.Choosing
	began(r *run, p *provider)
	ended(r *run, p *provider, took time.Duration, err *jobs.Error)
}

// deaf hears of no call.
type deaf struct{}

func (deaf) began(*run, *provider)                             {}
func (deaf) ended(*run, *provider, time.Duration, *jobs.Error) {}

// ours is an estimator of the router, with weights.
type ours struct {
	deaf
	estimator string
	weights   routing.Weights
	explore   float64
}

func (o ours) choosing(*run) routing.Choosing {
	return routing.Choosing{Estimator: o.estimator, Explore: o.explore, Strategies: map[string]routing.Strategy{"way": o.weights.Strategy()}}
}

// by makes a strategy of a loss: the lowest first; who has to wait comes after all who
// have not.
func by(loss func(at int, c *routing.Candidate) float64) routing.Choosing {
	return routing.Choosing{Strategies: map[string]routing.Strategy{"way": func(order []int, _ []jobs.Score, candidates []routing.Candidate) {
		losses := make([]float64, len(candidates))
		for i := range candidates {
			losses[i] = loss(i, &candidates[i])
			if candidates[i].Wait > 0 {
				losses[i] += 1e12 + candidates[i].Wait.Seconds()
			}
		}
		slices.SortStableFunc(order, func(a, b int) int {
			switch {
			case losses[a] < losses[b]:
				return -1
			case losses[a] > losses[b]:
				return 1
			default:
				return 0
			}
		})
	}}}
}

// roundRobin takes one after the other.
type roundRobin struct {
	deaf
	next int
}

func (p *roundRobin) choosing(r *run) routing.Choosing {
	n := len(r.providers)
	return by(func(i int, _ *routing.Candidate) float64 {
		if i == 0 {
			p.next++
		}
		return float64((i - p.next%n + n) % n)
	})
}

// oracle sees how everything is: it takes the target whose completion truly is the
// earliest to expect.
type oracle struct{ deaf }

func (oracle) choosing(r *run) routing.Choosing {
	return by(func(i int, _ *routing.Candidate) float64 {
		p := r.providers[i]
		if p.out >= p.most {
			return 1e9
		}
		return p.completion(r.at())
	})
}

// completion is how long a request truly takes on average until it is answered.
func (p *provider) completion(at time.Duration) float64 {
	seconds, failure := p.expected(at, meanOutput), min(1-p.uptime(at), 0.98)
	return seconds + failure/(1-failure)*(3+seconds/2)
}

// peak is Finagle's peak-EWMA: of two, drawn at random, it takes the one with the
// lower product of latency and calls that are out. The latency jumps up, and decays.
type peak struct {
	over    time.Duration
	latency map[*provider]float64
	at      map[*provider]time.Duration
	luck    *rand.Rand
}

func newPeak(seed uint64) *peak {
	return &peak{over: 10 * time.Second, latency: map[*provider]float64{}, at: map[*provider]time.Duration{}, luck: rand.New(rand.NewPCG(seed, 3))}
}

func (p *peak) observe(r *run, of *provider, seconds float64) {
	weight := math.Exp(-float64(r.at()-p.at[of]) / float64(p.over))
	if seconds > p.latency[of] {
		p.latency[of] = seconds
	} else {
		p.latency[of] = p.latency[of]*weight + seconds*(1-weight)
	}
	p.at[of] = r.at()
}

func (p *peak) choosing(r *run) routing.Choosing {
	var a, b int
	return by(func(i int, _ *routing.Candidate) float64 {
		if i == 0 {
			a, b = p.luck.IntN(len(r.providers)), p.luck.IntN(len(r.providers))
		}
		of := r.providers[i]
		p.observe(r, of, 0)
		load := p.latency[of] * float64(of.out+1)
		if p.latency[of] == 0 && of.out > 0 {
			load = 1e6 + float64(of.out)
		}
		if i != a && i != b {
			load += 1e8
		}
		return load
	})
}

func (p *peak) began(*run, *provider) {}

func (p *peak) ended(r *run, of *provider, took time.Duration, _ *jobs.Error) {
	p.observe(r, of, took.Seconds())
}
