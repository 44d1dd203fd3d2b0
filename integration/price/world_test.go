package main

import (
	"testing"
	"time"

	"tidegate/jobs"
)

// A day on which both targets answer all calls but for the cheap one's night.
func simpleDay() *day {
	d := &day{name: "simple", targets: []endpoint{
		{name: "cheap", price: jobs.Price{Input: 1_000_000, Output: 1_000_000}},
		{name: "dear", price: jobs.Price{Input: 2_000_000, Output: 2_000_000}},
	}}
	for i := range slotsOfADay {
		d.targets[0].up[i], d.targets[1].up[i] = 1, 1
		if i < slotsOfADay/2 {
			d.targets[0].up[i] = 0
		}
	}
	return d
}

func TestOracleTakesWhoIsCheapAsFarAsHeGoes(t *testing.T) {
	t.Parallel()
	const each = 340
	for _, c := range []struct {
		share float64
		cost  jobs.MicroUSD
		met   int
	}{
		{0.25, 1440 * each, 1440},
		{1, 720*each + 720*2*each, 1440},
	} {
		l := load{requests: 1440, share: c.share, within: 24 * time.Hour}
		cost, met := oracle(simpleDay(), l)
		if cost != c.cost || met != c.met {
			t.Errorf("%+v: %s and %d, want %s and %d", l, cost, met, c.cost, c.met)
		}
	}
	if at := simpleDay().worst(3 * time.Hour); at != 0 {
		t.Errorf("the worst time is %s", at)
	}
}

// Made-up days, few requests: waiting for a price costs little more than the oracle
// and misses nothing that re-routing meets. One that never waited would cost more.
func TestPriceIsNearTheOracle(t *testing.T) {
	t.Parallel()
	p := plan{requests: 300, seeds: 1, goal: "ordered", within: 24 * time.Hour}
	f := sumUp(p.take(append(syntheticDays(2, 1), *simpleDay())))
	if err := f.bars(); err != nil {
		t.Errorf("%+v: %v", f, err)
	}
	if f.RerouteOverOracle < 1.05 {
		t.Errorf("days on which nothing is saved prove nothing: %+v", f)
	}
}
