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
