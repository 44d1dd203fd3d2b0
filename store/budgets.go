package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// budgetFields are a budget b as it stands now: what was spent on another day, and
// what was short on one, is no more.
const budgetFields = `b.id, b.scope, b.name, b.per_day, b.total, b.set_by, b.in_file, b.file_per_day, b.file_total, b.since,
	CASE WHEN b.day = tidegate.today() THEN b.spent_today ELSE 0 END, b.spent,
	CASE WHEN b.out_of_total OR b.waits_day >= tidegate.today() THEN b.out_since END, b.out_of_total,
	CASE WHEN b.waits_day < tidegate.today() THEN 0 ELSE b.passed_over END, b.dearest, b.changed, b.served,
	coalesce(b.waits_day = tidegate.today(), false), coalesce(b.waits_day < tidegate.today(), false),
	(tidegate.today() + 1)::timestamp AT TIME ZONE 'UTC' - now()`

// scanBudget reads budgetFields, and more behind them.
func scanBudget(row pgx.CollectableRow, more ...any) (jobs.Budget, error) {
	var b jobs.Budget
	var perDay, total, filePerDay, fileTotal *int64
	var out *time.Time
	err := row.Scan(append([]any{
		&b.ID, &b.Scope, &b.Name, &perDay, &total, &b.SetBy, &b.InFile, &filePerDay, &fileTotal, &b.Since,
		(*int64)(&b.SpentToday), (*int64)(&b.Spent), &out, &b.OutOfTotal, &b.PassedOver, (*int64)(&b.Dearest), &b.Changed, &b.Served,
		&b.WaitsToday, &b.DayOver, &b.DayLeft,
	}, more...)...)
	b.PerDay, b.Total = jobs.MicroUSD(orZero(perDay)), jobs.MicroUSD(orZero(total))
	b.File = jobs.BudgetLimits{PerDay: jobs.MicroUSD(orZero(filePerDay)), Total: jobs.MicroUSD(orZero(fileTotal))}
	b.OutSince = orZero(out)
	return b, err
}

// listBudgets are those that a worker keeps: not of batches that have ended.
const listBudgets = `/* tidegate: budgets */ SELECT ` + budgetFields + ` FROM tidegate.budgets b WHERE NOT b.closed ORDER BY b.id`

func scanFleetBudget(row pgx.CollectableRow) (jobs.Budget, error) { return scanBudget(row) }

// A route's own budget pauses its queue, so all that is available there waits for it, and
// all that is in hand but what is being called; a tenant's admits nothing of it. Others
// have their jobs marked.
const showBudgets = `/* tidegate: show budgets */
WITH held AS (
	SELECT k.id, sum(c.reserved)::bigint AS reserved FROM tidegate.calls c
	CROSS JOIN LATERAL (VALUES (c.tenant_budget), (c.route_budget), (c.batch_budget)) k (id)
	WHERE c.reserved > 0 GROUP BY k.id
), marked AS (
	SELECT ` + waitsFor + ` AS budget, count(*) AS jobs FROM tidegate.river_job WHERE state = 'scheduled' AND metadata ? '` + jobs.BudgetMark + `' GROUP BY 1
)
SELECT ` + budgetFields + `, coalesce(h.reserved, 0), coalesce(m.jobs, 0) + CASE WHEN b.scope = 'route' AND b.out_since IS NOT NULL THEN
	(SELECT count(*) FROM tidegate.river_job j WHERE queue = b.name AND state IN ('available', 'running', 'pending')
		AND NOT (state = 'running' AND EXISTS (SELECT FROM tidegate.calls c WHERE c.reserved > 0 AND c.request_id::text = j.args->>'r'))) ELSE 0 END
	+ CASE WHEN b.scope = 'tenant' AND b.out_since IS NOT NULL THEN (SELECT count(*) FROM tidegate.waiting WHERE tenant = b.name AND not_before IS NULL) ELSE 0 END
	+ (SELECT count(*) FROM tidegate.waiting WHERE not_before IS NOT NULL AND starts_with(reason, '` + budgetReason + `' || b.scope || ' ' || b.name || ':'))
FROM tidegate.budgets b LEFT JOIN held h USING (id) LEFT JOIN marked m ON m.budget = b.scope || ' ' || b.name
WHERE NOT b.closed OR $1 ORDER BY b.scope DESC, b.name`

// Budgets lists budgets with all that there is to say of them; with closed, those
// of batches that have ended, too.
func (s *Store) Budgets(ctx context.Context, closed bool) ([]jobs.Budget, error) {
	rows, err := s.pool.Query(ctx, showBudgets, closed)
	if err != nil {
		return nil, fmt.Errorf("listing budgets: %w", err)
	}
	budgets, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (jobs.Budget, error) {
		var reserved int64
		var parked int
		b, err := scanBudget(row, &reserved, &parked)
		b.Reserved, b.Parked = jobs.MicroUSD(reserved), parked
		return b, err
	})
	if err != nil {
		return nil, fmt.Errorf("listing budgets: %w", err)
	}
	return budgets, nil
}

