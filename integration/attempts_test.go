package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"tidegate/integration/fixture"
)

// listedAttempts is what `tidegate attempts --json` says.
func listedAttempts(t *testing.T, said string) (all []map[string]any) {
	t.Helper()
	return lastLine[struct{ Attempts []map[string]any }](t, said).Attempts
}

// The ledger of one fleet, exported in any format, is the same in another one, and is
// exported from there as it was.
func TestLedgerGoesFromFleetToFleet(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	if got := s.must("attempts"); !strings.Contains(got.out, "no such call") {
		t.Errorf("of an empty ledger it is said: %s", got.out)
	}
	if got := listedAttempts(t, s.must("attempts", "--json").out); got == nil || len(got) != 0 {
		t.Errorf("of an empty ledger: %v", got)
	}
	s.work(nil)
	s.settle(s.enqueue(7, nil))
	listed := listedAttempts(t, s.must("attempts", "--json").out)
	if len(listed) != 7 {
		t.Fatalf("7 calls were made, and %d are listed", len(listed))
	}
	for _, call := range listed {
		if call["class"] != "OK" || call["target"] != "sim-cheap" || call["route"] != summaries || call["arrived_at"] == nil || call["body_bytes"] == nil || call["latency_us"] == nil {
			t.Errorf("a call is %v", call)
		}
	}
	if got := s.must("attempts", "--limit", "3"); strings.Count(got.out, "sim-cheap") != 3 {
		t.Errorf("three calls are\n%s", got.out)
	}
	for _, none := range [][]string{{"--class", "rate"}, {"--target", "sim-dear"}, {"--route", "none"}, {"--until", "1h"}, {"--since", "0s"}} {
		if got := s.must(append([]string{"attempts"}, none...)...); !strings.Contains(got.out, "no such call") {
			t.Errorf("%v: %s", none, got.out)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"log.csv", "log.jsonl.gz", "log.parquet"} {
		file := filepath.Join(dir, name)
		view := lastLine[struct {
			Attempts int
			Bytes    int64
		}](t, s.must("attempts", "export", "-o", file, "--json").out)
		if view.Attempts != 7 || view.Bytes == 0 {
			t.Errorf("%s: %+v", name, view)
		}
		other := fixture.Database(t)
		on := func(args ...string) said { return tidegate(t, append(args, "--database-url", other)...) }
		for i, want := range []string{"7 attempts, 7 new, 0 known", "7 attempts, 0 new, 7 known"} {
			if got := on("attempts", "import", file); got.code != 0 || !strings.Contains(got.out, want) {
				t.Errorf("%s, time %d: %s%s", name, i, got.out, got.errors)
			}
		}
		if diff := gocmp.Diff(listed, listedAttempts(t, on("attempts", "--json").out)); diff != "" {
			t.Errorf("%s (-there +here):\n%s", name, diff)
		}
		again := filepath.Join(dir, "again-"+name)
		if got := on("attempts", "export", "-o", again); got.code != 0 || !strings.Contains(got.out, "Wrote 7 attempts") {
			t.Errorf("%s: %s%s", name, got.out, got.errors)
		}
		first, err := os.ReadFile(file)
		check(t, err)
		second, err := os.ReadFile(again)
		check(t, err)
		if string(first) != string(second) {
			t.Errorf("%s is another file when it is exported from there", name)
		}
	}
}

// What is asked for wrongly, and what is wrong in a file, is said with what would be right.
func TestLedgerSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	broken := write(t, "broken.csv", "at,route,target,class,latency_us", "2026-03-01T12:00:00Z,r,a,OK,12", "2026-03-01T12:00:01Z,r,a,GOOD,12")
	unclassed := write(t, "unclassed.csv", "at,route,target,class,latency_us", "2026-03-01T12:00:00Z,r,a,,12")
	azure := write(t, "azure.csv", "TIMESTAMP,ContextTokens,GeneratedTokens", "2023-11-16 18:17:03.97,4808,10")
	for _, is := range []struct {
		code int
		want string
		args []string
	}{
		{2, "--class: there is no class \"SLOW\"; there are OK, RATE", []string{"attempts", "--class", "slow"}},
		{2, "--since: \"lately\" is neither how long ago", []string{"attempts", "--since", "lately"}},
		{2, "--until: 2d is not after --since 1d", []string{"attempts", "--since", "1d", "--until", "2d"}},
		{2, "--limit: -1 is below zero", []string{"attempts", "--limit", "-1"}},
		{2, "the ending of log.txt is that of no format; name one of .csv", []string{"attempts", "export", "-o", "log.txt"}},
		{2, "--format: \"xml\" is not a format", []string{"attempts", "export", "--format", "xml"}},
		{2, "Parquet is compressed already", []string{"attempts", "export", "-o", "log.parquet.gz"}},
		{1, "make its folder first", []string{"attempts", "export", "-o", filepath.Join(t.TempDir(), "none", "log.csv")}},
		{2, "takes the files to read", []string{"attempts", "import"}},
		{2, "--route: \"A B\" is not a name", []string{"attempts", "import", "x", "--route", "A B"}},
		{1, "no such file: none.csv", []string{"attempts", "import", "none.csv"}},
		{1, "broken.csv:3: class: \"GOOD\" is no class; there are", []string{"attempts", "import", broken}},
		{1, "unclassed.csv:2: class: a call has one; there are OK", []string{"attempts", "import", unclassed}},
		{1, "it is a trace of requests alone (azure2023), and a ledger is of calls; `tidegate replay --from-file", []string{"attempts", "import", azure}},
	} {
		if got := s.tidegate(is.args...); got.code != is.code || !strings.Contains(got.errors, is.want) {
			t.Errorf("%v: exit code %d, and it is said: %s", is.args, got.code, got.errors)
		}
	}
	if n := s.count("SELECT count(*) FROM tidegate.attempts"); n != 0 {
		t.Errorf("%d attempts came of broken files", n)
	}
	old := write(t, "old.jsonl", `{"request_id":"mine","at":"2020-03-01T12:00:00Z","route":"r","target":"a","class":"OK","latency_us":1}`)
	_, err := s.Pool.Exec(t.Context(), "INSERT INTO tidegate.retention (what, keep, swept_at) VALUES ('attempts', interval '30 days', now())")
	check(t, err)
	if got := s.must("attempts", "import", old); !strings.Contains(got.out, "Warning: attempts are kept for 30d: those before") {
		t.Errorf("of attempts that are too old it is said: %s", got.out)
	}
}

// No words of a prompt, and none of a provider, are in what is exported.
func TestExportQuotesNobody(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	_, err := s.Pool.Exec(t.Context(), `INSERT INTO tidegate.attempts (request_id, at, latency_us, route, target, class, status, code, message, decision)
		VALUES (gen_random_uuid(), now(), 1, 'r', 'a', 'BAD_REQUEST', 400, 'he said: Mrs Miller', 'Mrs Miller is ill', '{"g":"cost","why":"Mrs Miller","skipped":[{"at":"2026-03-01T12:00:00Z","target":"b","reason":"Mrs Miller"}]}')`)
	check(t, err)
	for _, format := range []string{"csv", "jsonl"} {
		got := s.must("attempts", "export", "--format", format)
		if strings.Contains(got.out, "Miller") || !strings.Contains(got.out, "BAD_REQUEST") {
			t.Errorf("%s: %s", format, got.out)
		}
	}
	var listed map[string]json.RawMessage
	check(t, json.Unmarshal([]byte(s.must("attempts", "--json").out), &listed))
	if strings.Contains(string(listed["attempts"]), "Miller") {
		t.Errorf("it is listed: %s", listed["attempts"])
	}
}
