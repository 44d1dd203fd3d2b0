package integration

import (
	"slices"
	"strings"
	"testing"

	"tidegate/integration/fixture"
)

// TestShellsComplete: a shell is offered the names that there are, also for a word that has
// yet to begin, and nothing where there is no database.
func TestShellsComplete(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	fixture.Await(t, soon, "the fleet knows the circuits", func() bool { return s.count("SELECT count(*) FROM tidegate.circuits") == 3 })
	batch := batchForm.FindString(s.must("enqueue", write(t, "in.jsonl", openaiLine(0)), "--wait").out)
	for begun, want := range map[string]string{
		"pa": "pause", "pause |": summaries, "pause su": summaries, "circuits open |": "sim-cheap", "circuits close sim-d": "sim-dear", "drill --target |": "sim-fast",
		"drill --mode |": "hang", "results |": batch, "why x --batch |": batch, "attempts --class TI": "TIMEOUT", "results --state |": "expired", "help |": "exit-codes", "help exit": "exit-codes",
		"webhooks |": "create", "keys create --scope |": "admin", "enqueue x.jsonl --goal |": "balanced", "status --wa": "--watch",
	} {
		words := strings.Fields(begun)
		if words[len(words)-1] == "|" {
			words[len(words)-1] = ""
		}
		got := tidegate(t, append([]string{"__complete", "--database-url", s.URL}, words...)...)
		var offered []string
		for line := range strings.Lines(got.out) {
			name, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			offered = append(offered, name)
		}
		if got.code != 0 || !slices.Contains(offered, want) {
			t.Errorf("%q is offered %q, without %s: %s", begun, offered, want, got.errors)
		}
	}
	if got := tidegate(t, "__complete", "--database-url", "postgres://u@127.0.0.1:1/db", "pause", ""); got.code != 0 || got.out != ":36\n" {
		t.Errorf("without a database it offers %q: %s", got.out, got.errors)
	}
}
