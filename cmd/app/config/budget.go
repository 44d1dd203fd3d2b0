package config

import (
	"fmt"
	"math"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

// Budget is what may be spent, in US dollars. A zero is no limit.
type Budget struct {
	PerDay float64 `yaml:"per_day,omitempty"` // on one day of UTC
	Total  float64 `yaml:"total,omitempty"`   // since the budget was first set
}

// checkBudget notes what is wrong with a budget; nil is none.
func (r *reader) checkBudget(b *Budget, at string) {
	if b == nil || r.broken[at] {
		return
	}
	limits := []struct {
		field   string
		dollars float64
	}{{at + ".per_day", b.PerDay}, {at + ".total", b.Total}}
	given := false
	for _, limit := range limits {
		given = given || r.given(limit.field)
		if r.given(limit.field) && !r.broken[limit.field] {
			r.checkDollars(limit.field, limit.dollars)
		}
	}
	if !given {
		r.problem(at, "needs per_day or total, in US dollars, as in {per_day: 5, total: 100}")
	}
	if b.PerDay > b.Total && b.Total > 0 {
		r.warn(at+".per_day", "is more than total, so it never counts")
	}
}

func (r *reader) checkDollars(field string, dollars float64) {
	micros := dollars * 1e6
	switch {
	case dollars <= 0:
		r.problem(field, "must be above zero; leave it out for no limit, or `tidegate pause` a route that must spend nothing")
	case dollars > 1e9:
		r.problem(field, "is more than anybody has; write US dollars, as in 5 or 2.50")
	case math.Abs(micros-math.Round(micros)) > 1e-9*micros:
		r.problem(field, "%v is finer than a micro-USD: write at most six decimals", dollars)
	}
}

// limits are those of a budget; of none, none.
func (b *Budget) limits() jobs.BudgetLimits {
	if b == nil {
		return jobs.BudgetLimits{}
	}
	return jobs.BudgetLimits{PerDay: jobs.USD(b.PerDay), Total: jobs.USD(b.Total)}
}

// Budgets is what the configuration says of its routes and tenants: also that they
// have none.
func (c *Config) Budgets() []store.FileBudget {
	var said []store.FileBudget
	for _, r := range c.Routes {
		said = append(said, store.FileBudget{BudgetKey: jobs.BudgetKey{Scope: jobs.BudgetRoute, Name: r.Name}, BudgetLimits: r.Budget.limits()})
	}
	for _, t := range c.Tenants {
		said = append(said, store.FileBudget{BudgetKey: jobs.BudgetKey{Scope: jobs.BudgetTenant, Name: t.Name}, BudgetLimits: t.Budget.limits()})
	}
	return said
}

// BudgetsAfter is what a configuration says, and that what the one before it named and
// it does not has no budget.
func BudgetsAfter(before, after []store.FileBudget) []store.FileBudget {
	named := map[jobs.BudgetKey]bool{}
	for _, b := range after {
		named[b.BudgetKey] = true
	}
	for _, b := range before {
		if !named[b.BudgetKey] {
			after = append(after[:len(after):len(after)], store.FileBudget{BudgetKey: b.BudgetKey})
		}
	}
	return after
}

// warnUnpriced warns of targets that a route with a budget never calls.
func (r *reader) warnUnpriced(c *Config, route *Route, at string) {
	if route.Budget == nil {
		return
	}
	for i := range c.Targets {
		t := &c.Targets[i]
		for k, name := range route.Chain {
			if name == t.Name && name != "" && c.Pricing(t, time.Now()).Unknown != "" {
				r.warn(fmt.Sprintf("%s.chain[%d]", at, k), "%q has no price, so it is not called while the route has a budget", name)
			}
		}
	}
}
