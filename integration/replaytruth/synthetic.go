package main

import (
	"math"
	"math/rand/v2"
	"strconv"

	"tidegate/routing/replay"
)

// What a made-up set is like, where there is none: half a week of few providers, as bad
// now and then as real ones are.
const (
	madeUp      = 5 // providers
	madeUpRows  = 300_000
	madeUpEvery = 1.0 // seconds between two requests, on average
	madeUpRuns  = 6   // of each policy, to see how far they are apart
	slotOf      = 3600.0
	oftenDown   = 0.06 // share of the cheapest's calls that fail, usually; each next provider has half of that
	slowEach    = 8 * 3600.0
)

// A maker makes rows: it knows how each provider truly is.
type maker struct {
	of    []made
	asked []call
}

// A made provider is a target as it truly is.
type made struct {
	provider
	first, each float64   // seconds to the first token, and of each, medians
	up          []float64 // by slot: the share of the calls that are answered
	slow        [][3]float64
}

// synthetic makes up a set.
func synthetic(seed uint64) (*set, error) {
	m := newMaker(seed)
	s := &set{truth: map[string]truth{}, explore: 0.02}
	for i := range m.of {
		s.providers = append(s.providers, m.of[i].provider)
	}
	var err error
	if s.explored, err = m.log(s, s.explore); err != nil {
		return nil, err
	}
	if s.plain, err = m.log(s, 0); err != nil {
		return nil, err
	}
	for _, cost := range []float64{0, 1, 3} {
		name := strconv.FormatFloat(cost, 'g', -1, 64)
		seeds := "seed wc=" + name
		if cost == 1 {
			seeds += loggingPolicy
		}
		s.truth[seeds] = m.truth(func() chooser { return newNaive(len(m.of), cost, 0, nil) })
		s.truth["decay wc="+name] = m.truth(func() chooser { return newDecaying(len(m.of), cost, rand.New(rand.NewPCG(seed, 5))) })
	}
	for i := range m.of {
		s.truth["always "+m.of[i].Name] = m.truth(func() chooser { return one(i) })
	}
	return s, nil
}

func newMaker(seed uint64) *maker {
	luck := rand.New(rand.NewPCG(seed, 1))
	m := &maker{}
	at := 0.0
	for range madeUpRows {
		at += luck.ExpFloat64() * madeUpEvery
		m.asked = append(m.asked, call{
			At: at, Input: int(min(20_000, 900*math.Exp(1.1*luck.NormFloat64()))), Output: int(min(1500, 1+150*math.Exp(luck.NormFloat64()))),
		})
	}
	for i := range madeUp {
		speed := math.Pow(6, float64(i)/(madeUp-1)) // the dearer, the faster
		p := made{
			provider: provider{Name: "made-up-" + strconv.Itoa(i), Input: 1e-7 * speed, Output: 3e-7 * speed},
			first:    1.2 / speed, each: 0.03 / speed,
		}
		for range int(at/slotOf) + 1 {
			up := 1 - oftenDown*math.Exp2(-float64(i))
			switch x := luck.Float64(); {
			case x < 0.001:
				up = 0.5 * luck.Float64()
			case x < 0.08:
				up = 0.8 + 0.15*luck.Float64()
			}
			p.up = append(p.up, up)
		}
		for range int(at / slowEach) {
			from := luck.Float64() * at
			p.slow = append(p.slow, [3]float64{from, from + 1200*math.Exp(0.8*luck.NormFloat64()), 2.5 + 6*luck.Float64()})
		}
		m.of = append(m.of, p)
	}
	return m
}

// meets is what a call truly comes to.
func (p *made) meets(r *call, luck *rand.Rand) (seconds float64, ok bool) {
	if luck.Float64() >= p.up[int(r.At/slotOf)] {
		switch x := luck.Float64(); {
		case x < 0.5:
			return 0.3, false
		case x < 0.9:
			return 1.2, false
		default:
			return 30, false
		}
	}
	seconds = p.first*math.Exp(0.836*luck.NormFloat64()) + float64(r.Output)*p.each*math.Exp(0.35*luck.NormFloat64())
	for _, slow := range p.slow {
		if r.At >= slow[0] && r.At < slow[1] {
			seconds *= slow[2]
		}
	}
	if seconds > longestCall.Seconds() {
		return longestCall.Seconds(), false
	}
	return seconds, true
}

// log is what the naive policy leaves behind.
func (m *maker) log(s *set, explore float64) (*replay.Log, error) {
	b := replay.NewBuilder(len(m.asked))
	luck := rand.New(rand.NewPCG(11, 2))
	policy := newNaive(len(m.of), 1, explore, luck)
	for i := range m.asked {
		r := m.asked[i]
		r.Target, r.Propensity = policy.choose(&r, m)
		r.Latency, r.OK = m.of[r.Target].meets(&r, luck)
		policy.hears(&r)
		if err := r.add(b, s.providers); err != nil {
			return nil, err
		}
	}
	return b.Log()
}

// truth is what a policy does, over several runs of the same requests.
func (m *maker) truth(policy func() chooser) truth {
	var latency, success, cost []float64
	for run := range uint64(madeUpRuns) {
		luck := rand.New(rand.NewPCG(run, 3))
		p := policy()
		var l, ok, c float64
		for i := range m.asked {
			r := m.asked[i]
			r.Target, _ = p.choose(&r, m)
			r.Latency, r.OK = m.of[r.Target].meets(&r, luck)
			p.hears(&r)
			l += r.Latency
			if r.OK {
				ok++
				c += m.cost(&r, r.Target)
			}
		}
		n := float64(len(m.asked))
		latency, success, cost = append(latency, l/n), append(success, ok/n), append(cost, 1000*c/n)
	}
	var t truth
	t.Latency, t.LatencyOf = mean(latency)
	t.Success, t.SuccessOf = mean(success)
	t.Cost, t.CostOf = mean(cost)
	return t
}

// cost is in dollars.
func (m *maker) cost(r *call, target int) float64 {
	return float64(r.Input)*m.of[target].Input + float64(r.Output)*m.of[target].Output
}

func mean(of []float64) (is float64, apart *float64) {
	sum, squares := 0.0, 0.0
	for _, x := range of {
		sum, squares = sum+x, squares+x*x
	}
	n := float64(len(of))
	deviation := math.Sqrt(max(squares/n-sum/n*sum/n, 1e-12) * n / (n - 1))
	return sum / n, &deviation
}
