package jobs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// How a request may fail that no class of an attempt tells. With the classes of those
// that were refused, they are what a retry chooses by.
const (
	FailedRefused   Class = "REFUSED" // refused, whatever the class
	FailedExpired   Class = "EXPIRED"
	FailedCancelled Class = "CANCELLED"
	FailedPoison    Class = "POISON"
)

// unrefused are those of requests that nobody refused: they are tried again only by
// name.
var unrefused = []Class{FailedExpired, FailedCancelled, FailedPoison}

// Failures counts requests that ended without an answer, by class.
type Failures map[Class]int

// Sum is how many they are.
func (f Failures) Sum() (n int) {
	for _, some := range f {
		n += some
	}
	return n
}

// Classes lists the classes, in the order of their names.
func (f Failures) Classes() []Class { return slices.Sorted(maps.Keys(f)) }

// String says it as people do: "9 CONTENT, 3 CONTEXT".
func (f Failures) String() string {
	parts := make([]string, 0, len(f))
	for _, class := range f.Classes() {
		parts = append(parts, fmt.Sprintf("%d %s", f[class], class))
	}
	return strings.Join(parts, ", ")
}

// Of is those of some classes, and the rest. None at all is FailedRefused.
func (f Failures) Of(classes []Class) (chosen, rest Failures) {
	if len(classes) == 0 {
		classes = []Class{FailedRefused}
	}
	chosen, rest = Failures{}, Failures{}
	for class, n := range f {
		if slices.Contains(classes, class) || slices.Contains(classes, FailedRefused) && !slices.Contains(unrefused, class) {
			chosen[class] = n
		} else {
			rest[class] = n
		}
	}
	return chosen, rest
}

// FailureClasses lists what a retry may choose by: every class but that of answers, and
// how requests fail beside.
func FailureClasses() []Class {
	return append(append(Classes()[1:], FailedRefused), unrefused...)
}

// ParseFailureClass reads one of FailureClasses, in letters of any size.
func ParseFailureClass(name string) (Class, error) {
	class := Class(strings.ToUpper(strings.TrimSpace(name)))
	if all := FailureClasses(); !slices.Contains(all, class) {
		said := make([]string, len(all))
		for i, known := range all {
			said[i] = string(known)
		}
		return "", fmt.Errorf("%.80q is not a class of failures; there are: %s", name, strings.Join(said, ", "))
	}
	return class, nil
}

// A Retry asks for a new batch of those requests of another one that failed. What is
// left empty stays as it was.
type Retry struct {
	ID        string // of the new batch
	Of        string // of the one that is to be tried again
	Tenant    string // whose that must be; empty: anybody's
	CreatedAt time.Time
	Classes   []Class // none: FailedRefused
	// Route, Goal and MaxCost are instead of each request's own.
	Route, Goal string
	MaxCost     MicroUSD
	// Within is how long all of them have, and Window the same as it was written; zero:
	// each has as long again as it had.
	Within time.Duration
	Window string
	// Metadata is the new batch's; nil: that of the other one, but for what steers.
	Metadata map[string]string
	Limits   *BudgetLimits // of the new batch; nil: those of the other one
}

// SteeringPrefix begins the keys of a batch's metadata that say how it is to be done.
const SteeringPrefix = "tidegate."

// A BatchRetry is what a batch tries again, and what is other than it was.
type BatchRetry struct {
	Took      Failures `json:"took"` // requests
	Route     string   `json:"route,omitempty"`
	Goal      string   `json:"goal,omitempty"`
	MaxCost   MicroUSD `json:"max_cost_micro_usd,omitempty"`
	NewWindow bool     `json:"new_window,omitempty"` // all have until its end, whatever they had
	InputFile string   `json:"input_file_id,omitempty"`
}

// Again makes a request anew that failed before, in another batch; empty: in none. It
// has no id yet.
func (r *Request) Again(batch string, how *BatchRetry, now time.Time) {
	had := time.Duration(0)
	if !r.Deadline.IsZero() {
		had = r.Deadline.Sub(r.CreatedAt)
	}
	r.RetryOf, r.ID, r.BatchID, r.CreatedAt, r.Deadline = r.ID, "", batch, now, time.Time{}
	if had > 0 && !how.NewWindow {
		r.Deadline = now.Add(had)
	}
	if how.Route != "" {
		r.Route = how.Route
	}
	if how.Goal != "" {
		r.Goal = how.Goal
	}
	if how.MaxCost != 0 {
		r.MaxCost = how.MaxCost
	}
}
