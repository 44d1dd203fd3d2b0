package integration

import (
	"strings"
	"testing"

	"tidegate/cmd/app"
	"tidegate/jobs"
	"tidegate/worker/publish"
)

// What answers of a target without a price cost is unknown all the way, to the event
// and the status; those of a free one cost nothing.
func TestUnknownPriceIsNotFree(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		price   *app.PriceConfig
		cost    string // as a person reads it
		unknown bool
	}{
		"unknown": {nil, "unknown", true},
		"free":    {&app.PriceConfig{}, "$0.00", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, staging{config: func(config *app.Config) { config.Targets[0].Price = c.price }})
			s.work(nil)
			batch := s.settle(s.enqueue(3, nil))
			for _, e := range decodeLines[publish.ResultBody](t, s.must("results", batch.ID, "--json").out) {
				if e.State != jobs.StateAnswered || e.Target != "sim-cheap" || (e.CostMicroUSD == nil) != c.unknown {
					t.Errorf("a result is %+v", e)
				}
			}
			results, _ := s.events()
			for _, e := range results {
				if (e.body.CostMicroUSD == nil) != c.unknown {
					t.Errorf("an event has a cost of %v", e.body.CostMicroUSD)
				}
			}
			const unpriced = "SELECT count(*) FROM tidegate.attempts WHERE unpriced AND cost_micro_usd = 0 AND input_tokens > 0"
			if n := s.count(unpriced); (n == 3) != c.unknown {
				t.Errorf("%d attempts are unpriced", n)
			}
			status := s.must("status")
			if got := strings.Contains(status.out, "Warning: nobody knows what calls to sim-cheap cost"); got != c.unknown || !strings.Contains(status.out, c.cost) {
				t.Errorf("status says\n%s", status.out)
			}
			shown := lastLine[struct {
				Without []string `json:"targets_without_price"`
				Targets []struct {
					Target  string         `json:"target"`
					Cost    *jobs.MicroUSD `json:"cost_micro_usd_last_minute"`
					Unknown bool           `json:"price_unknown"`
				} `json:"targets"`
			}](t, s.must("status", "--json").out)
			if (len(shown.Without) == 1) != c.unknown {
				t.Errorf("without a price: %v", shown.Without)
			}
			for _, target := range shown.Targets {
				if target.Target == "sim-cheap" && ((target.Cost == nil) != c.unknown || target.Unknown != c.unknown) {
					t.Errorf("the target is %+v", target)
				}
			}
		})
	}
}
