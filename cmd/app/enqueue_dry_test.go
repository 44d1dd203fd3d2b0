package app

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A dry run of nothing fails as the enqueue of nothing does: a pipe whose first
// part failed has no lines either.
func TestDryRunOfNothingFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"empty.jsonl": "", "blank.jsonl": "\n\n", "bad.jsonl": "not JSON\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"-"},
		{filepath.Join(dir, "empty.jsonl")},
		{filepath.Join(dir, "blank.jsonl"), "--json"},
		{filepath.Join(dir, "bad.jsonl"), "--skip-bad"},
	} {
		root := New()
		var out strings.Builder
		root.SetIn(strings.NewReader(""))
		root.SetOut(&out)
		root.SetErr(io.Discard)
		root.SetArgs(append([]string{"enqueue", "--dry-run", "--data", dir}, args...))
		if err := root.ExecuteContext(t.Context()); err == nil || !strings.HasSuffix(err.Error(), ": there is no request in it") || out.Len() > 0 {
			t.Errorf("%v: %v, %s", args, err, &out)
		}
	}
}

// What is wrong with an expectation is said with its line, before anything is enqueued.
func TestDryRunOfTriesWhereNothingIsExpected(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "in.jsonl")
	const line = `{"route":"summaries","body":{"messages":[{"role":"user","content":"hi"}]},"expect":{"tries":5}}`
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(line, `"tries":5`, `"tries":5,"regex":"."`)+"\n"+line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	root := New()
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	root.SetArgs([]string{"enqueue", "--dry-run", "--data", dir, file})
	if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), `line 2: expect.tries: is about answers that are not as expected, and neither the request nor its route "summaries" expects anything`) {
		t.Errorf("it says %v", err)
	}
}
