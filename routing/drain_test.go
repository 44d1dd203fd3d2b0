package routing

import (
	"fmt"
	"testing"
	"time"

	"tidegate/jobs"
	"tidegate/routing/simulator"
)

// The scenes of issue 3's bench-drain, with its figures: two workers, a backlog of
// five minutes, calls of some milliseconds, a capacity that is announced but for
// where it is not what it was.
func drainBench() []drainScene {
	cold := simulator.Capacity{PerSecond: 500, Announces: true, ColdFrom: 0.4, ColdFor: 5 * time.Minute}
	melting := cold
	melting.Melts = true
	return []drainScene{
		{name: "clean", most: 1.10, capacity: simulator.Capacity{PerSecond: 500, Announces: true}},
		{name: "cold", most: 1.05, capacity: cold},
		{name: "reduced", most: 1.15, capacity: simulator.Capacity{PerSecond: 500, Factor: 0.6}},
		{name: "grown", most: 1.40, capacity: simulator.Capacity{PerSecond: 500, Factor: 1.5}},
		{name: "relapse", most: 1.25, relapses: true, capacity: simulator.Capacity{
			PerSecond: 500, Announces: true, RelapseAfter: time.Minute, RelapseFor: 2 * time.Minute,
		}},
		{name: "melting", most: 1.05, capacity: melting},
	}
}

// What else may be: each a fifth as large, which is as fast and has the same
// optimum.
func drainMore() []drainScene {
	const mu = 100
	reduced := func(factor float64) simulator.Capacity { return simulator.Capacity{PerSecond: mu, Factor: factor} }
	cold := func(from float64, melts bool) simulator.Capacity {
		return simulator.Capacity{PerSecond: mu, Announces: true, ColdFrom: from, ColdFor: 5 * time.Minute, Melts: melts}
	}
	announced := simulator.Capacity{PerSecond: mu, Announces: true}
	return []drainScene{
		{name: "nothing is known", lastGood: unheardOf, most: 1.10, capacity: reduced(1)},
		{name: "nothing is known, and it melts", lastGood: unheardOf, most: 1.10, capacity: simulator.Capacity{PerSecond: mu, Melts: true}},
		{name: "only the announced limit", lastGood: unheardOf, most: 1.10, capacity: announced},
		{name: "only a configured limit", lastGood: unheardOf, most: 1.10, capacity: reduced(1), limits: jobs.Limits{RequestsPerMinute: 60 * mu}},
		{name: "the last day was quiet", lastGood: 20, most: 1.15, capacity: reduced(1)},
		{name: "a quiet day, a configured limit", lastGood: 20, most: 1.10, capacity: reduced(1), limits: jobs.Limits{RequestsPerMinute: 60 * mu}},
		{name: "a quiet day, and a limit too high", lastGood: 20, most: 1.10, capacity: simulator.Capacity{PerSecond: mu, Melts: true}, limits: jobs.Limits{RequestsPerMinute: 600 * mu}},
		{name: "it comes back with a twentieth", most: 1.10, capacity: cold(0.05, false)},
		{name: "with a twentieth, and melts", most: 1.10, capacity: cold(0.05, true)},
		{name: "grown, and melts", most: 1.10, capacity: simulator.Capacity{PerSecond: mu, Factor: 1.5, Melts: true}},
		{name: "a tenth is left", backlog: 600, arrivals: 2, most: 1.15, limited: 0.09, capacity: reduced(0.1)},
		{name: "no burst", burst: 0.02, most: 1.15, limited: 0.10, capacity: reduced(1)},
		{name: "no burst, announced", burst: 0.02, most: 1.10, capacity: announced},
		{name: "ten seconds' burst", burst: 10, most: 1.0, limited: 0.06, capacity: reduced(1)},
		{name: "one worker", workers: 1, most: 1.10, capacity: cold(0.4, true)},
		{name: "waits in whole seconds: reduced", most: 1.10, capacity: simulator.Capacity{PerSecond: mu, Factor: 0.6, RetryAfter: simulator.RetrySeconds}},
		{name: "waits in whole seconds: grown", most: 1.10, capacity: simulator.Capacity{PerSecond: mu, Factor: 1.5, RetryAfter: simulator.RetrySeconds}},
		{name: "does not say how long: reduced", most: 1.10, capacity: simulator.Capacity{PerSecond: mu, Factor: 0.6, RetryAfter: simulator.RetryNone}},
		{name: "refusals take seconds", slowNo: true, slow: true, most: 1.10, limited: 0.08, capacity: reduced(1)},
		{name: "refusals take seconds: reduced", slowNo: true, slow: true, most: 1.15, limited: 0.09, capacity: reduced(0.6)},
		{name: "counts by the minute", window: time.Minute, most: 1.10, capacity: reduced(1)},
		{name: "counts by the minute, silent", window: time.Minute, most: 1.10, capacity: simulator.Capacity{PerSecond: mu, RetryAfter: simulator.RetryNone}},
		{name: "counts by the second, silent", window: time.Second, most: 1.20, capacity: simulator.Capacity{PerSecond: mu, RetryAfter: simulator.RetryNone}},
		{name: "tokens are the limit", most: 1.10, capacity: simulator.Capacity{PerSecond: mu}, tokens: 1000, limits: jobs.Limits{TokensPerMinute: 1000 * mu * 60}},
	}
}

