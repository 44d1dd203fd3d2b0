package routing

import (
	"math"
	"testing"
	"time"
)

// However fast it fills, what is not there is waited for.
func TestBucketWaits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rate, level, wanted float64
		wait                time.Duration
	}{
		{10, 1, 1, 0},
		{10, 0.5, 1, 50 * time.Millisecond},
		{10, -2, 1, 300 * time.Millisecond},
		{1e12, 0.5, 1, 1},
		{1e-9, 0, 1, time.Hour},
		{math.Inf(1), -5, 1, 0},
	} {
		b := bucket{rate: c.rate, level: c.level}
		if got := b.wait(c.wanted); got != c.wait {
			t.Errorf("with %v at %v a second it waits %v, want %v", c.level, c.rate, got, c.wait)
		}
	}
}

func TestBucketHoldsHalfASecond(t *testing.T) {
	t.Parallel()
	for rate, want := range map[float64]float64{100: 50, 1: 1, 0.01: 1} {
		b := bucket{rate: rate}
		if b.fill(time.Hour); b.level != want {
			t.Errorf("at %v a second it holds %v, want %v", rate, b.level, want)
		}
	}
	b := bucket{rate: 100, level: 50}
	b.rate = 10
	if b.fill(0); b.level != 5 {
		t.Errorf("of what was saved up at another rate it keeps %v, want 5", b.level)
	}
}
