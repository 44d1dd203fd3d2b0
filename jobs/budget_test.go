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

func TestBudgetLimitsThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	for limits, bad := range map[jobs.BudgetLimits]bool{{}: false, {PerDay: 1}: false, {PerDay: -1}: true, {Total: -1}: true, {Total: 1 << 62}: true} {
		if err := limits.Check(); (err != nil) != bad {
			t.Errorf("%+v: %v", limits, err)
		}
	}
}
