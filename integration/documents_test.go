package integration

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tidegate/cmd/app"
)

// A document is one that people read: a file of Markdown in the root or in docs.
type document struct {
	path  string
	prose []prose // its lines
	heads map[string]bool
}

// prose is a line of a document.
type prose struct {
	number int
	text   string
	code   bool // of a block of code
	typed  bool // in a shell
}

func documents(t *testing.T) map[string]*document {
	t.Helper()
	all := map[string]*document{}
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		paths, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all[path] = readDocument(path, string(text))
		}
	}
	if len(all) < 8 {
		t.Fatalf("only %d documents", len(all))
	}
	return all
}

func readDocument(path, text string) *document {
	d := &document{path: path, heads: map[string]bool{}}
	fence := ""
	for i, line := range strings.Split(text, "\n") {
		if kind, is := strings.CutPrefix(strings.TrimSpace(line), "```"); is {
			if fence == "" {
				fence = "```" + kind
			} else {
				fence = ""
			}
			continue
		}
		d.prose = append(d.prose, prose{i + 1, line, fence != "", fence == "```sh"})
		if fence == "" && strings.HasPrefix(line, "#") {
			d.heads[anchor(strings.TrimLeft(line, "# "))] = true
		}
	}
	return d
}

var noAnchor = regexp.MustCompile("[^a-z0-9 _-]")

// anchor is what a heading is linked by.
func anchor(heading string) string {
	return strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"`)

// Every link within the project leads somewhere, to a heading that is there.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	all := documents(t)
	for _, d := range all {
		for _, line := range d.prose {
			for _, found := range link.FindAllStringSubmatch(line.text, -1) {
				to := found[1] + found[2]
				if line.code || strings.Contains(to, "://") {
					continue
				}
				path, head, _ := strings.Cut(to, "#")
				target := d.path
				if path != "" {
					target = filepath.Join(filepath.Dir(d.path), path)
				}
				if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s:%d: %s is not there", d.path, line.number, to)
				} else if head != "" && (all[target] == nil || !all[target].heads[head]) {
					t.Errorf("%s:%d: %s has no such heading", d.path, line.number, to)
				}
			}
		}
	}
}

var backquoted = regexp.MustCompile("`([^`]+)`")

// commands are the commands that a line names: all of it where it is typed in a shell, and
// what stands between backquotes.
func (p prose) commands() []string {
	if p.typed {
		text, _, _ := strings.Cut(p.text, " #")
		return regexp.MustCompile(`&&|\|\||[|;]|\\$`).Split(text, -1)
	}
	if p.code {
		return nil
	}
	var all []string
	for _, found := range backquoted.FindAllStringSubmatch(p.text, -1) {
		all = append(all, found[1])
	}
	return all
}

// What the documents tell people to type is there: each make target, each command of
// tidegate, and each of its flags.
func TestDocumentsSayWhatCanBeTyped(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join("..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, d := range documents(t) {
		for _, line := range d.prose {
			for _, command := range line.commands() {
				words := strings.Fields(command)
				for len(words) > 0 && regexp.MustCompile(`^([A-Z_]+=.*|sudo|\$)$`).MatchString(words[0]) {
					words = words[1:]
				}
				if len(words) < 2 {
					continue
				}
				switch words[0] {
				case "make":
					seen++
					if !regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(words[1])+":").Match(makefile) && regexp.MustCompile("^[a-z-]+$").MatchString(words[1]) {
						t.Errorf("%s:%d: there is no %q", d.path, line.number, command)
					}
				case "tidegate", "bin/tidegate":
					seen++
					if wrong := cannotBeTyped(words[1:]); wrong != "" {
						t.Errorf("%s:%d: %q: %s", d.path, line.number, command, wrong)
					}
				}
			}
		}
	}
	if seen < 200 {
		t.Errorf("only %d commands were found", seen)
	}
	for _, bad := range []string{"stauts", "status --wacth", "policy chekc new.yaml", "circuits open x --reasn y"} {
		if cannotBeTyped(strings.Fields(bad)) == "" {
			t.Errorf("%q can be typed", bad)
		}
	}
}

// cannotBeTyped says what is wrong with a command and its flags; empty: nothing.
func cannotBeTyped(words []string) string {
	command := app.New()
	command.InitDefaultHelpFlag()
	command.InitDefaultVersionFlag()
	command.InitDefaultCompletionCmd(words...)
	command.InitDefaultHelpCmd()
	for len(words) > 0 && command.HasSubCommands() {
		if strings.HasPrefix(words[0], "-") || !regexp.MustCompile("^[a-z-]+$").MatchString(words[0]) {
			break
		}
		next, _, err := command.Find(words[:1])
		if err != nil || next == command {
			return "there is no command " + words[0]
		}
		command, words = next, words[1:]
	}
	return wrongFlag(command, words)
}

func wrongFlag(command *cobra.Command, words []string) string {
	for _, word := range words {
		name, is := strings.CutPrefix(word, "--")
		if name, _, _ = strings.Cut(name, "="); !is || !regexp.MustCompile("^[a-z][a-z-]+$").MatchString(name) {
			continue
		}
		for _, flags := range []*pflag.FlagSet{command.LocalFlags(), command.InheritedFlags()} {
			if flags.Lookup(name) != nil {
				name = ""
				break
			}
		}
		if name != "" && name != "help" {
			return "there is no flag --" + name
		}
	}
	return ""
}
