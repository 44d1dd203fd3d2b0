package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// steadyLog is a log as a file: requests to two targets, each at once, in which targets
// were explored and nothing happened.
func steadyLog(t *testing.T, requests int) string {
	t.Helper()
	lines := []string{"at,request_id,route,target,class,latency_us,cost_micro_usd,propensity,explored,input_tokens,output_tokens"}
	for i := range requests {
		target, took, cost := "cheap", 400_000, 100
		propensity := 0.9
		if i%10 == 0 {
			target, took, cost, propensity = "dear", 200_000, 1000, 0.1
		}
		at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Second)
		lines = append(lines, fmt.Sprintf("%s,r%d,answers,%s,OK,%d,%d,%v,%v,500,125", at.Format(time.RFC3339), i, target, took+i%7*1000, cost, propensity, i%10 == 0))
	}
	return write(t, "log.csv", lines...)
}

// cheapAndDear is a policy of both with a goal, which explores.
func cheapAndDear(t *testing.T, name, goal string) string {
	t.Helper()
	return write(t, name,
		"targets:",
		"  - {name: cheap, provider: cheap, base_url: http://127.0.0.1:1/v1, model: m, price: {input: 0.1, output: 0.4}}",
		"  - {name: dear, provider: dear, base_url: http://127.0.0.1:1/v1, model: m, price: {input: 1, output: 4}}",
		"routes:",
		"  - {name: answers, chain: [cheap, dear], optimization_goal: "+goal+"}",
		"estimator: {explore: 0.2}",
	)
}

// A new policy fails a check where it is worse than limits, and says by how much; where
// nothing can be said it says that, and its exit code is another one.
func TestPolicyIsChecked(t *testing.T) {
	t.Parallel()
	log, short := steadyLog(t, 900), steadyLog(t, 0)
	old, same, dear := cheapAndDear(t, "old.yaml", "cost"), cheapAndDear(t, "same.yaml", "cost"), cheapAndDear(t, "dear.yaml", "speed")
	strange := write(t, "strange.yaml", "targets:",
		"  - {name: new, provider: new, base_url: http://127.0.0.1:1/v1, model: m, price: {input: 0.1, output: 0.4}}",
		"routes:", "  - {name: answers, chain: [new]}")
	unpriced := write(t, "unpriced.yaml", "targets:", "  - {name: cheap, provider: cheap, base_url: http://127.0.0.1:1/v1, model: m}",
		"routes:", "  - {name: answers, chain: [cheap]}", "estimator: {explore: 0.2}")
	wrong := write(t, "wrong.yaml", "routes:", "  - {name: answers, chain: [cheap]}")
	for _, is := range []struct {
		code int
		want []string
		args []string
	}{
		{0, []string{"it keeps all limits", "the log has none of it"}, []string{same, "--min-deadlines", "99%"}},
		{1, []string{"it is WORSE than it may be", "BROKEN  cost of 1,000 requests", ", surely", "kept    completion, p95"}, []string{dear}},
		{0, []string{"it keeps all limits"}, []string{dear, "--max-cost-increase", "none"}},
		{1, []string{"BROKEN  cost of 1,000 requests", "BROKEN  completion, p95"}, []string{dear, "--max-cost-increase", "none", "--max-cost", "0.5", "--max-p95", "100ms"}},
		{3, []string{"NO VERDICT", "?  cost of 1,000 requests", "which the log has no call of"}, []string{strange}},
		{0, []string{"NO VERDICT"}, []string{strange, "--no-verdict", "pass"}},
		{1, []string{"NO VERDICT"}, []string{strange, "--no-verdict", "fail"}},
		{3, []string{"NO VERDICT", "what cheap costs is not known, and the cost has a limit"}, []string{unpriced, "--max-latency-increase", "none"}},
		{0, []string{"it keeps all limits"}, []string{unpriced, "--max-cost-increase", "none", "--max-latency-increase", "none"}},
		{3, []string{"the log holds no request"}, []string{old, "--from-file", short}},
		{2, []string{"wrong.yaml:2:"}, []string{wrong}},
		{2, []string{"none.yaml"}, []string{"none.yaml"}},
		{2, []string{"no such file: none.csv"}, []string{old, "--from-file", "none.csv"}},
		{2, []string{"--max-cost-increase: \"5\" is not a percentage, as in 5%, nor none"}, []string{old, "--max-cost-increase", "5"}},
		{2, []string{"--no-verdict: \"maybe\" is neither pass nor fail"}, []string{old, "--no-verdict", "maybe"}},
		{2, []string{"takes the configuration to check"}, nil},
		{4, []string{"no Postgres is named"}, []string{old, "--against", old, "no file"}},
	} {
		args := append([]string{"policy", "check", "--against", old}, is.args...)
		switch n := len(args); {
		case is.code == 4:
			args = args[:n-1]
		case !strings.Contains(strings.Join(args, " "), "--from-file"):
			args = append(args, "--from-file", log)
		}
		got := tidegate(t, args...)
		for _, want := range is.want {
			if !strings.Contains(got.out+got.errors, want) {
				t.Errorf("%v does not say %q", is.args, want)
			}
		}
		if t.Failed() || got.code != is.code {
			t.Fatalf("%v: exit code %d, want %d:\n%s%s", is.args, got.code, is.code, got.out, got.errors)
		}
	}
	type sweep struct{ Frontier []string }
	swept := []string{"replay", "--against", old, "--from-file", log, "--sweep", "weights.cost=0:1:0.5"}
	if got := lastLine[sweep](t, tidegate(t, append(swept, "--json")...).out); !strings.Contains(strings.Join(got.Frontier, " "), "weights.cost=0 ") {
		t.Errorf("on the frontier are %v", got.Frontier)
	}
	if got := tidegate(t, append(swept, "--policy", dear, "--policy", same)...); got.code != 2 || !strings.Contains(got.errors, "--sweep: is of one policy") {
		t.Errorf("exit code %d: %s", got.code, got.errors)
	}
	html := filepath.Join(t.TempDir(), "report.html")
	if got := tidegate(t, append(swept, "--html", html)...); got.code != 0 {
		t.Errorf("exit code %d: %s", got.code, got.errors)
	}
	if text, err := os.ReadFile(html); err != nil || !strings.Contains(string(text), "weights.cost=0.5") || !strings.Contains(string(text), "Cost against time") {
		t.Errorf("the page is not what it should be: %v", err)
	}
	if got := tidegate(t, append(swept, "--html", filepath.Join(html, "none.html"))...); got.code == 0 {
		t.Error("a page was written into a file that is no folder")
	}
	var view struct {
		Outcome  string
		Findings []struct {
			Metric       string
			Kept, Surely bool
			Limit        float64
			Is           struct{ At, Low, High float64 }
		}
	}
	got := tidegate(t, "policy", "check", dear, "--against", old, "--from-file", log, "--json")
	if err := json.Unmarshal([]byte(got.out), &view); err != nil || got.code != 1 || view.Outcome != "worse" || len(view.Findings) != 4 {
		t.Fatalf("%v: %+v\n%s%s", err, view, got.out, got.errors)
	}
	if cost := view.Findings[0]; cost.Metric != "cost_usd_per_1k" || cost.Kept || cost.Limit != 0.05 || cost.Is.At < 1 || cost.Is.Low > cost.Is.At || cost.Is.High < cost.Is.At {
		t.Errorf("%+v", cost)
	}
}
