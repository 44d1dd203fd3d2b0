package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"tidegate/jobs"
	"tidegate/store"
)

func newBudgetsCommand(o *options) *cobra.Command {
	var ended bool
	cmd := &cobra.Command{
		Use:     "budgets",
		GroupID: groupUse,
		Short:   "List budgets, or set and unset one",
		Long: `budgets shows what tenants, routes and batches may spend, a day (of UTC) and in
all, what they have spent since the budget was set, what is reserved for calls
that are under way, and how many jobs wait for money. Below stands what canaries and
probes cost, a day: they are of no request.

Before each call its expected cost is reserved of every budget that its request is
under; what it did cost is settled with its attempt. Where there is not enough,
the request waits: it does not fail, and no attempt is burned. It goes on by itself
when the budget is raised or unset, or when a day begins.

A command goes before the configuration until that says something else.`,
		Example: `  tidegate budgets
  tidegate budgets set --tenant acme --per-day 5 --total 100
  tidegate budgets set --batch batch_0199… --total 12.50
  tidegate budgets unset --route summaries`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.showBudgets(cmd, ended)
		},
	}
	cmd.Flags().BoolVar(&ended, "ended", false, "those of batches that have ended, too")
	cmd.AddCommand(newBudgetsSetCommand(o), newBudgetsUnsetCommand(o))
	return cmd
}

// budgetFlags say which budget is meant.
type budgetFlags struct{ tenant, route, batch string }

func (f *budgetFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "the budget of this tenant")
	cmd.Flags().StringVar(&f.route, "route", "", "the budget of this route")
	cmd.Flags().StringVar(&f.batch, "batch", "", "the budget of this batch")
}

// key is the budget that is meant: exactly one.
func (f *budgetFlags) key() (jobs.BudgetKey, error) {
	var named []jobs.BudgetKey
	for _, key := range []jobs.BudgetKey{{Scope: jobs.BudgetTenant, Name: f.tenant}, {Scope: jobs.BudgetRoute, Name: f.route}, {Scope: jobs.BudgetBatch, Name: f.batch}} {
		if key.Name != "" {
			named = append(named, key)
		}
	}
	if len(named) != 1 {
		return jobs.BudgetKey{}, usagef("say whose budget it is: one of --tenant, --route and --batch")
	}
	return named[0], checkTenant(f.tenant)
}

func newBudgetsSetCommand(o *options) *cobra.Command {
	f, perDay, total := &budgetFlags{}, "", ""
	cmd := &cobra.Command{
		Use:   "set",
		Short: "Set, raise or lower a budget",
		Long: `set gives a tenant, a route or a batch a budget in US dollars, or changes it. What
is not named stays as it is; none ends a limit. What was spent stays counted: it
counts from when the budget was first set. Workers keep it within a second, and
what waits for it goes on at once if there is enough now.`,
		Example: `  tidegate budgets set --tenant acme --per-day 5 --total 100
  tidegate budgets set --route summaries --per-day 0.50
  tidegate budgets set --route summaries --per-day none --total 20`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := f.key()
			if err != nil {
				return err
			}
			var change store.BudgetChange
			if err := firstError(readLimit("--per-day", perDay, &change.PerDay), readLimit("--total", total, &change.Total)); err != nil {
				return err
			}
			if change == (store.BudgetChange{}) {
				return usagef("say what may be spent: --per-day, --total or both, in US dollars, as in --per-day 5")
			}
			return o.changeBudget(cmd, key, func(ctx context.Context, s *store.Store) error { return s.SetBudget(ctx, key, change) })
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&perDay, "per-day", "", "most that may be spent on a day of UTC, in US dollars; none for no limit")
	cmd.Flags().StringVar(&total, "total", "", "most that may be spent in all, in US dollars; none for no limit")
	return cmd
}

// readLimit reads an amount of a flag. An empty one says nothing.
func readLimit(flag, text string, into **jobs.MicroUSD) error {
	if text == "" {
		return nil
	}
	var limit jobs.MicroUSD
	if text != "none" {
		var err error
		if limit, err = jobs.ParseDollars(text); err != nil {
			return usagef("%s: %w", flag, err)
		}
		if limit == 0 {
			return usagef("%s: must be above zero; none is no limit, and `tidegate pause` has a route spend nothing", flag)
		}
	}
	*into = &limit
	return nil
}

func newBudgetsUnsetCommand(o *options) *cobra.Command {
	f := &budgetFlags{}
	cmd := &cobra.Command{
		Use:   "unset",
		Short: "End a budget",
		Long: `unset ends the limits of a budget; what waits for it goes on. One that the
configuration sets stays unset until that says something else. Any other is
forgotten with what was spent: set again, it begins with nothing.`,
		Example: `  tidegate budgets unset --tenant acme`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := f.key()
			if err != nil {
				return err
			}
			return o.changeBudget(cmd, key, func(ctx context.Context, s *store.Store) error { return s.UnsetBudget(ctx, key) })
		},
	}
	f.register(cmd)
	return cmd
}

// showBudgets shows all budgets, and what is spent for no request.
func (o *options) showBudgets(cmd *cobra.Command, ended bool) error {
	pool, err := o.connect(cmd.Context(), 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	s, out := store.New(pool), cmd.OutOrStdout()
	budgets, err := s.Budgets(cmd.Context(), ended)
	if err != nil {
		return err
	}
	days, err := s.NoRequestDays(cmd.Context(), canaryDays)
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(out, map[string]any{"budgets": viewBudgets(budgets), "canaries_and_probes": viewNoRequests(days)})
	}
	return firstError(writeBudgets(out, budgets), writeNoRequests(out, days))
}

// changeBudget changes a budget and shows how it stands then.
func (o *options) changeBudget(cmd *cobra.Command, key jobs.BudgetKey, do func(context.Context, *store.Store) error) error {
	ctx := cmd.Context()
	pool, err := o.connect(ctx, 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	s := store.New(pool)
	switch err := do(ctx, s); {
	case errors.Is(err, store.ErrNotFound) && cmd.Name() == "unset":
		return fmt.Errorf("there is no budget of %s; `tidegate budgets` lists those that there are", key)
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("there is no %s; `tidegate status` lists routes and batches", key)
	case err != nil:
		return err
	}
	budgets, err := s.Budgets(ctx, true)
	if err != nil {
		return err
	}
	budgets = slices.DeleteFunc(budgets, func(b jobs.Budget) bool { return b.BudgetKey != key })
	if o.json {
		return printJSON(cmd.OutOrStdout(), map[string]any{"budgets": viewBudgets(budgets)})
	}
	return writeBudgets(cmd.OutOrStdout(), budgets)
}
