package app

import (
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
)

// Of a budget that was set to less than is spent nothing is left, also before the next
// request finds that; and who waits needs more than what is spent.
func TestBudgetOfWhichNothingIsLeft(t *testing.T) {
	t.Parallel()
	b := jobs.Budget{BudgetKey: jobs.BudgetKey{Scope: jobs.BudgetTenant, Name: "acme"}, BudgetLimits: jobs.BudgetLimits{Total: 100}, Spent: 300}
	if state := budgetState(&b); state != budgetSpent {
		t.Errorf("it is %s", state)
	}
	b.Parked, b.Dearest = 3, 50
	notes := strings.Join(budgetNotes(&b), "\n")
	if want := "3 requests wait; the dearest may cost $0.00005, and goes on when the budget is at least $0.00035 in all: "; !strings.Contains(notes, want) {
		t.Errorf("it says %q, want %q", notes, want)
	}
	b.Dearest, b.OutSince, b.OutOfTotal = 0, time.Now(), true
	if notes := budgetNotes(&b); len(notes) != 1 {
		t.Errorf("spent, it says %q", notes)
	}
}
