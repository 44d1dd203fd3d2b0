package main

import (
	"errors"
	"math"
	"testing"
	"time"

	"tidegate/routing/simulator"
)

var usual = plan{backlog: 30_000, arrivals: 100, capacity: 500, coldFor: 5 * time.Minute, relapse: relapse{time.Minute, 2 * time.Minute}}

func within(t *testing.T, what string, got time.Duration, want float64) {
	t.Helper()
	if math.Abs(got.Seconds()-want) > 0.02 {
		t.Errorf("%s: %.3f s, want %.3f s", what, got.Seconds(), want)
	}
}

// The integral is held to what can be found with a pencil.
func TestOptimum(t *testing.T) {
	t.Parallel()
	all := demand{waiting: 30_000, perSecond: 100}
	cold := func(waiting float64) float64 { return math.Sqrt(100*100+2*waiting) - 100 } // 200 + t are taken, 100 arrive
	for name, want := range map[string]struct{ plain, bursts float64 }{
		"clean":   {75, 29_500. / 400},
		"cold":    {cold(30_000), cold(29_800)},
		"reduced": {150, 29_700. / 200},
		"grown":   {30_000. / 650, 29_250. / 650},
		// 24,000 in the first minute, 12,000 more arrive in the relapse, and the rest.
		"relapse": {180 + 18_000./400, 180 + 17_000./400},
		"melting": {cold(30_000), cold(29_800)},
	} {
		chosen, err := choose(name)
		if err != nil {
			t.Fatal(err)
		}
		capacity := chosen[0].after(usual)
		plain, plainErr := all.optimum(capacity, 0, false)
		bursts, burstsErr := all.optimum(capacity, 0, true)
		if err := errors.Join(plainErr, burstsErr); err != nil {
			t.Fatal(err)
		}
		within(t, name, plain, want.plain)
		within(t, name+" with bursts", bursts, want.bursts)
	}
}

func TestOptimumBeginsLater(t *testing.T) {
	t.Parallel()
	cold := simulator.Capacity{PerSecond: 500, ColdFrom: 0.4, ColdFor: 5 * time.Minute}
	got, err := demand{waiting: 1000, perSecond: 100}.optimum(cold, 300*time.Second, false)
	if err != nil {
		t.Fatal(err)
	}
	within(t, "when it is warm", got, 2.5)
}

func TestOptimumAtItsEnds(t *testing.T) {
	t.Parallel()
	if _, err := (demand{waiting: 1, perSecond: 100}).optimum(simulator.Capacity{PerSecond: 100}, 0, false); !errors.Is(err, errEndless) {
		t.Errorf("as much arrives as is taken: %v", err)
	}
	if got, err := (demand{waiting: 400, perSecond: 100}).optimum(simulator.Capacity{PerSecond: 500}, 0, true); got != 0 || err != nil {
		t.Errorf("a backlog within one burst takes %s, %v", got, err)
	}
	if got, err := (demand{waiting: 400, perSecond: 100}).optimum(simulator.Capacity{}, 0, false); got > step || err != nil {
		t.Errorf("without a bound it takes %s, %v", got, err)
	}
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios {
		before, after := s.before(usual), s.after(usual)
		if err := errors.Join(before.Validate(), after.Validate()); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		if before.At(0) != 500 || before.Announces == s.silent || after.Announces == s.silent {
			t.Errorf("%s: it takes %v before, and after %+v", s.name, before.At(0), after)
		}
		if silent := s.name == "reduced" || s.name == "grown"; s.silent != silent {
			t.Errorf("%s: silent is %v", s.name, s.silent)
		}
	}
	if got := scenarios[2].after(usual).At(time.Hour); got != 300 {
		t.Errorf("reduced takes %v a second", got)
	}
	for _, names := range []string{"", "clean,clean", "tepid", "clean,"} {
		if got, err := choose(names); err == nil {
			t.Errorf("%q chooses %d scenarios", names, len(got))
		}
	}
	if got, err := choose("melting,cold"); err != nil || len(got) != 2 || got[0].name != "melting" || got[1].name != "cold" {
		t.Errorf("chose %v, %v", got, err)
	}
}
