package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Problem is one mistake in the configuration, with what would be right. It
// never shows a key, nor what a variable holds.
type Problem struct {
	File   string
	Line   int    // counted from 1; zero: nowhere in the file
	Column int    // counted from 1; zero: not known
	Field  string // as in "targets[1].price.input"; empty: the file as a whole
	Text   string
}

// String writes the problem as compilers do, for editors to jump to.
func (p Problem) String() string {
	where := p.File
	if p.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
	if p.Field == "" {
		return where + ": " + p.Text
	}
	return where + ": " + p.Field + ": " + p.Text
}

// A Warning is something in a configuration that works but is hardly meant.
type Warning Problem

// String writes the warning like a Problem.
func (w Warning) String() string { return Problem(w).String() }

// A Error is everything that is wrong with one configuration file.
type Error struct {
	File     string
	Problems []Problem // in the order of the file, at least one
}

// Error writes every problem, one on each line.
func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].String()
	}
	var all strings.Builder
	fmt.Fprintf(&all, "%s has %d problems:", e.File, len(e.Problems))
	for _, p := range e.Problems {
		all.WriteString("\n  " + p.String())
	}
	return all.String()
}

func (r *reader) err() error {
	byPlace := func(a, b Problem) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column)) }
	slices.SortStableFunc(r.problems, byPlace)
	slices.SortStableFunc(r.warnings, func(a, b Warning) int { return byPlace(Problem(a), Problem(b)) })
	if len(r.problems) == 0 {
		return nil
	}
	return &Error{File: r.file, Problems: r.problems}
}

// problem notes a mistake. Only the first of a field is kept: those after it
// mostly follow from it.
func (r *reader) problem(field, format string, args ...any) {
	if r.broken[field] {
		return
	}
	r.broken[field] = true
	r.problems = append(r.problems, r.describe(field, fmt.Sprintf(format, args...)))
}

func (r *reader) warn(field, format string, args ...any) {
	r.warnings = append(r.warnings, Warning(r.describe(field, fmt.Sprintf(format, args...))))
}

// describe places text where its field stands in the file; a field that is not
// there, where the nearest part around it begins.
func (r *reader) describe(field, text string) Problem {
	p := Problem{File: r.file, Field: field, Text: text}
	for around := field; ; {
		if at, ok := r.places[around]; ok {
			p.Line, p.Column = at.line, at.column
			return p
		}
		cut := strings.LastIndexAny(around, ".[")
		if cut < 0 {
			return p
		}
		around = around[:cut]
	}
}
