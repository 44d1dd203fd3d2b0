package integration

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"tidegate/routing/simulator"
)

// demoSurvives runs the demo over a few small texts: the same outage, told in
// less time.
func demoSurvives(t *testing.T, p program) {
	const documents = 40
	texts := t.TempDir()
	for i := range documents {
		text := fmt.Sprintf("Gate %d closed at dusk. The tide rose by %d hands. By dawn the land was dry again, and nobody had to wake.", i, i)
		check(t, os.WriteFile(filepath.Join(texts, fmt.Sprintf("gate-%02d.txt", i)), []byte(text), 0o600))
	}
	folder := filepath.Join(t.TempDir(), "kept")
	r := p.start(t, nil, "demo", "--json", "--documents", texts, "--keep", folder)
	if code := r.end(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	report := lastLine[map[string]float64](t, r.out.String())
	promised := strings.Fields("documents answered lost duplicates attempts_burned calls_during_outage rerouted paused_s drained_s cost_usd self_replay_latency replayed_dear_first_cost")
	for _, key := range promised {
		if _, ok := report[key]; !ok {
			t.Errorf("the report has no %s, only %v", key, slices.Sorted(maps.Keys(report)))
		}
	}
	got := map[string]float64{}
	for _, key := range promised[:5] {
		got[key] = report[key]
	}
	if diff := gocmp.Diff(map[string]float64{"documents": documents, "answered": documents, "lost": 0, "duplicates": 0, "attempts_burned": 0}, got); diff != "" {
		t.Error(diff)
	}
	// Three circuits trip, with eight calls in flight, and are probed for 8 s.
	if calls := report["calls_during_outage"]; calls < 3 || calls > 3*(5+8+9) {
		t.Errorf("%v calls during the outage", calls)
	}
	if report["rerouted"] == 0 || report["paused_s"] < 4 || report["drained_s"] <= 0 || report["cost_usd"] <= 0 {
		t.Errorf("no outage was staged: %v", report)
	}
	if report["self_replay_latency"] <= 0 || report["replayed_dear_first_cost"] <= 0 {
		t.Errorf("it was not replayed: %v", report)
	}
	kept := []string{"replay", "--from-file", filepath.Join(folder, "attempts.parquet"), "--against", filepath.Join(folder, "demo.yaml"), "--policy", filepath.Join(folder, "dear.yaml")}
	if r := p.start(t, nil, kept...); r.end() != 0 || !strings.Contains(r.out.String(), fmt.Sprintf("Replayed %d requests", documents)) || !strings.Contains(r.out.String(), "Self-replay error: demo.yaml") {
		t.Errorf("what the demo keeps is not replayed:\n%s", r.out.String())
	}
}

// A demo of one's own providers keeps to the budgets of its file, and ends when they are
// spent: nobody could raise them.
func TestDemoKeepsBudgets(t *testing.T) {
	t.Parallel()
	sim, err := simulator.New(providers(latency))
	check(t, err)
	at := serve(t, sim)
	p := buildProgram(t)
	texts := t.TempDir()
	for i := range 30 {
		text := fmt.Sprintf("Gate %d closed at dusk. The tide rose. By dawn the land was dry again, and nobody had to wake.", i)
		check(t, os.WriteFile(filepath.Join(texts, fmt.Sprintf("gate-%02d.txt", i)), []byte(text), 0o600))
	}
	for budget, want := range map[string]string{
		"{total: 0.08}":   " of $0.08 in all; raise it in ",
		"{per_day: 0.08}": " of $0.08 today, ",
		"{total: 0.001}":  "0 of 30 documents were answered; what is left of the budget of route r is too little for the others: $0.00 of $0.001 in all",
	} {
		t.Run(budget, func(t *testing.T) {
			t.Parallel()
			file := write(t, "tidegate.yaml", "targets:", "  - {name: a, provider: p, base_url: "+at+"/cheap/v1, model: sim-small, price: {input: 100, output: 100}}",
				"routes:", "  - {name: r, chain: [a], budget: "+budget+"}")
			r := p.start(t, nil, "demo", "--config", file, "--documents", texts)
			if code := r.end(); code != 1 || !strings.Contains(r.errors.String(), want) || !strings.Contains(r.errors.String(), "or take fewer with --limit") {
				t.Errorf("exit code %d\n%s\n%s", code, r.out, r.errors)
			}
		})
	}
}
