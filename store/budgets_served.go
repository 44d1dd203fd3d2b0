package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// waitsFor is the budget that a River job is parked for, and waitsWhy says why, as a
// jobs.BudgetWait has them.
const (
	waitsFor = `metadata #>> '{` + jobs.BudgetMark + `,budget}'`
	waitsWhy = `metadata #>> '{` + jobs.BudgetMark + `,why}'`
)

// giveBackAtMost is how many jobs one call gives back: it takes a moment.
const giveBackAtMost = 5000

const beginDay = `/* tidegate: begin day */
WITH over AS (
	SELECT id FROM tidegate.budgets WHERE waits_day < tidegate.today() ORDER BY id FOR UPDATE
)
UPDATE tidegate.budgets b SET waits_day = NULL, passed_over = 0, changed = changed + 1,
	out_since = CASE WHEN out_of_total THEN out_since END
FROM over WHERE b.id = over.id`

// BeginDay sees to it that what waited for the end of a day is tried again, once
// that is over, and returns for how many budgets that was. It returns ErrDeposed if
// held leads no more.
func (s *Store) BeginDay(ctx context.Context, held jobs.Lead) (n int, err error) {
	err = s.asLead(ctx, held, "beginning a day of budgets", func(tx pgx.Tx) error {
		done, err := tx.Exec(ctx, beginDay)
		n = int(done.RowsAffected())
		return err
	})
	return n, err
}

// Jobs go back to where they were in their queue: what waited longest goes first.
const giveParked = `/* tidegate: give back what waits for a budget */
UPDATE tidegate.river_job SET state = 'available', scheduled_at = created_at, metadata = metadata - '` + jobs.BudgetMark + `' WHERE id IN (
	SELECT id FROM tidegate.river_job WHERE state = 'scheduled' AND ` + waitsFor + ` = $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`

// budgetReason is how the reason of what waits for a budget begins, before its key.
const budgetReason = "budget of "

// On a route with fair admission requests wait for money as they do for their turn.
const giveWaiting = `/* tidegate: give back what waits for its turn and a budget */
UPDATE tidegate.waiting SET not_before = NULL, reason = NULL WHERE request_id IN (
	SELECT request_id FROM tidegate.waiting WHERE not_before IS NOT NULL AND starts_with(reason, $1) LIMIT $2 FOR UPDATE SKIP LOCKED)`

const (
	serveBudget = `/* tidegate: serve budget */ UPDATE tidegate.budgets SET served = greatest(served, $2) WHERE id = $1`
	dropBudget  = `/* tidegate: drop budget */
DELETE FROM tidegate.budgets WHERE id = $1 AND per_day IS NULL AND total IS NULL AND NOT in_file AND changed = $2`
)

// GiveBack gives jobs that wait for a budget back to their queues, some thousands,
// and returns how many: zero when there are no more. With last, the budget as it
// was read is served then, and forgotten if it has no limits. It returns ErrDeposed
// if held leads no more.
func (s *Store) GiveBack(ctx context.Context, held jobs.Lead, budget *jobs.Budget, last bool) (n int, err error) {
	err = s.asLead(ctx, held, fmt.Sprintf("giving back what waits for the budget of %s", budget.BudgetKey), func(tx pgx.Tx) error {
		done, err := tx.Exec(ctx, giveParked, budget.String(), giveBackAtMost)
		if err != nil {
			return err
		}
		turned, err := tx.Exec(ctx, giveWaiting, budgetReason+budget.String()+":", giveBackAtMost)
		n = int(done.RowsAffected() + turned.RowsAffected())
		if err != nil || n > 0 || !last {
			return err
		}
		if _, err := tx.Exec(ctx, serveBudget, budget.ID, budget.Changed); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, dropBudget, budget.ID, budget.Changed)
		return err
	})
	return n, err
}

const (
	closeBudgets = `/* tidegate: close budgets */
UPDATE tidegate.budgets b SET closed = true FROM tidegate.batches t
WHERE b.scope = 'batch' AND NOT b.closed AND t.id = b.name AND t.ended_at < now() - interval '10 minutes'
RETURNING 'batch ' || b.name`

	endParkedFor = `/* tidegate: end what is parked for budgets */
UPDATE tidegate.river_job SET state = 'completed', finalized_at = now() WHERE id IN (
	SELECT id FROM tidegate.river_job WHERE state = 'scheduled' AND ` + waitsFor + ` = ANY ($1) FOR UPDATE SKIP LOCKED)`
)

// closeBudgets closes those of batches that ended a while ago. What is still parked
// for them, for a year perhaps, has its result: it expired, say.
func (s *Store) closeBudgets(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, closeBudgets)
	if err != nil {
		return err
	}
	closed, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(closed) == 0 {
		return err
	}
	_, err = tx.Exec(ctx, endParkedFor, closed)
	return err
}

// PauseForBudget pauses a route whose budget is spent, as Pause does for its
// circuits.
func (s *Store) PauseForBudget(ctx context.Context, held jobs.Lead, route, reason string, change func(context.Context, pgx.Tx) error) (changed bool, err error) {
	return s.pause(ctx, held, jobs.Pause{Route: route, Owner: jobs.OwnerBudget, Reason: reason}, change)
}

// ResumeForBudget ends such a pause, as Resume does.
func (s *Store) ResumeForBudget(ctx context.Context, held jobs.Lead, route string, change func(context.Context, pgx.Tx) error) (changed bool, err error) {
	return s.resume(ctx, held, jobs.Pause{Route: route, Owner: jobs.OwnerBudget}, change)
}
