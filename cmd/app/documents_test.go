package app

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

func TestStandardLibrary(t *testing.T) {
	t.Parallel()
	documents, err := StandardLibrary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(documents) < 140 || len(documents) > 250 {
		t.Errorf("%d documents, want about 175", len(documents))
	}
	has := map[string]bool{}
	for _, d := range documents {
		has[d.Name] = true
		if len(d.Text) > maxStandardText || strings.TrimSpace(d.Text) == "" || !utf8.ValidString(d.Text) {
			t.Errorf("%s: %d bytes of text", d.Name, len(d.Text))
		}
		for _, part := range strings.Split(d.Name, "/") {
			if slices.Contains([]string{"internal", "vendor", "testdata", "cmd", "builtin"}, part) {
				t.Errorf("%s cannot be imported", d.Name)
			}
		}
	}
	for _, name := range []string{"net/http", "fmt", "unsafe", "go/doc", "encoding/json", "syscall"} {
		if !has[name] {
			t.Errorf("%s is missing", name)
		}
	}
	if len(has) != len(documents) || !slices.IsSortedFunc(documents, func(a, b Document) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("not sorted, or not each once")
	}
}

// A package whose own comment is short is told by what it exports.
func TestStandardDocumentOfAShortOverview(t *testing.T) {
	t.Parallel()
	src := t.TempDir()
	writeTree(t, src, map[string]string{
		"short/short.go":       "// Copyright.\n\n// Package short is short, see [Thing].\npackage short\n\n// A Thing is exported.\ntype Thing struct{}\n\n// Do does it.\nfunc (Thing) Do() {}\n\n// hidden is not.\nfunc hidden() {}\n",
		"short/short_test.go":  "// Package short tests.\npackage short\n",
		"short/other_plan9.go": "// Package short elsewhere.\npackage short\n",
		"mute/mute.go":         "package mute\n",
		"tool/tool.go":         "// Command tool is one.\npackage main\n",
		"internal/x/x.go":      "// Package x is inside.\npackage x\n",
		"none/readme.txt":      "nothing",
	})
	paths, err := standardPackages(src)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"mute", "none", "short", "tool"}, paths); diff != "" {
		t.Fatal(diff)
	}
	got := map[string]string{}
	for _, path := range paths {
		d, err := standardDocument(src, path)
		if err != nil {
			t.Fatal(err)
		}
		got[path] = d.Text
	}
	want := map[string]string{
		"short": "Package short is short, see Thing.\n\nA Thing is exported.\n\nDo does it.\n",
		"mute":  "", "none": "", "tool": "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCutText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"short":          "short",
		"ten bytes!":     "ten bytes!",
		"ten bytes and!": "ten bytes\n",
		"eleven byte":    "eleven\n",
		"xxxxxxxxxxxx":   "xxxxxxxxxx\n",
		"xxxxxxxxxé":     "xxxxxxxxx\n",
	} {
		if got := cutText(text, 10); got != want {
			t.Errorf("cutText(%q) = %q, want %q", text, got, want)
		}
	}
}

func writeTree(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFolderDocuments(t *testing.T) {
	t.Parallel()
	outside, dir := t.TempDir(), t.TempDir()
	long := strings.Repeat(strings.Repeat("d", 200)+"/", 3) + "x.txt"
	writeTree(t, outside, map[string]string{"secret.txt": "not yours"})
	writeTree(t, dir, map[string]string{
		"b.md":           "\ufeff# B",
		"a/one.txt":      "One.\r\nTwo.",
		"a/deep/two.rst": "Two.",
		"README":         "No extension.",
		"picture.png":    "\x89PNG\x00",
		"latin.txt":      "caf\xe9",
		"blank.txt":      " \n",
		"large.txt":      strings.Repeat("x", MaxDocumentBytes+1),
		"full.txt":       strings.Repeat("x", MaxDocumentBytes),
		".git/config":    "hidden",
		".hidden":        "hidden",
		"caf\xe9.txt":    "A name of before UTF-8.", // not on every file system
		long:             "Deep down.",
	})
	for name, to := range map[string]string{
		"link-in.txt": "b.md", "link-out.txt": filepath.Join(outside, "secret.txt"),
		"link-up.txt": "../" + filepath.Base(outside) + "/secret.txt", "link-dir": "a", "link-nowhere": "gone",
	} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	got, skipped := map[string]string{}, map[string]string{}
	var order []string
	for d, err := range FolderDocuments(dir) {
		var note *SkippedDocument
		switch {
		case err == nil:
			got[d.Name] = d.Text
			order = append(order, d.Name)
		case errors.As(err, &note):
			skipped[note.Name] = note.Reason
		default:
			t.Fatal(err)
		}
	}
	if len(got["full.txt"]) != MaxDocumentBytes {
		t.Error("a file of just the limit is missing")
	}
	delete(got, "full.txt")
	want := map[string]string{"b.md": "# B", "a/one.txt": "One.\r\nTwo.", "a/deep/two.rst": "Two.", "README": "No extension.", "link-in.txt": "# B"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"README", "a/deep/two.rst", "a/one.txt", "b.md", "full.txt", "link-in.txt"}, order); diff != "" {
		t.Error(diff)
	}
	const unreadable = "it cannot be read, or is a link that leaves the folder"
	wantSkipped := map[string]string{
		long: "its path has 608 bytes, at most 512: move it up or rename it", "caf\xe9.txt": "its name is not UTF-8: rename it",
		"picture.png": "it is not UTF-8 text", "latin.txt": "it is not UTF-8 text", "blank.txt": "it is empty",
		"large.txt": "it has 1048577 bytes, at most 1048576: split it", "link-dir": "it is not a file",
		"link-out.txt": unreadable, "link-up.txt": unreadable, "link-nowhere": unreadable,
	}
	if diff := cmp.Diff(wantSkipped, skipped); diff != "" {
		t.Error(diff)
	}
}

func TestFolderDocumentsFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{"file.txt": "x", "empty/.keep": ""})
	for path, says := range map[string]string{"file.txt": "not a directory", "gone": "no such file", "empty": "there is no text file"} {
		count := 0
		for _, err := range FolderDocuments(filepath.Join(dir, path)) {
			if count++; err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v, want %q", path, err, says)
			}
		}
		if count != 1 {
			t.Errorf("%s: %d rounds, want one error", path, count)
		}
	}
	for _, err := range FolderDocuments(dir) {
		if err != nil {
			t.Error(err)
		}
		break // must not go on
	}
}

func TestRequestBody(t *testing.T) {
	t.Parallel()
	got := RequestBody("m", "Sum <up>:", Document{Name: "n", Text: "A \"text\" & more.\n"}, 50)
	want := `{"model":"m","messages":[{"role":"user","content":"Sum <up>:\n\nA \"text\" & more.\n"}],"max_tokens":50}`
	if string(got) != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if err := jobs.EndpointChat.CheckBody(got); err != nil {
		t.Error(err)
	}
	var free map[string]any
	if err := json.Unmarshal(RequestBody("m", "p", Document{Text: "t"}, 0), &free); err != nil || len(free) != 2 {
		t.Errorf("without a limit: %v, %v", free, err)
	}
}

func BenchmarkStandardLibrary(b *testing.B) {
	for b.Loop() {
		if _, err := StandardLibrary(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