const setBudget = `/* tidegate: set budget */
INSERT INTO tidegate.budgets AS b (scope, name, per_day, total, set_by)
SELECT $1, $2, $3, $4, 'command' WHERE CASE $1 WHEN 'route' THEN EXISTS (SELECT FROM tidegate.routes WHERE name = $2)
	WHEN 'batch' THEN EXISTS (SELECT FROM tidegate.batches WHERE id = $2) ELSE true END
ON CONFLICT (scope, name) DO UPDATE SET set_by = 'command',
	per_day = CASE WHEN $5 THEN excluded.per_day ELSE b.per_day END, total = CASE WHEN $6 THEN excluded.total ELSE b.total END`

// A BudgetChange is what somebody says of a budget by hand. A nil limit stays as it
// is, a zero one ends.
type BudgetChange struct{ PerDay, Total *jobs.MicroUSD }

// SetBudget is a person's word. What waits for the budget may go on if there is
// enough now: the fleet hears of it at once. It returns ErrNotFound if there is no
// such route or batch; a tenant may be one that is yet to come.
func (s *Store) SetBudget(ctx context.Context, key jobs.BudgetKey, change BudgetChange) error {
	done, err := s.pool.Exec(ctx, setBudget, string(key.Scope), key.Name, orNull(micros(orZero(change.PerDay))), orNull(micros(orZero(change.Total))),
		change.PerDay != nil, change.Total != nil)
	if err != nil {
		return fmt.Errorf("setting the budget of %s: %w", key, err)
	}
	if done.RowsAffected() == 0 {
		return fmt.Errorf("setting the budget of %s: %w", key, ErrNotFound)
	}
	return nil
}

const unsetBudget = `/* tidegate: unset budget */
UPDATE tidegate.budgets SET set_by = 'command', per_day = NULL, total = NULL WHERE scope = $1 AND name = $2 RETURNING id`

// UnsetBudget ends the limits of a budget; what waits for it goes on. One that the
// configuration names stays unset until that changes; any other is forgotten with
// what was spent. It returns ErrNotFound if there is none.
func (s *Store) UnsetBudget(ctx context.Context, key jobs.BudgetKey) error {
	var id int32
	err := s.pool.QueryRow(ctx, unsetBudget, string(key.Scope), key.Name).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("unsetting the budget of %s: %w", key, err)
	}
	return nil
}

// A FileBudget is what a configuration says of a budget: perhaps that there is none.
type FileBudget struct {
	jobs.BudgetKey
	jobs.BudgetLimits
}

const (
	lockBudgetsNamed = `/* tidegate: lock budgets by name */
SELECT FROM tidegate.budgets WHERE (scope, name) IN (SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY id FOR UPDATE`

	fileBudget = `/* tidegate: budget of a file */
INSERT INTO tidegate.budgets AS b (scope, name, per_day, total, set_by, in_file, file_per_day, file_total) VALUES ($1, $2, $3, $4, 'file', true, $3, $4)
ON CONFLICT (scope, name) DO UPDATE SET per_day = excluded.per_day, total = excluded.total, set_by = 'file',
	in_file = true, file_per_day = excluded.file_per_day, file_total = excluded.file_total
WHERE (b.in_file, b.file_per_day, b.file_total) IS DISTINCT FROM (true, excluded.file_per_day, excluded.file_total)`

	noFileBudget = `/* tidegate: no budget of a file */
UPDATE tidegate.budgets SET in_file = false, file_per_day = NULL, file_total = NULL,
	per_day = CASE WHEN set_by <> 'file' THEN per_day END, total = CASE WHEN set_by <> 'file' THEN total END
WHERE scope = $1 AND name = $2 AND in_file`
)

// FileBudgets takes what a configuration says. It goes before a command only where
// it says something else than it did; what it names without limits, it ends.
func (s *Store) FileBudgets(ctx context.Context, said []FileBudget) error {
	byName := func(a, b FileBudget) int {
		return strings.Compare(a.String(), b.String()) // two workers must not wait for each other
	}
	scopes, names := make([]string, len(said)), make([]string, len(said))
	for i, b := range said {
		scopes[i], names[i] = string(b.Scope), b.Name
	}
	var batch pgx.Batch
	batch.Queue(lockBudgetsNamed, scopes, names) // as commits do
	for _, b := range slices.SortedFunc(slices.Values(said), byName) {
		if b.None() {
			batch.Queue(noFileBudget, string(b.Scope), b.Name)
			continue
		}
		batch.Queue(fileBudget, string(b.Scope), b.Name, orNull(micros(b.PerDay)), orNull(micros(b.Total)))
	}
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("saving %d budgets: %w", len(said), err)
	}
	return nil
}

const insertBudget = `/* tidegate: insert budget */
INSERT INTO tidegate.budgets (scope, name, per_day, total, set_by) VALUES ('batch', $1, $2, $3, 'producer')`

// InsertBudget gives a new batch its budget in the caller's transaction.
func InsertBudget(ctx context.Context, tx pgx.Tx, batchID string, limits jobs.BudgetLimits) error {
	if _, err := tx.Exec(ctx, insertBudget, batchID, orNull(micros(limits.PerDay)), orNull(micros(limits.Total))); err != nil {
		return fmt.Errorf("writing the budget of batch %s: %w", batchID, err)
	}
	return nil
}
