package replay

import (
	"math/rand/v2"
	"testing"
	"time"

	"tidegate/jobs"
	"tidegate/routing"
)

// A truth is how targets do of which a log is made.
func logOf(t testing.TB, n int, every time.Duration, targets int, seed uint64) *Log {
	t.Helper()
	luck := rand.New(rand.NewPCG(seed, 1))
	b := NewBuilder(n)
	at := day
	for range n {
		at = at.Add(time.Duration(luck.ExpFloat64() * float64(every)))
		target := luck.IntN(targets)
		output := 20 + luck.IntN(400)
		call := Attempt{
			At: at, Target: string(rune('a' + target)), Class: jobs.OK, Propensity: 1 / float64(targets), Explored: true,
			Latency: time.Duration(float64(target+1) * (60 + float64(output)) * 0.005 * (0.5 + luck.Float64()) * float64(time.Second)),
			Usage:   jobs.Usage{Input: 500, Output: output},
		}
		if luck.Float64() < 0.01 {
			call.Class, call.Latency, call.Usage = jobs.Overload, 300*time.Millisecond, jobs.Usage{}
		}
		if err := b.Add(Request{At: at, Route: "r", Usage: jobs.Usage{Input: 500, Output: output}}, call); err != nil {
			t.Fatal(err)
		}
	}
	log, err := b.Log()
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func policyOf(goal string, targets int) *Policy {
	route := jobs.Route{Name: "r", Goal: goal}
	for i := range targets {
		route.Chain = append(route.Chain, &jobs.Target{Name: string(rune('a' + i)), Provider: string(rune('a' + i)), Price: jobs.Price{Input: jobs.MicroUSD(1_000_000 / (i + 1)), Output: jobs.MicroUSD(2_000_000 / (i + 1))}, Timeouts: jobs.DefaultTimeouts})
	}
	return &Policy{Name: goal, Routes: []jobs.Route{route}, Choosing: routing.Choosing{Explore: 0.01}}
}

func BenchmarkRun(b *testing.B) {
	for _, targets := range []int{2, 4, 9} {
		for _, goal := range []string{"ordered", "balanced"} {
			b.Run(goal+string(rune('0'+targets)), func(b *testing.B) {
				log := logOf(b, 200_000, 100*time.Millisecond, targets, 1)
				w := &world{log: log, pools: poolsOf(log), faults: faultsOf(log), seed: 1}
				b.ReportAllocs()
				b.ResetTimer()
				for n := 0; n < b.N; n += log.Requests() {
					of := stretch{to: min(log.Requests(), b.N), weight: 1}
					into := tallyOf(log, &of, targets, 24*time.Hour)
					r := newRun(w, policyOf(goal, targets), sides[0], of, into)
					r.all(b.Context())
					if n == 0 && b.N >= log.Requests() {
						b.Logf("%+v %v", into.blocks[0].sums, into.calls)
					}
				}
			})
		}
	}
}
