package app

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/cmd/app/config"
)

func TestSweepGoesFromTo(t *testing.T) {
	t.Parallel()
	got, err := parseSweep("weights.cost=0:0.3:0.1")
	if err != nil || got.setting != "weights.cost" || !cmp.Equal(got.values, []float64{0, 0.1, 0.2, 0.3}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := parseSweep("a.b=10s:1m:20s"); err != nil || !got.timed || !cmp.Equal(got.values, []float64{10, 30, 50}) || got.text(30) != "30s" {
		t.Errorf("%+v, %v", got, err)
	}
	for text, want := range map[string]string{
		"weights.cost":           "is not a setting with from, to and step",
		"weights.cost=0:1":       "is not a setting with from, to and step",
		"weights.cost=0:1:0":     "never ends",
		"weights.cost=1:0:0.1":   "never ends",
		"weights.cost=0:1:NaN":   "is neither a number nor a time",
		"weights.cost=0:1:0.001": "makes more than 50 policies",
		"weights.cost=0:1:1e-99": "makes more than 50 policies",
	} {
		if _, err := parseSweep(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The simulated providers of dev, of which there is no file, are swept as any others.
func TestSweepOfDev(t *testing.T) {
	t.Setenv("TIDEGATE_CONFIG", "")
	t.Chdir(t.TempDir())
	old, some, err := (&replayed{sweep: "weights.cost=0:1:0.5"}).read(&options{}, "")
	if err != nil || len(some) != 3 || old.name != "the simulated providers of dev" {
		t.Errorf("%d policies of %q: %v", len(some), old.name, err)
	}
}

// A setting is changed in a configuration of its own, which is checked as a file is.
func TestSweepChangesASetting(t *testing.T) {
	t.Parallel()
	base := config.DefaultSimulated("http://127.0.0.1:1")
	base.Strategies = map[string]config.Weights{"mine": {SuccessRate: 0.2, Latency: 0.2, Cost: 0.6}}
	base.Routes[0].Goal = "mine"
	before := base.String()
	with := func(setting string, x float64) *config.Config {
		t.Helper()
		c, err := withSetting(base, setting, x)
		if err != nil {
			t.Fatalf("%s=%v: %v", setting, x, err)
		}
		return c
	}
	c := with("weights.cost", 0.9)
	own := c.Strategies[c.Routes[0].Goal]
	if math.Abs(own.Cost-0.9) > 1e-9 || math.Abs(own.Latency-0.05) > 1e-9 || math.Abs(own.SuccessRate-0.05) > 1e-9 {
		t.Errorf("%q: %+v", c.Routes[0].Goal, own)
	}
	if got := with("weights.latency", 1).Strategies[swept]; got != (config.Weights{Latency: 1}) {
		t.Errorf("%+v", got)
	}
	if got := with("estimator.explore", 0.25).Estimator.Explore; got != 0.25 {
		t.Errorf("explores %v", got)
	}
	if got := with("targets.sim-fast.circuit.failures_in_a_row", 3).Targets[1].Circuit.FailuresInARow; got != 3 {
		t.Errorf("%v failures in a row", got)
	}
	if got := with("targets.sim-fast.timeouts.total", 900).Targets[1].Timeouts.Total; got != 900*time.Second {
		t.Errorf("a timeout of %v", got)
	}
	if got := with("targets.sim-dear.price.output", 3).Targets[2].Price.Output; got != 3 {
		t.Errorf("a price of %v", got)
	}
	if base.String() != before {
		t.Error("the one that it is of has changed, too")
	}
	for setting, want := range map[string]string{
		"weights.price":                "there is no weight \"price\"",
		"estimator.alhpa":              "did you mean \"alpha\"?",
		"estimator.name":               "is not a number, so that it cannot be swept",
		"estimator":                    "is not a number, so that it cannot be swept",
		"estimator.explore.x":          "nothing is below x",
		"targets.sim-fats.price.input": "did you mean \"sim-fast\"?",
		"strategies.mien.cost":         "there is no \"mien\"; there are mine",
		"strategies.mine.cost":         "their sum must be 1",
		"worker.concurrency":           "0.7 is not a whole number",
	} {
		if _, err := withSetting(base, setting, 0.7); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), ":0:") {
			t.Errorf("%s: %v", setting, err)
		}
	}
}
