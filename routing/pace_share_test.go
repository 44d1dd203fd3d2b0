package routing

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestSharesOf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ demand, want map[string]int }{
		"nobody":             {map[string]int{}, map[string]int{}},
		"alone":              {map[string]int{"a": 0}, map[string]int{"a": 1000}},
		"nobody has work":    {map[string]int{"a": 0, "b": 0}, map[string]int{"a": 500, "b": 500}},
		"by their work":      {map[string]int{"a": 300, "b": 100}, map[string]int{"a": 750, "b": 250}},
		"a floor of an 8th":  {map[string]int{"a": 300, "b": 0}, map[string]int{"a": 889, "b": 111}},
		"nonsense is nobody": {map[string]int{"a": 300, "b": -7}, map[string]int{"a": 889, "b": 111}},
	} {
		got := sharesOf(c.demand)
		if len(got) != len(c.want) {
			t.Errorf("%s: %v", name, got)
		}
		for worker, want := range c.want {
			if int(math.Round(1000*got[worker])) != want {
				t.Errorf("%s: %s has %.3f, want %d/1000", name, worker, got[worker], want)
			}
		}
	}
}

func TestSharesOfAreOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		demand := rapid.MapOfN(rapid.String(), rapid.IntRange(-10, 1_000_000), 1, 200).Draw(t, "demand")
		sum, least := 0.0, 1/float64(5*len(demand))
		for worker, share := range sharesOf(demand) {
			sum += share
			if share < least-1e-9 {
				t.Errorf("%q has %v, at least %v", worker, share, least)
			}
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("all together have %v", sum)
		}
	})
}

func TestShareGrowsWhenToldTwice(t *testing.T) {
	t.Parallel()
	var s shareOf
	if s.get() != 1 {
		t.Errorf("before it was told anything: %v", s.get())
	}
	for i, step := range []struct{ told, want float64 }{
		{0.2, 0.2},
		{0.5, 0.2},
		{0.4, 0.4},
		{0.6, 0.4},
		{0.5, 0.5},
		{0.6, 0.5},
		{0.6, 0.6},
		{0.1, 0.1},
		{0.5, 0.1},
		{0.1, 0.1},
		{0.5, 0.1},
		{0.5, 0.5},
		{0.1, 0.1},
		{0.2, 0.1},
		{0.9, 0.2},
		{0.9, 0.9},
	} {
		before := s.get()
		factor := s.follow(step.told)
		if s.get() != step.want || math.Abs(before*factor-step.want) > 1e-12 {
			t.Errorf("step %d: told %v, the share is %v (×%v), want %v", i, step.told, s.get(), factor, step.want)
		}
	}
}
