package app

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"tidegate/jobs"
)

// How a budget stands.
const (
	budgetOpen  = "open"
	budgetTight = "tight" // over four fifths of a limit are spent
	budgetSpent = "spent"
	budgetUnset = "unset"
)

// tightShare is the part of a limit from which status shows a budget.
const tightShare = 0.8

// A budgetView is a budget as JSON shows it.
type budgetView struct {
	Scope      jobs.BudgetScope  `json:"scope"`
	Name       string            `json:"name"`
	State      string            `json:"state"`                               // open, tight, spent or unset
	PerDay     *jobs.MicroUSD    `json:"per_day_micro_usd"`                   // null: no limit
	Total      *jobs.MicroUSD    `json:"total_micro_usd"`                     // null: no limit
	SpentToday jobs.MicroUSD     `json:"spent_today_micro_usd"`               // on this day of UTC
	Spent      jobs.MicroUSD     `json:"spent_micro_usd"`                     // since then
	Since      time.Time         `json:"since"`                               //
	Reserved   jobs.MicroUSD     `json:"reserved_micro_usd"`                  // for calls that are under way
	Waiting    int               `json:"waiting"`                             // jobs that wait for it
	OutSince   time.Time         `json:"spent_since,omitzero"`                // since when they do, of one that is spent
	GoesOn     time.Time         `json:"goes_on,omitzero"`                    // by itself; absent: when it is raised
	Why        string            `json:"why,omitempty"`                       // of one that is spent
	Dearest    *jobs.MicroUSD    `json:"dearest_request_micro_usd,omitempty"` // over a whole limit: it waits for a raise
	SetBy      jobs.BudgetSetter `json:"set_by"`
	InFile     bool              `json:"in_file"` // the configuration names it, perhaps with other limits
}

// budgetState says how a budget stands.
func budgetState(b *jobs.Budget) string {
	switch {
	case b.None():
		return budgetUnset
	case b.Out():
		return budgetSpent
	case b.Share() >= tightShare:
		return budgetTight
	default:
		return budgetOpen
	}
}

func viewBudgets(budgets []jobs.Budget) []budgetView {
	amount := func(m jobs.MicroUSD) *jobs.MicroUSD {
		if m == 0 {
			return nil
		}
		return &m
	}
	views := make([]budgetView, len(budgets))
	for i := range budgets {
		b := &budgets[i]
		views[i] = budgetView{
			Scope: b.Scope, Name: b.Name, State: budgetState(b), PerDay: amount(b.PerDay), Total: amount(b.Total), SpentToday: b.SpentToday, Spent: b.Spent,
			Since: b.Since, Reserved: b.Reserved, Waiting: b.Parked, Dearest: amount(b.Dearest), SetBy: b.SetBy, InFile: b.InFile,
		}
		if b.Out() {
			views[i].OutSince, views[i].Why = b.OutSince, b.Reason()
		}
		if b.Out() && !b.OutOfTotal {
			views[i].GoesOn = time.Now().Add(b.DayLeft).UTC().Round(time.Minute)
		}
	}
	return views
}

// spentOf is what was spent of a limit, as a person reads it.
func spentOf(spent, limit jobs.MicroUSD) string {
	if limit == 0 {
		return spent.String()
	}
	return fmt.Sprintf("%s of %s", spent, limit)
}

func writeBudgets(w io.Writer, budgets []jobs.Budget) error {
	if len(budgets) == 0 {
		_, err := fmt.Fprintln(w, "There is no budget. `tidegate budgets set --help` says how to set one.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	writeBudgetTable(table, budgets)
	if err := table.Flush(); err != nil {
		return err
	}
	for i := range budgets {
		for _, line := range budgetNotes(&budgets[i]) {
			fmt.Fprintln(w, line)
		}
	}
	return nil
}

func writeBudgetTable(w io.Writer, budgets []jobs.Budget) {
	fmt.Fprintln(w, "BUDGET\tSTATE\tSPENT TODAY\tSPENT IN ALL\tRESERVED\tWAITING\tSET BY")
	for i := range budgets {
		b := &budgets[i]
		by := string(b.SetBy)
		if b.InFile && b.SetBy != jobs.SetByFile {
			by += ", the file says " + limitsText(b.File)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", b.BudgetKey, budgetState(b), spentOf(b.SpentToday, b.PerDay), spentOf(b.Spent, b.Total), b.Reserved, b.Parked, by)
	}
}

func limitsText(l jobs.BudgetLimits) string {
	switch {
	case l.PerDay > 0 && l.Total > 0:
		return fmt.Sprintf("%s a day and %s in all", l.PerDay, l.Total)
	case l.PerDay > 0:
		return l.PerDay.String() + " a day"
	default:
		return l.Total.String() + " in all"
	}
}

// budgetNotes say of a budget what somebody may have to do about it.
func budgetNotes(b *jobs.Budget) (notes []string) {
	if b.Out() {
		notes = append(notes, b.Reason())
	}
	if b.PassedOver > 0 && !b.Out() {
		notes = append(notes, fmt.Sprintf("budget of %s: %s for more money than is left, while smaller ones go on", b.BudgetKey, together(b.PassedOver, "request", "waits", "wait")))
	}
	if b.Dearest > 0 {
		notes = append(notes, tooDear(b)+": "+b.Remedy(b.Total > 0 && b.Dearest > b.Total))
	}
	return notes
}

// tooDear says that a request never fits.
func tooDear(b *jobs.Budget) string {
	return fmt.Sprintf("budget of %s: a request that may cost %s is dearer than the whole of it, and waits for a raise", b.BudgetKey, b.Dearest)
}

// tight are the budgets that status shows.
func tight(budgets []jobs.Budget) []jobs.Budget {
	var shown []jobs.Budget
	for i := range budgets {
		if state := budgetState(&budgets[i]); state == budgetTight || state == budgetSpent || budgets[i].Dearest > 0 {
			shown = append(shown, budgets[i])
		}
	}
	return shown
}
