package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"tidegate/jobs"
	"tidegate/routing"
)

func main() {
	for _, seed := range []uint64{1, 2} {
		w := synthetic(6, seed, 6*time.Hour, 5)
		for _, size := range []float64{5, 2.5, 1.5} {
			w.size(size)
			fmt.Println("size", size, w.inFlight(), w.providers[0].most)
			lat := routing.Weights{Latency: 1}
			mix := routing.Weights{Success: 0.2, Latency: 0.8}
			for name, p := range map[string]picker{
				"1 decayed lat":    ours{estimator: "decayed", weights: lat},
				"1 decayed lat x1": ours{estimator: "decayed", weights: lat, explore: 0.01},
				"1 decayed mix x1": ours{estimator: "decayed", weights: mix, explore: 0.01},
				"2 ewma lat":       ours{estimator: "ewma", weights: lat},
				"2 ewma lat x1":    ours{estimator: "ewma", weights: lat, explore: 0.01},
				"2 ewma mix":       ours{estimator: "ewma", weights: mix},
				"2 ewma mix x1":    ours{estimator: "ewma", weights: mix, explore: 0.01},
				"3 rr":             &roundRobin{}, "4 oracle": oracle{}, "5 peak": newPeak(seed),
			} {
				r := newRun(w, p, seed)
				began := time.Now()
				f := r.all()
				var rec []float64
				for _, p := range w.providers {
					for _, s := range p.slow {
						if d, ok := f.shares.recovery(p, s, w.lasts); ok {
							rec = append(rec, d.Seconds())
						}
					}
				}
				fmt.Printf("%-20s mean %6.2f p50 %6.2f p99 %6.1f calls/job %.3f 429 %.3f failed %.5f cost %.0f rec p50 %v p90 %v (%d) %v\n", name, f.mean(), f.quantile(.5), f.quantile(.99), float64(f.calls)/float64(f.came), float64(f.refused)/float64(f.calls), f.failedShare(), f.cost/float64(f.came), quantile(rec, .5), quantile(rec, .9), len(rec), time.Since(began).Round(time.Millisecond))
			}
		}
	}
}

func synthetic(n int, seed uint64, lasts time.Duration, rate float64) *world {
	luck := rand.New(rand.NewPCG(seed, 7))
	w := &world{lasts: lasts, rate: rate}
	for i := range n {
		up := make([]float64, lasts/slot+1)
		for i := range up {
			up[i] = 0.995
			if luck.Float64() < 0.05 {
				up[i] = 0.7 + .3*luck.Float64()
			}
		}
		t := &jobs.Target{Name: fmt.Sprintf("t%d", i), Provider: fmt.Sprintf("p%d", i), Price: jobs.Price{Input: jobs.USD(between(.1, .4, luck)), Output: jobs.USD(between(.2, 1, luck))}}
		w.providers = append(w.providers, newProvider(t, up, lasts, luck))
	}
	return w
}
