package replay

import (
	"math/rand/v2"
	"testing"
	"time"

	"tidegate/jobs"
)

// storms are two hours of a day in which calls take four times as long.
func storms(luck *rand.Rand, target string, at time.Duration, output int) (jobs.Class, time.Duration) {
	class, takes := steady(luck, target, at, output)
	if hour := at / time.Hour; class == jobs.OK && (hour == 5 || hour == 17) {
		takes *= 4
	}
	return class, takes
}

// A sample says about what the whole says, and says how far it may be off.
func TestSampleIsNearTheWhole(t *testing.T) {
	t.Parallel()
	log := past{requests: 43_000, every: 2 * time.Second, calls: anyOf("a", "b"), meets: storms}.log(t)
	policy := chainOf("a", "b")
	whole := replayed(t, log, Options{Whole: true}, policy)
	if whole.Sampled != 1 {
		t.Errorf("of the whole, %v are run", whole.Sampled)
	}
	near := 0
	for seed := range uint64(6) {
		some := replayed(t, log, Options{Budget: 40_000, Seed: seed}, policy)
		if some.Sampled < 0.15 || some.Sampled > 0.5 {
			t.Errorf("of a sample, %v are run", some.Sampled)
		}
		was, is := whole.Results[0].Metrics[Mean], some.Results[0].Metrics[Mean]
		if off := is.At / was.At; off < 0.85 || off > 1.15 {
			t.Errorf("seed %d: the sample says %+v, the whole %+v", seed, is, was)
		}
		if is.Holds(was.At) {
			near++
		}
		if is.High-is.Low < was.High-was.Low {
			t.Errorf("seed %d: the sample is surer than the whole: %+v, %+v", seed, is, was)
		}
	}
	if near < 5 {
		t.Errorf("of 6 samples, %d hold what the whole says", near)
	}
}

// The worst blocks have more of the sample than others, and each counts for as many as
// it stands for.
func TestSampleIsOfWhatMatters(t *testing.T) {
	t.Parallel()
	log := past{requests: 43_000, every: 2 * time.Second, calls: anyOf("a", "b"), meets: storms}.log(t)
	o := Outage{Target: "a", Class: jobs.Overload, From: day.Add(10 * time.Hour), For: time.Hour}
	w := &world{log: log, pools: poolsOf(log), outages: []Outage{o}}
	p := w.plan(1, Options{Budget: 40_000})
	var stands, ran [strata]float64
	inStorm, requests := 0, 0.0
	for i := range p.stretches {
		s := &p.stretches[i]
		stands[s.stratum] += s.weight * float64(s.to-s.counted)
		ran[s.stratum] += float64(s.to - s.counted)
		requests += s.weight * float64(s.to-s.counted)
		at := log.Request(s.counted).At.Sub(day)
		if hour := at / time.Hour; s.stratum == stormy && (hour == 5 || hour == 17) {
			inStorm++
		}
		if s.counted > 0 && s.from == s.counted {
			t.Errorf("stretch %d does not warm up", i)
		}
		if warm := log.Request(s.counted).At.Sub(log.Request(s.from).At); warm > warmUp {
			t.Errorf("stretch %d warms up for %s", i, warm)
		}
		if s.stratum == always && (log.Request(s.counted).At.After(o.From) || log.Request(s.to-1).At.Before(o.From.Add(o.For+o.For/2))) {
			t.Errorf("what is always run goes from %s to %s", log.Request(s.counted).At, log.Request(s.to-1).At)
		}
	}
	if int(requests+0.5) != log.Requests() {
		t.Errorf("the sample stands for %v of %d requests", requests, log.Requests())
	}
	if inStorm == 0 || ran[always] != stands[always] || ran[always] == 0 {
		t.Errorf("%d stretches of the storms; ran %v for %v", inStorm, ran, stands)
	}
	if ran[stormy]/stands[stormy] < 2*ran[calm]/stands[calm] {
		t.Errorf("of storms %v of the requests are run, of calm times %v", ran[stormy]/stands[stormy], ran[calm]/stands[calm])
	}
}
