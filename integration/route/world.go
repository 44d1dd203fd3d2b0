package main

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"tidegate/jobs"
)

// What a provider of the model is like.
const (
	firstMedianLow, firstMedianHigh = 0.3, 1.2 // seconds to the first token: providers of one model differ four times
	speedLow, speedHigh             = 30, 120  // tokens a second, likewise
	firstSpread                     = 0.836    // of the logarithm: one in a hundred takes seven times the median
	speedSpread                     = 0.35
	slowEach                        = 8 * time.Hour // a slow time comes about so often …
	slowMedian                      = 20 * time.Minute
	slowSpread                      = 0.8
	slowFrom, slowTo                = 2.5, 8.5 // … and makes everything as many times longer
	crowded                         = 1.5      // times longer, more, when all places are taken
	refusing                        = 250 * time.Millisecond
	longest                         = 120 * time.Second
	slot                            = 15 * time.Minute // in which a target fails as often
)

// A provider is a target as it truly is.
type provider struct {
	target *jobs.Target
	first  float64   // seconds to the first token, median
	speed  float64   // tokens a second, median
	up     []float64 // by slot: the share of the calls that are answered
	slow   []slowTime
	most   int // calls at once; beyond, it refuses

	out int
}

type slowTime struct {
	from, to time.Duration
	factor   float64
}

// factor is how many times longer everything takes.
func (p *provider) factor(at time.Duration) float64 {
	for _, s := range p.slow {
		if at >= s.from && at < s.to {
			return s.factor
		}
	}
	return 1
}

func (p *provider) uptime(at time.Duration) float64 {
	return p.up[min(int(at/slot), len(p.up)-1)]
}

// crowd is how many times longer a call takes with so many others out.
func (p *provider) crowd() float64 {
	full := float64(p.out) / float64(p.most)
	return 1 + crowded*full*full*full
}

// expected is how long a call truly takes on average, in seconds, if it is answered.
func (p *provider) expected(at time.Duration, output float64) float64 {
	first := p.first * math.Exp(firstSpread*firstSpread/2)
	return (first + output/p.speed*math.Exp(speedSpread*speedSpread/2)) * p.factor(at) * p.crowd()
}

// A call is what one call to a provider will come to.
type call struct {
	takes  time.Duration
	answer *jobs.Answer
	err    *jobs.Error
}

// begin begins a call, whose end is to be told.
func (p *provider) begin(at time.Duration, j *job, luck *rand.Rand) call {
	full := p.out >= p.most
	p.out++
	if full {
		return call{refusing, nil, &jobs.Error{Class: jobs.Rate, Status: 429, Said: true}}
	}
	if luck.Float64() >= p.uptime(at) {
		return p.fails(luck)
	}
	seconds := p.first*math.Exp(firstSpread*luck.NormFloat64()) + float64(j.output)/(p.speed*math.Exp(speedSpread*luck.NormFloat64()))
	takes := time.Duration(seconds * p.factor(at) * p.crowd() * float64(time.Second))
	if takes > longest {
		return call{longest, nil, &jobs.Error{Class: jobs.Timeout, Said: true}}
	}
	return call{takes, &jobs.Answer{Usage: jobs.Usage{Input: j.input, Output: j.output}}, nil}
}

func (p *provider) fails(luck *rand.Rand) call {
	switch x := luck.Float64(); {
	case x < 0.5:
		return call{300 * time.Millisecond, nil, &jobs.Error{Class: jobs.Overload, Status: 503, Said: true}}
	case x < 0.9:
		return call{1200 * time.Millisecond, nil, &jobs.Error{Class: jobs.Transient, Status: 500, Said: true}}
	default:
		return call{30 * time.Second, nil, &jobs.Error{Class: jobs.Timeout, Said: true}}
	}
}

// A world is a chain of providers.
type world struct {
	name      string
	providers []*provider
	lasts     time.Duration
	rate      float64 // requests a second
}

// newProvider makes up what is not in any data: how fast it is, and when it is slow.
func newProvider(target *jobs.Target, up []float64, lasts time.Duration, luck *rand.Rand) *provider {
	p := &provider{
		target: target, up: up,
		first: between(firstMedianLow, firstMedianHigh, luck), speed: between(speedLow, speedHigh, luck),
	}
	for range int(math.Round(float64(lasts) / float64(slowEach) * (0.5 + luck.Float64()))) {
		from := time.Duration(luck.Float64() * float64(lasts))
		long := time.Duration(float64(slowMedian) * math.Exp(slowSpread*luck.NormFloat64()))
		p.slow = append(p.slow, slowTime{from, from + long, slowFrom + (slowTo-slowFrom)*luck.Float64()})
	}
	return p
}

// between is a number between two, evenly by its logarithm.
func between(low, high float64, luck *rand.Rand) float64 {
	return low * math.Pow(high/low, luck.Float64())
}

// best tells whether nobody truly is better than a provider, whatever is asked of them.
func (w *world) best(of *provider, at time.Duration) bool {
	truly := func(p *provider) float64 {
		alone := *p
		alone.out = 0
		return alone.completion(at)
	}
	for _, p := range w.providers {
		if truly(p) < truly(of) {
			return false
		}
	}
	return true
}

// inFlight is how many requests are out at once, on average, where all targets have
// the same part.
func (w *world) inFlight() float64 {
	seconds := 0.0
	for _, p := range w.providers {
		seconds += (p.first*math.Exp(firstSpread*firstSpread/2) + meanOutput/p.speed) / float64(len(w.providers))
	}
	return w.rate * seconds
}

// size gives each provider room for so many times its even part of the requests.
func (w *world) size(times float64) {
	for _, p := range w.providers {
		p.most = max(4, int(math.Round(times*w.inFlight()/float64(len(w.providers)))))
		p.out = 0
	}
}

// Check takes everything.
func (w *world) Check(*jobs.Target, jobs.Endpoint, []byte) error { return nil }

// Complete is for probes alone, which the router makes by itself: they take no time.
func (r *run) Complete(_ context.Context, target *jobs.Target, _ jobs.Endpoint, _ []byte) (*jobs.Answer, *jobs.Error) {
	p := r.byName[target.Name]
	if r.luck.Float64() >= p.uptime(r.at()) {
		return nil, &jobs.Error{Class: jobs.Overload, Status: 503, Said: true}
	}
	return &jobs.Answer{Usage: jobs.Usage{Input: 1, Output: 1}}, nil
}
