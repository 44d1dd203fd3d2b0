package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
	"tidegate/store"
)

func TestConfigBudgets(t *testing.T) {
	t.Parallel()
	base := "targets:\n" + targetLines("a") + "routes:\n  - {name: r, chain: [a], budget: {per_day: 5, total: 100.25}}\n  - {name: s, chain: [a]}\ntenants: [{name: acme, budget: {total: 0.000001}}]\n"
	c, _ := parsed(t, base, vars())
	want := []store.FileBudget{
		{BudgetKey: jobs.BudgetKey{Scope: jobs.BudgetRoute, Name: "r"}, BudgetLimits: jobs.BudgetLimits{PerDay: 5_000_000, Total: 100_250_000}},
		{BudgetKey: jobs.BudgetKey{Scope: jobs.BudgetRoute, Name: "s"}},
		{BudgetKey: jobs.BudgetKey{Scope: jobs.BudgetTenant, Name: "acme"}, BudgetLimits: jobs.BudgetLimits{Total: 1}},
	}
	if diff := cmp.Diff(want, c.Budgets()); diff != "" {
		t.Errorf("budgets (-want +got):\n%s", diff)
	}
	after, _ := parsed(t, strings.Replace(base, "tenants: [{name: acme, budget: {total: 0.000001}}]\n", "", 1), vars())
	if got := BudgetsAfter(c.Budgets(), after.Budgets()); !slices.Equal(got, append(want[:2:2], store.FileBudget{BudgetKey: want[2].BudgetKey})) {
		t.Errorf("without the tenant it says %+v", got)
	}
}

func TestConfigRefusesBudgets(t *testing.T) {
	t.Parallel()
	for budget, says := range map[string]string{
		"{}":                       "routes[0].budget: needs per_day or total, in US dollars",
		"{per_day: 0}":             "routes[0].budget.per_day: must be above zero",
		"{per_day: -1}":            "routes[0].budget.per_day: must be above zero",
		"{total: 0.0000001}":       "routes[0].budget.total: 1e-07 is finer than a micro-USD",
		"{total: 2.0000005}":       "routes[0].budget.total: 2.0000005 is finer than a micro-USD",
		"{total: 2000000000}":      "routes[0].budget.total: is more than anybody has",
		"{per_day: five}":          `routes[0].budget.per_day: "five" is not a number like 0.25`,
		"{perday: 5}":              `routes[0].budget.perday: unknown key`,
		"5":                        "routes[0].budget",
		"{per_day: 10, total: 10}": "",
	} {
		t.Run(budget, func(t *testing.T) {
			t.Parallel()
			text := "targets:\n" + targetLines("a") + "routes:\n  - {name: r, chain: [a], budget: " + budget + "}\n"
			_, _, err := Parse([]byte(text), "t.yaml", vars(), Known{})
			if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
				t.Errorf("it says %v, want %q", err, says)
			}
		})
	}
}

func TestConfigWarnsOfBudgets(t *testing.T) {
	t.Parallel()
	text := "targets:\n" + strings.Replace(targetLines("a"), ", price: {input: 1, output: 2}", "", 1) + "routes:\n  - {name: r, chain: [a], budget: {per_day: 10, total: 5}}\n"
	_, warnings := parsed(t, text, vars())
	all := strings.Join(warnings, "\n")
	for _, want := range []string{`routes[0].budget.per_day: is more than total, so it never counts`, `routes[0].chain[0]: "a" has no price, so it is not called while the route has a budget`} {
		if !strings.Contains(all, want) {
			t.Errorf("it does not warn of %q:\n%s", want, all)
		}
	}
}
