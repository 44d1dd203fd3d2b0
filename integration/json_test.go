package integration

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tidegate/integration/fixture"
)

// TestStandardOutputIsForResults: with -o - and --wait there are output lines
// on it and nothing else, so that another program can read it.
func TestStandardOutputIsForResults(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	for _, more := range [][]string{nil, {"--json"}} {
		args := append([]string{"enqueue", write(t, "in.jsonl", numbered(3, openaiLine)...), "--wait", "-o", "-"}, more...)
		got := s.must(args...)
		lines := decodeLines[outputLine](t, got.out)
		if len(lines) != 3 || slices.ContainsFunc(lines, func(l outputLine) bool { return l.Response == nil }) {
			t.Errorf("%v: the standard output is\n%s", more, got.out)
		}
		if !strings.Contains(got.errors, "batch_") || !strings.Contains(got.errors, "completed") {
			t.Errorf("%v: it said %q", more, got.errors)
		}
	}
}

// TestListsAreListsInJSON: also those that are empty, for programs that count
// them.
func TestListsAreListsInJSON(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	status := lastLine[map[string]json.RawMessage](t, s.must("status", "--json").out)
	for _, list := range []string{"routes", "targets", "batches"} {
		if string(status[list]) != "[]" {
			t.Errorf("%s is %s", list, status[list])
		}
	}
}

// TestACircuitThatNeverChangedHasNoReason: a program that looks for one must not
// find prose that says that there is none.
func TestACircuitThatNeverChangedHasNoReason(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	fixture.Await(t, soon, "the fleet knows the circuits", func() bool { return s.count("SELECT count(*) FROM tidegate.circuits") == 3 })
	status := lastLine[struct{ Targets []map[string]any }](t, s.must("status", "--json").out)
	listed := lastLine[struct{ Circuits []map[string]any }](t, s.must("circuits", "--json").out)
	for _, circuits := range [][]map[string]any{status.Targets, listed.Circuits} {
		for _, c := range circuits {
			if reason, said := c["reason"]; said || c["target"] == nil {
				t.Errorf("%v has the reason %v", c["target"], reason)
			}
		}
		if len(circuits) != 3 {
			t.Errorf("%d circuits are known", len(circuits))
		}
	}
	for _, verb := range []string{"status", "circuits"} {
		if text := s.must(verb).out; !regexp.MustCompile(`(?m)^sim-cheap .* -$`).MatchString(text) {
			t.Errorf("%s does not say that there is no reason:\n%s", verb, text)
		}
	}
}

// TestSimulateSaysInJSONWhereItListens: the base URL of each provider.
func TestSimulateSaysInJSONWhereItListens(t *testing.T) {
	t.Parallel()
	r := run(t, "simulate", "--json", "--listen", "127.0.0.1:0")
	fixture.Await(t, soon, "it says where", func() bool { return strings.HasSuffix(r.out.String(), "}\n") })
	at := lastLine[map[string]string](t, r.out.String())
	if len(at) != 3 || !strings.HasSuffix(at["cheap"], "/cheap/v1") {
		t.Errorf("it says %v", at)
	}
}

// TestInitSaysInJSONWhatItWrote: the file, and which targets are ready in it.
func TestInitSaysInJSONWhatItWrote(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.yaml")
	got := tidegate(t, "init", path, "--json")
	said := lastLine[struct {
		File    string
		Targets []string
	}](t, got.out)
	if got.code != 0 || said.File != path || said.Targets == nil {
		t.Errorf("%+v", got)
	}
}
