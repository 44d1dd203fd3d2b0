package app

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/store"
)

// checkBudgets looks for budgets for which requests wait.
func (e *examination) checkBudgets(ctx context.Context, pool *pgxpool.Pool) {
	const about = "budgets"
	budgets, err := store.New(pool).Budgets(ctx, false)
	if err != nil {
		e.wrong(about, "the user needs to read the schema tidegate", "%v", err)
		return
	}
	for i := range budgets {
		b := &budgets[i]
		if b.Out() {
			e.warn(about, b.Remedy(b.OutOfTotal), "%s", b.Reason())
		}
		if said, remedy := short(b); said != "" {
			e.warn(about, remedy, "%s", said)
		}
	}
	if len(budgets) > 0 && len(tight(budgets)) == 0 {
		e.ok(about, "none of %s is spent, or nearly", counted(len(budgets), "budget"))
	}
}
