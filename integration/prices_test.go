package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
	"tidegate/worker/publish"
)

// What answers of a target without a price cost is unknown all the way, to the event
// and the status; those of a free one cost nothing.
func TestUnknownPriceIsNotFree(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		price   *config.Price
		cost    string // as a person reads it
		unknown bool
	}{
		"unknown": {nil, "unknown", true},
		"free":    {&config.Price{}, "$0.00", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, staging{config: func(conf *config.Config) { conf.Targets[0].Price = c.price }})
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

// Who looks at a fleet, or gives it work, needs no key and no prices: a variable that is
// not set there, and a table that is broken, hide nothing.
func TestCommandsWithoutKeysAndPrices(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	batch := s.settle(s.enqueue(1, nil))
	conf := write(t, "tidegate.yaml", "prices: broken.json", "targets:",
		"  - {name: sim-cheap, provider: sim, model: m, base_url: \"http://127.0.0.1:1/v1\", price: {input: 1, output: 2}, api_key: \"${NOT_SET_ANYWHERE}\"}",
		"routes:", "  - {name: summaries, chain: [sim-cheap]}")
	check(t, os.WriteFile(filepath.Join(filepath.Dir(conf), "broken.json"), []byte("{"), 0o600))
	run := func(args ...string) said {
		return tidegate(t, append(args, "--config", conf, "--database-url", s.URL, "--nats-url", s.NATSURL)...)
	}
	for _, args := range [][]string{{"status"}, {"circuits"}, {"results", batch.ID}, {"pause", "summaries"}, {"resume", "summaries"}, {"migrate"}} {
		got := run(args...)
		if got.code != 0 {
			t.Errorf("%v: exit code %d: %s", args, got.code, got.errors)
		}
		if warned := strings.Contains(got.errors, "broken.json"); warned != (args[0] == "status") {
			t.Errorf("%v says of the table: %q", args, got.errors)
		}
	}
	if got := run("prices"); got.code != 1 || !strings.Contains(got.errors, "broken.json") || strings.Contains(got.errors, "NOT_SET_ANYWHERE") {
		t.Errorf("prices: exit code %d: %s", got.code, got.errors)
	}
}
