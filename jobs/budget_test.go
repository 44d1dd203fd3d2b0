package jobs_test

import (
	"testing"

	"tidegate/jobs"
)

func TestParseDollars(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]jobs.MicroUSD{
		"5": 5_000_000, "$5.25": 5_250_000, "0.000001": 1, "0.1": 100_000, "007": 7_000_000, "999999999.999999": 999_999_999_999_999, "0": 0,
	} {
		if got, err := jobs.ParseDollars(text); got != want || err != nil {
			t.Errorf("%s is %d, want %d: %v", text, got, want, err)
		}
	}
	for _, text := range []string{"", "-5", "5,00", "1e3", "0.0000001", "5 USD", "€5", "5.", ".5", "10000000000", "NaN"} {
		if got, err := jobs.ParseDollars(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestBudgetSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limits       jobs.BudgetLimits
		today, spent jobs.MicroUSD
		left         jobs.MicroUSD
		share        float64
	}{
		{jobs.BudgetLimits{PerDay: 100}, 40, 900, 60, 0.4},
		{jobs.BudgetLimits{Total: 1000}, 40, 900, 100, 0.9},
		{jobs.BudgetLimits{PerDay: 100, Total: 1000}, 40, 900, 60, 0.9},
		{jobs.BudgetLimits{PerDay: 100, Total: 1000}, 40, 990, 10, 0.99},
		{jobs.BudgetLimits{Total: 100}, 0, 150, -50, 1.5},
	} {
		b := jobs.Budget{BudgetLimits: c.limits, SpentToday: c.today, Spent: c.spent}
		if b.Left() != c.left || b.Share() != c.share {
			t.Errorf("%+v: %d are left and a share of %v is spent, want %d and %v", c, b.Left(), b.Share(), c.left, c.share)
		}
	}
}

// What the dearest of those that wait needs is said with the command that gives it.
func TestBudgetSaysWhatRaiseItNeeds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limits                jobs.BudgetLimits
		today, spent, dearest jobs.MicroUSD
		needs                 jobs.BudgetLimits
		command               string
	}{
		{jobs.BudgetLimits{Total: 1_000_000}, 0, 600_000, 500_000, jobs.BudgetLimits{Total: 1_100_000}, "tidegate budgets set --tenant acme --total 1.10"},
		{jobs.BudgetLimits{Total: 1_000_000}, 0, 0, 1_000_001, jobs.BudgetLimits{Total: 1_000_001}, "tidegate budgets set --tenant acme --total 1.000001"},
		{jobs.BudgetLimits{PerDay: 1_000_000}, 400_000, 900_000, 2_000_000, jobs.BudgetLimits{PerDay: 2_000_000}, "tidegate budgets set --tenant acme --per-day 2.00"},
		{jobs.BudgetLimits{PerDay: 1_000_000}, 400_000, 900_000, 700_000, jobs.BudgetLimits{}, ""}, // the next day
		{jobs.BudgetLimits{PerDay: 1_000_000, Total: 3_000_000}, 0, 2_000_000, 2_000_000, jobs.BudgetLimits{PerDay: 2_000_000, Total: 4_000_000}, "tidegate budgets set --tenant acme --per-day 2.00 --total 4.00"},
		{jobs.BudgetLimits{PerDay: 1_000_000, Total: 3_000_000}, 0, 2_500_000, 600_000, jobs.BudgetLimits{Total: 3_100_000}, "tidegate budgets set --tenant acme --total 3.10"},
		{jobs.BudgetLimits{Total: 1_000_000}, 0, 1_200_000, 0, jobs.BudgetLimits{}, ""}, // nobody knows what it costs
	} {
		b := jobs.Budget{
			BudgetKey: jobs.BudgetKey{Scope: jobs.BudgetTenant, Name: "acme"}, BudgetLimits: c.limits, SpentToday: c.today, Spent: c.spent, Dearest: c.dearest,
		}
		needs := b.Raise()
		if needs != c.needs || !needs.None() && b.RaiseTo(needs) != c.command {
			t.Errorf("%+v: it needs %+v: %s", c, needs, b.RaiseTo(needs))
		}
	}
}

func TestBudgetLimitsThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	for limits, bad := range map[jobs.BudgetLimits]bool{{}: false, {PerDay: 1}: false, {PerDay: -1}: true, {Total: -1}: true, {Total: 1 << 62}: true} {
		if err := limits.Check(); (err != nil) != bad {
			t.Errorf("%+v: %v", limits, err)
		}
	}
}
