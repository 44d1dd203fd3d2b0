package main

import (
	"math"
	"math/rand/v2"
)

// madeUp are traces of nobody: days and nights, and providers that are slow now and then.
func madeUp(seed uint64) *traces {
	random := rand.New(rand.NewPCG(seed, 1))
	t := &traces{providers: []provider{
		{Name: "swift", Input: 5.9e-7, Output: 7.9e-7},
		{Name: "sound", Input: 2.5e-7, Output: 7.5e-7},
		{Name: "thrifty", Input: 1.35e-7, Output: 4e-7},
		{Name: "spare", Input: 7.1e-7, Output: 7.1e-7},
	}}
	for slot := range slotsOfAWeek {
		t.rates = append(t.rates, 1.2+math.Sin(2*math.Pi*float64(slot)/144)+0.2*random.Float64())
	}
	for range 20_000 {
		t.lengths = append(t.lengths, length{int(30 + 700*random.ExpFloat64()), int(1 + 150*random.ExpFloat64())})
	}
	perToken, shares := []float64{0.008, 0.022, 0.038, 0.019}, []float64{0.5, 0.85, 0.95, 1}
	trouble := make([]float64, len(perToken)) // how much longer calls take now
	for at := 0.0; at < week.Seconds(); at += 2 {
		for i := range trouble {
			switch {
			case random.Float64() < 2/(6*3600.0):
				trouble[i] = 1 + 8*random.Float64()
			case random.Float64() < 2/900.0:
				trouble[i] = 0
			}
		}
		draw, i := random.Float64(), 0
		for draw > shares[i] {
			i++
		}
		took := perToken[i] * (1 + trouble[i]) * math.Exp(0.3*random.NormFloat64())
		t.calls = append(t.calls, call{at: at, provider: i, perToken: took, took: 1 + 20*random.Float64(), ok: random.Float64() > 0.004+0.01*trouble[i]})
	}
	return t
}
