package prices

import (
	"fmt"
	"strings"
)

// mostFaults is how many faults of a file are said.
const mostFaults = 20

// A Fault is one thing that is wrong with a file of prices, with what would be
// right.
type Fault struct {
	Line  int    // counted from 1; zero: nowhere in the file
	Entry string // as in "openai/gpt-5-mini"; empty: the file as a whole
	Field string // as in "usd_per_mtok.input"; empty: the entry as a whole
	Text  string
}

// String says where it is and what.
func (f Fault) String() string {
	said := f.Text
	for _, part := range []string{f.Field, f.Entry} {
		if part != "" {
			said = part + ": " + said
		}
	}
	if f.Line > 0 {
		said = fmt.Sprintf("line %d: %s", f.Line, said)
	}
	return said
}

// An Error is all that is wrong with a file of prices, in its order.
type Error struct{ Faults []Fault }

// Error writes each fault on a line, the first ones if there are many.
func (e *Error) Error() string {
	if len(e.Faults) == 1 {
		return e.Faults[0].String()
	}
	var all strings.Builder
	fmt.Fprintf(&all, "%d things are wrong:", len(e.Faults))
	for i, fault := range e.Faults {
		if i == mostFaults {
			fmt.Fprintf(&all, "\n  and %d more", len(e.Faults)-i)
			break
		}
		all.WriteString("\n  " + fault.String())
	}
	return all.String()
}
