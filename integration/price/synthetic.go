package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"tidegate/jobs"
)

// syntheticDays makes days such as the data has: mostly brown-outs, with an outage now
// and then, log-normal, of 15 minutes (median) to an hour (nine of ten), and some of
// hours.
func syntheticDays(n int, seed uint64) []day {
	days := make([]day, n)
	for i := range days {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		days[i].name = fmt.Sprintf("synthetic %d", i+1)
		price := 0.5 + random.Float64()
		for k := range 2 + random.IntN(mostTargets-1) {
			t := endpoint{name: fmt.Sprintf("target-%d", k+1), price: jobs.Price{Input: jobs.USD(price), Output: jobs.USD(3 * price)}}
			for s := range t.up {
				t.up[s] = 1 - 0.02*random.Float64()
			}
			troubles := random.IntN(3)
			if k == 0 {
				troubles += 2
			}
			for range troubles {
				t.trouble(random)
			}
			days[i].targets = append(days[i].targets, t)
			price *= 1.1 + random.Float64()
		}
	}
	return days
}

// trouble adds an episode.
func (e *endpoint) trouble(random *rand.Rand) {
	up := 0.5 + 0.45*random.Float64()
	length := time.Duration(float64(15*time.Minute) * math.Exp(1.08*random.NormFloat64()))
	switch random.IntN(4) {
	case 0:
		up = 0.02
	case 1:
		up, length = 0.02, 8*length
	}
	from := random.IntN(slotsOfADay)
	for s := from; s < min(slotsOfADay, from+1+int(length/slot)); s++ {
		e.up[s] = min(e.up[s], up)
	}
}
