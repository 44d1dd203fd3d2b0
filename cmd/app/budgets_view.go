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
	budgetShort = "short" // some requests wait for more than is left, while smaller ones go on
	budgetSpent = "spent"
	budgetUnset = "unset"
)

// tightShare is the part of a limit from which status shows a budget.
const tightShare = 0.8

// A budgetView is a budget as JSON shows it.
type budgetView struct {
	Scope      jobs.BudgetScope  `json:"scope"`
	Name       string            `json:"name"`
	State      string            `json:"state"`                               // open, tight, short, spent or unset
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
	Dearest    *jobs.MicroUSD    `json:"dearest_request_micro_usd,omitempty"` // of those that wait for a raise, of …
	RaiseDay   *jobs.MicroUSD    `json:"raise_per_day_to_micro_usd,omitempty"`
	RaiseTotal *jobs.MicroUSD    `json:"raise_total_to_micro_usd,omitempty"` // … at least so much
	SetBy      jobs.BudgetSetter `json:"set_by"`
	InFile     bool              `json:"in_file"` // the configuration names it, perhaps with other limits
}

// budgetState says how a budget stands.
func budgetState(b *jobs.Budget) string {
	switch {
	case b.None():
		return budgetUnset
	case b.Out(), b.UsedUp():
		return budgetSpent
	case b.Short():
		return budgetShort
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
			Since: b.Since, Reserved: b.Reserved, Waiting: b.Parked, SetBy: b.SetBy, InFile: b.InFile,
		}
		if needs := b.Raise(); b.Parked > 0 {
			views[i].Dearest, views[i].RaiseDay, views[i].RaiseTotal = amount(b.Dearest), amount(needs.PerDay), amount(needs.Total)
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
	if said, remedy := short(b); said != "" {
		notes = append(notes, said+": "+remedy)
	}
	return notes
}

// short says for what money requests wait that others do not wait for, and what would
// do; empty: there are none.
func short(b *jobs.Budget) (said, remedy string) {
	needs := b.Raise()
	switch {
	case !b.Short() && (b.Parked == 0 || needs.None()):
		return "", ""
	case b.Short() && b.UsedUp():
		said = together(b.Parked, "request", "waits", "wait") + "; "
	case b.Short():
		said = together(b.Parked, "request", "waits", "wait") + " for more money than is left, while smaller ones go on; "
	}
	said = fmt.Sprintf("budget of %s: %s", b.BudgetKey, said)
	if !needs.None() {
		return fmt.Sprintf("%sthe dearest may cost %s, and goes on when the budget is at least %s", said, b.Dearest, limitsText(needs)), b.RaiseTo(needs)
	}
	if _, _, ofTotal := b.Tightest(); ofTotal { // noted by a worker of an earlier version
		return said + "it goes on when it is raised", b.Remedy(true)
	}
	return said + "it goes on at 00:00 UTC, or when it is raised", b.Remedy(false)
}

// tight are the budgets that status shows.
func tight(budgets []jobs.Budget) []jobs.Budget {
	var shown []jobs.Budget
	for i := range budgets {
		if state := budgetState(&budgets[i]); state == budgetTight || state == budgetShort || state == budgetSpent {
			shown = append(shown, budgets[i])
		}
	}
	return shown
}
