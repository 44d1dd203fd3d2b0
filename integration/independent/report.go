package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"tidegate/jobs"
)

// A report is what is printed; the JSON object is its exported part.
type report struct {
	Mock          string                        `json:"mock"`
	Questions     int                           `json:"questions"`
	Answered      int                           `json:"answered"`
	Lost          int                           `json:"lost"`
	Duplicates    int                           `json:"duplicates"` // answers that were bought again, those of calls that timed out too
	Events        int                           `json:"events"`
	AttemptsMax   int                           `json:"attempts_max"`
	Heard         int                           `json:"refusals_heard"`
	Misheard      int                           `json:"refusals_wrong"`
	Calls         int                           `json:"calls"`
	Wasted        int                           `json:"wasted_calls"`
	Rerouted      int                           `json:"rerouted"`
	Classes       map[string]map[jobs.Class]int `json:"classes"`
	Opened        map[string]int                `json:"circuits_opened"`
	RoundsSeconds map[string]*float64           `json:"rounds_s"`
	Seconds       *float64                      `json:"seconds"`
	Failed        []string                      `json:"failed"`

	words  []word
	rounds []roundFigures
}

// roundFigures are those of one round.
type roundFigures struct {
	name      string
	questions int
	span      span
	calls     int
	classes   map[string]map[jobs.Class]int // of calls that were no answer, by dialect
}

// verify gathers the evidence, checks it, and fills in the report.
func (s *stage) verify(ctx context.Context, questions []question, r *report) error {
	e, err := s.gather(ctx, r.rounds[0].span.began)
	if err != nil {
		return err
	}
	found := e.check(questions, r.rounds[len(r.rounds)-1].span.began)
	for _, w := range r.words {
		found.that(w.right(), "classes", "%s, %s: it is %s and asks to wait %s; it has to be %s and %s", w.Dialect, w.Asked, w.Got, w.wait[0], w.Want, w.wait[1])
	}
	r.fill(e, questions)
	r.Failed = append([]string{}, found.failed...)
	return found.err()
}

func (r *report) fill(e *evidence, questions []question) {
	r.Questions, r.Heard, r.Opened, r.Rerouted = len(questions), len(r.words), e.opened, e.rerouted()
	for _, w := range r.words {
		if !w.right() {
			r.Misheard++
		}
	}
	for _, row := range e.stored {
		if row.State == jobs.StateAnswered {
			r.Answered++
		}
	}
	r.Lost = r.Questions - r.Answered
	for _, heard := range e.events {
		r.Events += len(heard)
	}
	for attempt := range e.river {
		r.AttemptsMax = max(r.AttemptsMax, attempt)
	}
	whole := map[int]int{}
	for _, all := range e.served {
		for _, one := range all {
			if one.whole && one.number >= 0 {
				if whole[one.number]++; whole[one.number] > 1 {
					r.Duplicates++
				}
			}
		}
	}
	r.Classes = map[string]map[jobs.Class]int{}
	for _, one := range e.calls {
		r.Calls++
		if one.Class != jobs.OK {
			r.Wasted++
		}
		add(r.Classes, one)
		for i := range r.rounds {
			r.rounds[i].add(one)
		}
	}
	r.RoundsSeconds = map[string]*float64{}
	for _, round := range r.rounds {
		r.RoundsSeconds[round.name] = seconds(round.span)
	}
}

func add(classes map[string]map[jobs.Class]int, one call) {
	if classes[one.Target] == nil {
		classes[one.Target] = map[jobs.Class]int{}
	}
	classes[one.Target][one.Class]++
}

func (f *roundFigures) add(one call) {
	if one.At.Before(f.span.began) || one.At.After(f.span.ended) {
		return
	}
	f.calls++
	if one.Class != jobs.OK {
		if f.classes == nil {
			f.classes = map[string]map[jobs.Class]int{}
		}
		add(f.classes, one)
	}
}

func seconds(s span) *float64 {
	rounded := float64(s.ended.Sub(s.began).Round(100*time.Millisecond)) / float64(time.Second)
	return &rounded
}

// finish prints the tables and, last, the JSON object.
func (r *report) finish(w io.Writer, failed error) error {
	if r.Questions == 0 { // nothing could be gathered
		return failed
	}
	fmt.Fprintf(w, "%s, met by the client alone:\n\n%s\n", r.Mock, wordTable(r.words))
	fmt.Fprintf(w, "%d questions through %d workers:\n\n%s\n", r.Questions, processes, r.roundTable())
	fmt.Fprintf(w, "%d of %d calls wasted, %d requests of the chain re-routed, circuits opened: %s; %d lost, %d duplicates, River attempts at most %d, %.0f s\n\n",
		r.Wasted, r.Calls, r.Rerouted, counts(r.Opened), r.Lost, r.Duplicates, r.AttemptsMax, *r.Seconds)
	return errors.Join(json.NewEncoder(w).Encode(r), failed)
}

func wordTable(words []word) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "dialect\tasked of the mock\tstatus\tclass\twait\t")
	sorted := slices.SortedStableFunc(slices.Values(words), func(a, b word) int {
		return cmp.Compare(slices.Index(dialects, a.Dialect), slices.Index(dialects, b.Dialect))
	})
	for _, one := range sorted {
		status, wait, right := "-", "", ""
		if one.Status != 0 {
			status = strconv.Itoa(one.Status)
		}
		if one.wait[0] > 0 {
			wait = one.wait[0].String()
		}
		if !one.right() {
			right = fmt.Sprintf("WRONG: to be %s %s", one.Want, one.wait[1])
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", one.Dialect, one.Asked, status, one.Got, wait, right)
	}
	_ = w.Flush() // into memory
	return text.String()
}

func (r *report) roundTable() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "round\tquestions\tcalls\ts\t%s\t\n", strings.Join(dialects, "\t"))
	for _, round := range r.rounds {
		fmt.Fprintf(w, "%s\t%d\t%d\t%.1f", round.name, round.questions, round.calls, *seconds(round.span))
		for _, dialect := range dialects {
			fmt.Fprintf(w, "\t%s", cmp.Or(counts(round.classes[dialect]), "-"))
		}
		fmt.Fprintln(w, "\t")
	}
	_ = w.Flush() // into memory
	return text.String()
}

// counts writes what was counted, in the order of its names.
func counts[K ~string](of map[K]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, of[name]))
	}
	return strings.Join(parts, ", ")
}
