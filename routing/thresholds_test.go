package routing

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tidegate/jobs"
)

func outcomeOf(failed bool) Outcome {
	if failed {
		return Failure
	}
	return Success
}

// callsUntilOpen counts the calls of one worker until its circuit opens, at a
// target that was in order until they began, and where each of them fails with
// the same chance. It gives up after most.
func callsUntilOpen(t *testing.T, random *rand.Rand, chance float64, most int) int {
	c, _ := aCircuit(t)
	for range jobs.DefaultThresholds.Window {
		acquire(t, c).Done(Success, "")
	}
	for n := 1; n <= most; n++ {
		permit, _ := c.Acquire()
		permit.Done(outcomeOf(random.Float64() < chance), "flaky")
		if !c.breaker.IsClosed() {
			return n
		}
	}
	return most + 1
}

// atLeast is the chance that k or more of n calls fail.
func atLeast(k, n int, chance float64) float64 {
	sum := 0.0
	for i := k; i <= n; i++ {
		choose, _ := math.Lgamma(float64(n + 1))
		of, _ := math.Lgamma(float64(i + 1))
		rest, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(choose - of - rest + float64(i)*math.Log(chance) + float64(n-i)*math.Log1p(-chance))
	}
	return sum
}

// TestDefaultThresholdsSeeABrownOut: the numbers that stand beside the defaults.
func TestDefaultThresholdsSeeABrownOut(t *testing.T) {
	t.Parallel()
	const stories = 3000
	for name, c := range map[string]struct {
		chance          float64
		mean            float64
		within, within2 int     // calls …
		share, share2   float64 // … within which so many see it, at least
	}{
		"a quarter": {0.25, 42, 50, 75, 0.82, 0.95},
		"a half":    {0.5, 19, 20, 30, 0.6, 0.97},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(3, 25))
			calls, sum := make([]int, stories), 0
			for i := range calls {
				calls[i] = callsUntilOpen(t, random, c.chance, 1000)
				sum += calls[i]
			}
			slices.Sort(calls)
			seen := func(within int) float64 {
				n, _ := slices.BinarySearch(calls, within+1)
				return float64(n) / stories
			}
			if mean := float64(sum) / stories; mean > c.mean || seen(c.within) < c.share || seen(c.within2) < c.share2 {
				t.Errorf("it took %.1f calls, %.3f saw it within %d and %.3f within %d", mean, seen(c.within), c.within, seen(c.within2), c.within2)
			}
		})
	}
	d := jobs.DefaultThresholds
	if seen := atLeast(int(math.Ceil(d.FailureRate*float64(d.Window))), d.Window, 0.25); seen < 0.83 {
		t.Errorf("the rate alone sees a quarter within its window in %.3f of all stories", seen)
	}
}

// TestDefaultThresholdsBearWhatIsUsual: a circuit opens at a call that fails, when
// enough of the others in its window did, or of those just before. That bounds
// how often, whatever the order; the circuit itself is asked, too.
func TestDefaultThresholdsBearWhatIsUsual(t *testing.T) {
	t.Parallel()
	d := jobs.DefaultThresholds
	often := func(chance float64) float64 { // openings a call, at most
		failures := int(math.Ceil(d.FailureRate * float64(d.Window)))
		return chance*atLeast(failures-1, d.Window-1, chance) + math.Pow(chance, float64(d.FailuresInARow))
	}
	if got := often(0.02); got > 1.0/10_000_000 {
		t.Errorf("at 2%% it opens once in %.0f calls", 1/got)
	}
	if got := often(0.05); got > 1.0/20_000 {
		t.Errorf("at 5%% it opens once in %.0f calls", 1/got)
	}
	random := rand.New(rand.NewPCG(5, 2))
	const calls = 300_000
	if n := callsUntilOpen(t, random, 0.02, calls); n <= calls {
		t.Errorf("at 2%% it opened after %d calls", n)
	}
	opened := 0
	for left := calls; left > 0; opened++ {
		left -= callsUntilOpen(t, random, 0.05, left)
	}
	if opened-1 > 15 { // 6 on average
		t.Errorf("at 5%% it opened %d times in %d calls", opened-1, calls)
	}
}
