package routing

import (
	"testing"
	"time"

	"tidegate/routing/simulator"
)

func drainScenes() []drainScene {
	var scenes []drainScene
	add := func(name string, most float64, change func(*drainScene)) {
		s := drainScene{
			name: name, most: most, workers: 2, backlog: 30_000, arrivals: 100, lastGood: 485, slots: 400,
			capacity: simulator.Capacity{PerSecond: 500, Announces: true},
		}
		change(&s)
		scenes = append(scenes, s)
	}
	cold := func(s *drainScene) { s.capacity.ColdFrom, s.capacity.ColdFor = 0.4, 5*time.Minute }
	for _, form := range []simulator.RetryForm{simulator.RetryBoth, simulator.RetrySeconds, simulator.RetryNone} {
		with := func(change func(*drainScene)) func(*drainScene) {
			return func(s *drainScene) { s.capacity.RetryAfter = form; change(s); s.name += " " + string(form) }
		}
		add("clean", 1.10, with(func(*drainScene) {}))
		add("cold", 1.05, with(cold))
		add("reduced", 1.15, with(func(s *drainScene) { s.capacity.Factor, s.capacity.Announces = 0.6, false }))
		add("grown", 1.40, with(func(s *drainScene) { s.capacity.Factor, s.capacity.Announces = 1.5, false }))
		add("relapse", 1.25, with(func(s *drainScene) {
			s.capacity.RelapseAfter, s.capacity.RelapseFor, s.relapsed = time.Minute, 2*time.Minute, true
		}))
		add("melting", 1.05, with(func(s *drainScene) { cold(s); s.capacity.Melts = true }))
	}
	return scenes
}

func TestDrain(t *testing.T) {
	t.Parallel()
	for _, scene := range drainScenes() {
		for seed := range uint64(3) {
			got := newDrainWorld(scene, seed).run()
			t.Logf("%-16s %d  over %.3f  optimum %6.1f  429 %5.2f%%  failed %3d trips %d fastest %.0f good %.0f", scene.name, seed, got.overOptimal(), got.optimum.Seconds(), 100*got.rateLimited(), got.failed, got.trips, got.fastest, got.lastGood)
		}
	}
}
