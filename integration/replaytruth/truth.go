package main

import (
	"math"
	"math/rand/v2"
)

// A chooser is a policy by which the truth of a set is made: a program of its own, which
// hears of each call at once.
type chooser interface {
	choose(r *call, m *maker) (target int, propensity float64)
	hears(r *call)
}

// one is always the same.
type one int

func (o one) choose(*call, *maker) (int, float64) { return int(o), 1 }
func (o one) hears(*call)                         {}

// A naive policy is that of the log: see seed.
type naive struct {
	cost, explore float64
	luck          *rand.Rand
	of            []naiveTarget
}

type naiveTarget struct {
	latency, success float64
	answers, inARow  int
	opensAt          float64 // until when it is out
}

func newNaive(n int, cost, explore float64, luck *rand.Rand) *naive {
	p := &naive{cost: cost, explore: explore, luck: luck, of: make([]naiveTarget, n)}
	for i := range p.of {
		p.of[i].success = 1
	}
	return p
}

func (p *naive) choose(r *call, m *maker) (target int, propensity float64) {
	best, least := 0, math.Inf(1)
	for i := range p.of {
		t := &p.of[i]
		x := t.latency + perFailure*(1-t.success) + perDollar*p.cost*m.cost(r, i)
		switch {
		case r.At < t.opensAt:
			continue
		case t.answers == 0:
			x = -1
		}
		if x < least {
			best, least = i, x
		}
	}
	if p.explore == 0 {
		return best, 1
	}
	target = best
	if p.luck.Float64() < p.explore {
		target = p.luck.IntN(len(p.of))
	}
	propensity = p.explore / float64(len(p.of))
	if target == best {
		propensity += 1 - p.explore
	}
	return target, propensity
}

func (p *naive) hears(r *call) {
	const by = 0.2
	t := &p.of[r.Target]
	if !r.OK {
		t.success -= by * t.success
		if t.inARow++; t.inARow >= broken.FailuresInARow {
			t.opensAt, t.inARow = r.At+broken.Cooldown.Seconds(), broken.FailuresInARow-1
		}
		return
	}
	if t.answers++; t.answers == 1 {
		t.latency = r.Latency
	}
	t.latency += by * (r.Latency - t.latency)
	t.success += by * (1 - t.success)
	t.inARow = 0
}

// A decaying policy forgets with time: see decay.
type decaying struct {
	cost float64
	luck *rand.Rand
	of   []decayingTarget
}

type decayingTarget struct {
	at                           float64
	fast, fastCalls, slow, calls float64 // seconds a token
	failed, tried, everFailed    float64
	everTried                    float64
}

func newDecaying(n int, cost float64, luck *rand.Rand) *decaying {
	return &decaying{cost: cost, luck: luck, of: make([]decayingTarget, n)}
}

const startTokens = 60

func (t *decayingTarget) age(to float64) {
	half := func(seconds float64) float64 { return math.Exp2(-(to - t.at) / seconds) }
	t.fast, t.fastCalls = t.fast*half(30), t.fastCalls*half(30)
	t.failed, t.tried = t.failed*half(20), t.tried*half(20)
	if t.calls > 20 {
		t.slow, t.calls = t.slow*half(1800), t.calls*half(1800)
	}
	if t.everTried > 20 {
		t.everFailed, t.everTried = t.everFailed*half(1800), t.everTried*half(1800)
	}
	t.at = to
}

func (p *decaying) choose(r *call, m *maker) (target int, propensity float64) {
	scores := make([]float64, len(p.of))
	best := math.Inf(1)
	for i := range p.of {
		t := &p.of[i]
		if t.age(r.At); t.calls > 0 {
			each := (t.fast + 3*t.slow/t.calls) / (t.fastCalls + 3)
			usual := (t.everFailed + 0.05) / (t.everTried + 5)
			failure := min((t.failed+3*usual)/(t.tried+3), 0.98)
			seconds := each * (float64(r.Output) + startTokens)
			scores[i] = seconds + failure/(1-failure)*(3+seconds/2) + perDollar*p.cost*m.cost(r, i)
		}
		best = min(best, scores[i])
	}
	n := 0
	for i, x := range scores {
		if x <= 1.1*best {
			if n++; p.luck.IntN(n) == 0 {
				target = i
			}
		}
	}
	return target, 1 / float64(n)
}

func (p *decaying) hears(r *call) {
	t := &p.of[r.Target]
	t.tried, t.everTried = t.tried+1, t.everTried+1
	if !r.OK {
		t.failed, t.everFailed = t.failed+1, t.everFailed+1
		return
	}
	each := r.Latency / (float64(r.Output) + startTokens)
	if t.calls > 5 {
		each = min(each, 4*t.slow/t.calls)
	}
	t.fast, t.fastCalls, t.slow, t.calls = t.fast+each, t.fastCalls+1, t.slow+each, t.calls+1
}
