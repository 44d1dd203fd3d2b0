package prices

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"tidegate/jobs"
)

const (
	// formatVersion is the one format that there is so far.
	formatVersion = "1"
	// MaxBytes bounds a file of prices, of whatever format.
	MaxBytes = 32 << 20
	// day is how dates are written.
	day = "2006-01-02"
	// mostContext is above every context window.
	mostContext = 1_000_000_000
)

// earliest is before every price of a language model.
var earliest = time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC)

// Load reads a table from a file, whole or not at all. The error of a table that
// cannot be right is an *Error.
func Load(path string) (*Table, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("reading prices: %w", &os.PathError{Op: "read", Path: path, Err: errors.New("not a file")})
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading prices: %w", err)
	}
	data, err := ReadAll(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("reading prices: %w", err)
	}
	return Parse(data)
}

// ReadAll reads what may be prices, up to MaxBytes.
func ReadAll(from io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, MaxBytes+1))
	if err == nil && len(data) > MaxBytes {
		err = fmt.Errorf("there are more than %d bytes: it cannot be prices", MaxBytes)
	}
	return data, err
}

// Parse reads a table. The error is an *Error that names all that is wrong.
func Parse(data []byte) (*Table, error) {
	root, fault := parse(data)
	if fault != nil {
		return nil, &Error{Faults: []Fault{*fault}}
	}
	if format := looksLike(root); format == FormatLiteLLM || format == FormatGenAI {
		return nil, &Error{Faults: []Fault{{Line: root.line, Text: fmt.Sprintf("these are prices of %s, not a table: `tidegate prices import` makes one of them", format)}}}
	}
	r := reader{claimed: map[string]int{}}
	source, entries := r.table(root)
	if len(r.faults) > 0 {
		slices.SortStableFunc(r.faults, func(a, b Fault) int { return a.Line - b.Line })
		return nil, &Error{Faults: r.faults}
	}
	return newTable(source, entries), nil
}

// A reader turns nodes into entries, and notes all that is wrong.
type reader struct {
	faults []Fault
	entry  string // that is being read
	// embeddings tells that the entry's model makes them, and so has prices of input alone.
	embeddings bool
	claimed    map[string]int // line of the entry that claims a name and a day
}

func (r *reader) fault(line int, field, format string, args ...any) {
	r.faults = append(r.faults, Fault{Line: line, Entry: r.entry, Field: field, Text: fmt.Sprintf(format, args...)})
}

// want notes what is not of a kind, and members that are not known or stand twice.
func (r *reader) want(n *node, field string, kind kind, known ...string) bool {
	if n.kind != kind {
		r.fault(n.line, field, "must be %s, not %s", kind, n.kind)
		return false
	}
	if kind != object {
		return true
	}
	seen := map[string]bool{}
	for _, m := range n.members {
		at := strings.TrimPrefix(field+"."+m.key, ".")
		switch {
		case seen[m.key]:
			r.fault(m.line, at, "stands twice")
		case !slices.Contains(known, m.key):
			r.fault(m.line, at, "is not a member that is known; %s", didYouMean(m.key, known))
		case m.value.kind == null:
			r.fault(m.line, at, "is null: leave it out if it is not known")
		}
		seen[m.key] = true
	}
	return true
}

func didYouMean(said string, known []string) string {
	if near := jobs.Nearest(said, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "there are " + strings.Join(known, ", ")
}

// need is a member that must be there.
func (r *reader) need(n *node, field, remedy string) *node {
	found := n.get(field)
	if found == nil && !slices.ContainsFunc(n.members, func(m member) bool { return m.key == field }) {
		r.fault(n.line, field, "is missing: %s", remedy)
	}
	return found
}

func (r *reader) table(root *node) (source string, entries []Entry) {
	if !r.want(root, "", object, "version", "source", "prices") {
		return "", nil
	}
	if v := r.need(root, "version", `write "version": 1`); v != nil && v.said != formatVersion {
		r.fault(v.line, "version", "%s is not a version that is known; there is %s", clip(v.said), formatVersion)
	}
	if s := r.need(root, "source", "say where the figures are from, and of which day"); s != nil {
		source = r.text(s, "source")
	}
	all := r.need(root, "prices", "list what models cost")
	if all == nil || !r.want(all, "prices", list) {
		return source, nil
	}
	if len(all.items) == 0 {
		r.fault(all.line, "prices", "there is none in it: nothing would have a price")
	}
	for i, item := range all.items {
		r.entry = fmt.Sprintf("prices[%d]", i)
		if e, ok := r.readEntry(item); ok {
			entries = append(entries, e)
		}
	}
	return source, entries
}

// text is one line that is not empty.
func (r *reader) text(n *node, field string) string {
	switch {
	case !r.want(n, field, text):
	case strings.TrimSpace(n.said) != n.said || n.said == "":
		r.fault(n.line, field, "is empty, or has blanks around it")
	case strings.ContainsFunc(n.said, unicode.IsControl):
		r.fault(n.line, field, "has a line break or another character that cannot be seen")
	default:
		return n.said
	}
	return ""
}

func (r *reader) texts(n *node, field string) []string {
	if n == nil || !r.want(n, field, list) {
		return nil
	}
	var all []string
	for i, item := range n.items {
		all = append(all, r.text(item, fmt.Sprintf("%s[%d]", field, i)))
	}
	return all
}
