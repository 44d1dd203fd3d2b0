package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

// watchBudgets ends the demo when what is left of it waits for money: nobody else knows
// its database, so nobody would raise a budget.
func (d *demo) watchBudgets(ctx context.Context, end context.CancelCauseFunc) {
	if !slices.ContainsFunc(d.config.Budgets(), func(b store.FileBudget) bool { return !b.None() }) {
		return
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if err := d.outOfMoney(ctx); err != nil {
			end(err)
			return
		}
	}
}

// outOfMoney is why no document is answered any more; nil: some are, or it is not known.
func (d *demo) outOfMoney(ctx context.Context) error {
	batch, err := d.stack.Store.Batch(ctx, d.batch.ID)
	if err != nil || batch.Ended() {
		return nil
	}
	budgets, err := d.stack.Store.Budgets(ctx, false)
	if err != nil {
		return nil
	}
	ended := batch.Completed + batch.Failed
	for i := range budgets {
		b := &budgets[i]
		if b.Reserved > 0 || b.Parked == 0 || !b.Out() && b.Parked < batch.Total-ended {
			continue // calls are under way, or others go on
		}
		return fmt.Errorf("%d of %s were answered; what is left of the budget of %s is too little for the others: %s; raise it in %s, or take fewer with --limit",
			ended, counted(batch.Total, "document"), b.BudgetKey, spentText(b), d.config.File)
	}
	return nil
}

// spentText is what was spent of the limits of a budget.
func spentText(b *jobs.Budget) string {
	said := spentOf(b.Spent, b.Total) + " in all"
	if b.PerDay > 0 {
		said = spentOf(b.SpentToday, b.PerDay) + " today, " + said
	}
	return said
}
