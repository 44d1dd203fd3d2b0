package queue_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
	"tidegate/jobs/queue"
)

// The budget of a batch is there with its requests, or not at all.
func TestBudgetOfABatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	limits := jobs.BudgetLimits{PerDay: 5, Total: 70}
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.EnqueueManyTx(t.Context(), tx, some(2), queue.Budget(limits)); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	const kept = "SELECT count(*) FROM tidegate.budgets WHERE scope = 'batch' AND name = $1 AND per_day = 5 AND total = 70 AND set_by = 'producer'"
	if n := w.number("SELECT count(*) FROM tidegate.budgets"); n != 0 {
		t.Errorf("%d budgets are kept of a batch that is not", n)
	}
	batch, err := w.EnqueueMany(t.Context(), some(2), queue.Budget(limits))
	if err != nil {
		t.Fatal(err)
	}
	if n := w.number(kept, batch.ID); n != 1 {
		t.Errorf("%d budgets are kept", n)
	}
	if _, err := w.EnqueueMany(t.Context(), some(2)); err != nil {
		t.Fatal(err)
	}
	if n := w.number("SELECT count(*) FROM tidegate.budgets"); n != 1 {
		t.Errorf("%d budgets are kept where one batch has one", n)
	}
	err = pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error {
		_, err := w.EnqueueManyTx(t.Context(), tx, some(1), queue.Budget(jobs.BudgetLimits{Total: -1}))
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "budget: total: -$0.000001 is below zero") {
		t.Errorf("it takes a budget below zero: %v", err)
	}
}
