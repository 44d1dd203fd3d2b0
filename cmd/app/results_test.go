package app

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOutputIsCheckedWithoutTouchingIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	link, loose, pipe := filepath.Join(dir, "link"), filepath.Join(dir, "loose"), filepath.Join(dir, "pipe")
	for _, err := range []error{
		os.WriteFile(whole, []byte("of before"), 0o600), os.Symlink(whole, link),
		os.Symlink(filepath.Join(dir, "gone"), loose), syscall.Mkfifo(pipe, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"", "-", whole, link, filepath.Join(dir, "new"), pipe, os.DevNull} {
		if err := checkOutput(path); err != nil { // a pipe would keep it waiting for a reader
			t.Errorf("%s: %v", path, err)
		}
	}
	if text, err := os.ReadFile(whole); err != nil || string(text) != "of before" {
		t.Errorf("the file is now %q, %v", text, err)
	}
	for path, says := range map[string]string{loose: "leads nowhere", dir: "directory", filepath.Join(dir, "no", "file"): "no such"} {
		if err := checkOutput(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v does not say %q", path, err, says)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 4 {
		t.Errorf("%d files are left: %v", len(left), err)
	}
}

func TestOutputGoesThroughALink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link, whole := filepath.Join(dir, "link"), filepath.Join(dir, "whole")
	if err := os.WriteFile(whole, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(whole, link); err != nil {
		t.Fatal(err)
	}
	out, err := createOutput(link)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.file.WriteString("results"); err != nil {
		t.Fatal(err)
	}
	if err := out.finish(nil); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v", err)
	}
	if text, err := os.ReadFile(whole); err != nil || string(text) != "results" {
		t.Errorf("it leads to %q, %v", text, err)
	}
}

func TestOutputThatCannotBeWrittenIsNamed(t *testing.T) {
	t.Parallel()
	nowhere := filepath.Join(t.TempDir(), "nowhere", "results.jsonl")
	for _, err := range []error{checkOutput(nowhere), func() error { _, err := createOutput(nowhere); return err }()} {
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("it says %v", err)
		}
		if want := "writing " + nowhere + ": no such file or directory; make its folder first, or name another file"; err.Error() != want {
			t.Errorf("it says %q; want %q", err, want)
		}
	}
	renamed := &os.LinkError{Op: "rename", Old: "/d/.out.1", New: "/d/out", Err: syscall.EISDIR}
	if got := cannotWrite("out", renamed).Error(); got != "writing out: is a directory" {
		t.Errorf("it says %q", got)
	}
}

// A person reads what was said, of whatever endpoint, and a count of vectors.
func TestAnswerTextOfEachEndpoint(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"choices":[{"message":{"content":"hi"}}]}`:                                   "hi",
		`{"choices":[{"message":{"refusal":"no"}}]}`:                                   "no",
		`{"choices":[{"text":"hi"},{"text":"ho"}]}`:                                    "hi",
		`{"output":[{"type":"reasoning"},{"content":[{"text":"a"},{"refusal":"b"}]}]}`: "a\nb",
		`{"data":[{"embedding":[1,2,3]},{"embedding":[4,5,6]}]}`:                       "2 vectors of 3 numbers",
		`{"data":[{"embedding":"AACAPw=="}]}`:                                          "1 vector",
		`{"data":[{"id":"x"}]}`:                                                        `{"data":[{"id":"x"}]}`,
		`no JSON`:                                                                      "no JSON",
	} {
		if got := answerText([]byte(body)); got != want {
			t.Errorf("%s: %q", body, got)
		}
	}
}
