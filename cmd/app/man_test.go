package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every command and topic has a page, with what its help says, and no line of it is an
// instruction by accident.
func TestManualHasEveryCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := New()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs([]string{"man", dir})
	if err := root.ExecuteContext(t.Context()); err != nil || !strings.HasPrefix(out.String(), "Wrote ") {
		t.Fatalf("%v %s", err, &out)
	}
	known := map[string]bool{"TH": true, "nh": true, "ad": true, "SH": true, "PP": true, "TP": true, "BR": true, "nf": true, "fi": true, "RS": true, "RE": true}
	pages, _ := filepath.Glob(filepath.Join(dir, "*.1"))
	for _, c := range withChildren(root) {
		text, err := os.ReadFile(filepath.Join(dir, manName(c)+".1"))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, wants := range []string{".SH NAME\n", ".SH DESCRIPTION\n", ".SH SEE ALSO\n", manText(c.Short)} {
			if !strings.Contains(string(text), wants) {
				t.Errorf("%s: no %q", c.CommandPath(), wants)
			}
		}
		if c.Example != "" && !strings.Contains(string(text), ".SH EXAMPLES\n") {
			t.Errorf("%s has no examples", c.CommandPath())
		}
		for line := range strings.Lines(string(text)) {
			if name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "."), " "); strings.HasPrefix(line, ".") && !known[name] {
				t.Errorf("%s: %q", c.CommandPath(), line)
			}
		}
	}
	if len(pages) != len(withChildren(root)) {
		t.Errorf("%d pages of %d commands", len(pages), len(withChildren(root)))
	}
	for says, want := range map[string]string{".a": `\&.a`, "'a": `\(aqa`, `a\b -c`: `a\eb \-c`} {
		if got := manText(says); got != want {
			t.Errorf("%q is written as %q, not %q", says, got, want)
		}
	}
}
