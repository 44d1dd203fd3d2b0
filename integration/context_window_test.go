package integration

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
	"tidegate/routing/simulator"
	"tidegate/store"
)

// longPromptsPassSmallWindows: of a chain with a small and a large window, the
// small one is called for what fits it and never for what does not, by two workers;
// and what fits neither is refused without a call.
func longPromptsPassSmallWindows(t *testing.T, p program) {
	const small, large = 8_000, 128_000
	f := newFleet(t, p, staging{
		simulated: func(c *simulator.Config) { c.Providers[0].ContextTokens, c.Providers[1].ContextTokens = small, large },
		config: func(c *config.Config) {
			c.Targets, c.Routes[0].Chain = c.Targets[:2], c.Routes[0].Chain[:2] // newFleet left one
			c.Targets[0].ContextTokens, c.Targets[1].ContextTokens = small, large
		},
	})
	f.hire()
	f.hire()
	words := map[int]int{0: 50, 1: 30_000, 2: 250_000} // tokens, nearly
	batch := f.settle(f.enqueue(30, func(i int, r *jobs.Request) {
		text := fmt.Sprintf("Summarise number %d:%s.", i, strings.Repeat(" tide", words[i%3]))
		r.Body = json.RawMessage(fmt.Sprintf(`{"messages":[{"role":"user","content":%q}]}`, text))
	}))
	f.oneEach(batch)
	if batch.Completed != 20 || batch.Failed != 10 {
		t.Errorf("%d were answered and %d not", batch.Completed, batch.Failed)
	}
	for name, want := range map[string]int{"cheap": 10, "fast": 10} {
		if calls := f.sim.Calls(name); calls.Total != want || calls.Outcomes[simulator.OK] != want {
			t.Errorf("%s got %d calls: %v, want %d that it answers", name, calls.Total, calls.Outcomes, want)
		}
	}
	refused := 0
	for e, err := range f.store.Results(t.Context(), store.Filter{BatchID: batch.ID}) {
		check(t, err)
		if e.State != jobs.StateRefused {
			continue
		}
		refused++
		if e.Class != jobs.Context || e.Code != "context_length_exceeded" || e.Attempts != 0 || !strings.Contains(e.Message, "room for 128,000 (sim-fast)") {
			t.Errorf("%+v", e.Result)
		}
	}
	if refused != 10 || f.calls(jobs.Context) != 0 {
		t.Errorf("%d were refused, %d by a provider", refused, f.calls(jobs.Context))
	}
}
