package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"tidegate/jobs"
)

func TestFlags(t *testing.T) {
	t.Parallel()
	p, err := parse([]string{"--per-route", "180"})
	if err != nil || p.perRoute != 180 || p.program != "bin/tidegate" {
		t.Errorf("got %+v, %v", p, err)
	}
	for _, bad := range [][]string{{"--per-route", "149"}, {"--per-route", "10001"}, {"--within", "0s"}, {"--nothing"}} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

// TestQuestionsAreOfEveryKind: each round but the last asks every route in every
// shape, and no number comes twice.
func TestQuestionsAreOfEveryKind(t *testing.T) {
	t.Parallel()
	kinds, scripts := map[string]bool{}, map[*refusal]bool{}
	for i, q := range (plan{perRoute: 300}).questions() {
		if q.number != i {
			t.Fatalf("question %d has the number %d", i, q.number)
		}
		kinds[q.round+q.route+q.shape] = true
		scripts[q.script] = true
		request, err := q.request()
		if err != nil || request.Validate() != nil || numberIn(request.Body) != q.number {
			t.Fatalf("question %d is %s: %v, %v", i, request.Body, err, request.Validate())
		}
	}
	for _, round := range []string{calmRound, refusedRound, chaosRound} {
		for _, route := range routes {
			for _, shape := range shapes {
				if !kinds[round+route+shape] {
					t.Errorf("in round %s, route %s has no %s", round, route, shape)
				}
			}
		}
	}
	for i := range refusals {
		if refusals[i].scripted && !scripts[&refusals[i]] {
			t.Errorf("nobody meets %s of %s", refusals[i], refusals[i].dialect)
		}
	}
}

// TestRefusalsAreOfEveryClass: but of those that the mock has no words for.
func TestRefusalsAreOfEveryClass(t *testing.T) {
	t.Parallel()
	met := map[string]bool{}
	for _, r := range refusals {
		met[r.dialect+string(r.class)] = true
	}
	met["gemini"+string(jobs.Content)] = true // it is a 200, without the candidates that the mock always has
	for _, dialect := range dialects {
		for _, class := range []jobs.Class{jobs.Rate, jobs.Quota, jobs.Overload, jobs.Transient, jobs.Timeout, jobs.Auth, jobs.Context, jobs.Content, jobs.BadRequest} {
			if !met[dialect+string(class)] {
				t.Errorf("%s has no %s", dialect, class)
			}
		}
	}
}

// TestFixturesTellScriptsApart: only the first target of a question has its script.
func TestFixturesTellScriptsApart(t *testing.T) {
	t.Parallel()
	q := question{number: 12, route: chainRoute, shape: toolCall, script: &refusals[4]}
	first, second := q.fixtures("openai"), q.fixtures("anthropic")
	if len(first) != 2 || first[0].Match.SequenceIndex == nil || first[0].Response["status"] != 503 || first[1].Match.SequenceIndex != nil {
		t.Errorf("openai knows %+v", first)
	}
	if len(second) != 1 || second[0].Match.ToolName != "tide" || second[0].Response["toolCalls"] == nil {
		t.Errorf("anthropic knows %+v", second)
	}
}

// TestMockIsPinned: by one version and its digest, and from no registry of somebody's.
func TestMockIsPinned(t *testing.T) {
	t.Parallel()
	text, err := pinned.ReadFile("aimock/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Version, Integrity, License string }
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		t.Fatal(err)
	}
	got := lock.Packages["node_modules/"+mockPackage]
	if got.Version != mockVersion || !strings.HasPrefix(got.Integrity, "sha512-") || got.License != "MIT" || len(lock.Packages) != 2 {
		t.Errorf("locked are %+v", lock.Packages)
	}
	if strings.Contains(string(text), "resolved") || strings.Contains(string(text), "://") {
		t.Error("it names where to fetch it from")
	}
	text, err = pinned.ReadFile("aimock/package.json")
	if err != nil || !strings.Contains(string(text), `"`+mockPackage+`": "`+mockVersion+`"`) {
		t.Errorf("%v; package.json wants another version: %s", err, text)
	}
}

// TestReport: the tables name what is wrong, and the last line is the object.
func TestReport(t *testing.T) {
	t.Parallel()
	s := good(t)
	r := &report{Mock: "the mock", words: []word{{Dialect: "openai", Asked: "a 503", Status: 503, Got: jobs.Transient, Want: jobs.Overload}}, Seconds: new(float64)}
	for _, round := range rounds {
		r.rounds = append(r.rounds, roundFigures{name: round, span: span{began, s.at}})
	}
	r.fill(&s.evidence, s.questions)
	var out strings.Builder
	if err := r.finish(&out, nil); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var got report
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got); err != nil {
		t.Fatal(err)
	}
	if got.Questions != 616 || got.Answered != 616 || got.Lost != 0 || got.Duplicates != 0 || got.AttemptsMax != 1 || got.Misheard != 1 || got.Rerouted == 0 || got.Wasted == 0 || got.Calls != len(s.calls) {
		t.Errorf("it is %+v", got)
	}
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, "WRONG: to be OVERLOAD") }) {
		t.Errorf("no line says that a class is wrong:\n%s", out.String())
	}
}
