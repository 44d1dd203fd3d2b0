package main

import (
	"math"
	"testing"
)

// A short run of each scene keeps the bars, and what can be known is known.
func TestForecastsAreHonest(t *testing.T) {
	t.Parallel()
	f := measure(scenes(), 1)
	if err := f.bars(); err != nil {
		t.Error(err)
	}
	for _, s := range f.Scenes {
		if s.Name == "an outage in the middle" {
			if s.Unknown < 0.1 || s.Unknown > 0.3 {
				t.Errorf("an outage of a fifth of the time: %.0f%% of the forecasts say that nobody knows", 100*s.Unknown)
			}
		} else if s.Unknown > 0.15 {
			t.Errorf("%s: %.0f%% of the forecasts say that nobody knows", s.Name, 100*s.Unknown)
		}
	}
}

// Where nothing ever happens, a forecast is right from a tenth of the way on.
func TestForecastOfASteadyDrain(t *testing.T) {
	t.Parallel()
	s := named("throttled", one(5_000, steady(25)))
	f, looks := s.measure(1)
	if len(looks) < 20 || math.Abs(f.At[0].Median) > 0.15 || math.Abs(f.At[1].Median) > 0.05 || f.Inside < 0.8 {
		t.Errorf("%d forecasts, %+v", len(looks), f)
	}
}