// Answers that take seconds, refusals that do not, and eight workers: the figures
// of the first simulation.
func drainSlow() []drainScene {
	cold := simulator.Capacity{PerSecond: 50, ColdFrom: 0.4, ColdFor: 5 * time.Minute}
	melting := cold
	melting.Melts = true
	return []drainScene{
		{name: "slow: clean", most: 1.10, capacity: simulator.Capacity{PerSecond: 50}},
		{name: "slow: cold", most: 1.05, capacity: cold},
		{name: "slow: reduced", most: 1.15, capacity: simulator.Capacity{PerSecond: 50, Factor: 0.6}},
		{name: "slow: grown", most: 1.40, capacity: simulator.Capacity{PerSecond: 50, Factor: 1.5}},
		{name: "slow: relapse", most: 1.25, relapses: true, capacity: simulator.Capacity{
			PerSecond: 50, RelapseAfter: time.Minute, RelapseFor: 2 * time.Minute,
		}},
		{name: "slow: melting", most: 1.05, capacity: melting},
	}
}

// Few requests a minute, counted by the minute, of which nothing is said: much of each
// minute is refused, and the target is in order all the same.
func drainTight() (scenes []drainScene) {
	for _, workers := range []int{1, 2} {
		for _, perMinute := range []int{10, 60} {
			for _, slow := range []bool{false, true} {
				each := float64(perMinute) / 60
				scenes = append(scenes, drainScene{
					name: fmt.Sprintf("%d a minute, %d workers, slow: %t", perMinute, workers, slow), most: 1.10, limited: 0.7,
					workers: workers, slow: slow, backlog: 15 * perMinute, arrivals: each / 5, lastGood: unheardOf, window: time.Minute,
					capacity: simulator.Capacity{PerSecond: each, RetryAfter: simulator.RetryNone},
				})
			}
		}
	}
	return scenes
}

// A backlog drains in little more than the time that all of the capacity would
// take, and the circuit stays closed. `go test -v -run TestDrain` prints how long.
func TestDrain(t *testing.T) {
	t.Parallel()
	for _, scene := range drainBench() {
		scene.workers, scene.backlog, scene.arrivals, scene.lastGood = 2, 30_000, 100, 485
		drains(t, scene, 1)
		scene.name += " at a fifth"
		scene.capacity.PerSecond, scene.backlog, scene.arrivals, scene.lastGood = 100, 6_000, 20, 97
		drains(t, scene, 2)
	}
	for _, scene := range drainMore() {
		scene.workers, scene.lastGood = orElse(scene.workers, 2), orElse(scene.lastGood, 97)
		scene.backlog, scene.arrivals = orElse(scene.backlog, 6_000), orElse(scene.arrivals, 20)
		drains(t, scene, 1)
	}
	for _, scene := range drainSlow() {
		scene.workers, scene.backlog, scene.arrivals, scene.lastGood, scene.slow = 8, 6_000, 20, 48.5, true
		drains(t, scene, 1)
	}
	for _, scene := range drainTight() {
		drains(t, scene, 1)
	}
}

func drains(t *testing.T, scene drainScene, seeds uint64) {
	for seed := range seeds {
		t.Run(fmt.Sprintf("%s/%d", scene.name, seed), func(t *testing.T) {
			t.Parallel()
			got := newDrainWorld(scene, seed).run()
			t.Logf("%-32s over optimal %.3f  optimum %6.1fs  429s %.2f%%  failed %3d  trips %d", scene.name, got.overOptimal(), got.optimum.Seconds(), 100*got.rateLimited(), got.failed, got.trips)
			if got.took == 0 || got.overOptimal() > scene.most {
				t.Errorf("it took %.2f of the optimum, at most %.2f", got.overOptimal(), scene.most)
			}
			if most := orElse(scene.limited, 0.04); got.rateLimited() >= most {
				t.Errorf("%.1f%% of its calls met a 429, at most %.1f%%", 100*got.rateLimited(), 100*most)
			}
			if got.droughts > 0 {
				t.Errorf("%d times it was taken for one that takes nothing", got.droughts)
			}
			if got.trips > 0 && !scene.relapses {
				t.Errorf("a circuit opened again %d times", got.trips)
			}
		})
	}
}
