package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/jobs"
)

// budgetLocks is the class of the advisory locks under which money is reserved, by
// the budget's id: "budg" in ASCII. A lock of the row would cost a flush of the log
// for each group of calls, and would wait for each group of results.
const budgetLocks = 0x62756467

const (
	// beginWithEnough begins all calls of a group, or none where a budget of theirs is
	// not enough for all of its calls; it says that as the last of its columns.
	beginWithEnough = `/* tidegate: begin calls that budgets suffice for */
WITH asked AS (` + underBudgets + `), want AS (
	SELECT k.id, sum(a.reserved)::bigint AS amount FROM asked a
	CROSS JOIN LATERAL (VALUES (a.tenant_budget), (a.route_budget), (a.batch_budget)) k (id)
	WHERE k.id IS NOT NULL GROUP BY k.id
), held AS (
	SELECT k.id, sum(c.reserved)::bigint AS reserved FROM tidegate.calls c
	CROSS JOIN LATERAL (VALUES (c.tenant_budget), (c.route_budget), (c.batch_budget)) k (id)
	WHERE c.reserved > 0 AND NOT (c.worker = $1 AND c.slot = ANY ($2::int[]))
	GROUP BY k.id
), enough AS (
	SELECT NOT EXISTS (
		SELECT FROM want w JOIN tidegate.budgets b USING (id) LEFT JOIN held h USING (id)
		WHERE b.out_since IS NOT NULL AND (b.out_of_total OR b.waits_day >= tidegate.today())
			OR coalesce(h.reserved, 0) + w.amount > least(b.per_day - CASE WHEN b.day = tidegate.today() THEN b.spent_today ELSE 0 END, b.total - b.spent)
	) AS for_all
), given AS (
	SELECT * FROM asked WHERE (SELECT for_all FROM enough)
), ` + beginGiven + placeUnderBudgets + sayBegun + `, (SELECT for_all FROM enough)`

	lockBudgets = `/* tidegate: lock budgets */ SELECT count(pg_advisory_xact_lock($1, id)) FROM unnest($2::int[]) AS k (id)`

	// A statement of its own, so that it sees what was reserved while the locks were
	// waited for. What stands in the places that these calls take over is no more.
	readLedgers = `/* tidegate: budgets and what is reserved */
WITH held AS (
	SELECT k.id, sum(c.reserved)::bigint AS reserved FROM tidegate.calls c
	CROSS JOIN LATERAL (VALUES (c.tenant_budget), (c.route_budget), (c.batch_budget)) k (id)
	WHERE c.reserved > 0 AND k.id = ANY ($1) AND NOT (c.worker = $2 AND c.slot = ANY ($3::int[]))
	GROUP BY k.id
)
SELECT ` + budgetFields + `, coalesce(h.reserved, 0) FROM tidegate.budgets b LEFT JOIN held h USING (id)
WHERE b.id = ANY ($1) AND (b.per_day IS NOT NULL OR b.total IS NOT NULL) ORDER BY b.id`

	beginUnderBudgets = `/* tidegate: begin calls under budgets */
WITH given AS (` + underBudgets + `), ` + beginGiven + placeUnderBudgets + sayBegun

	underBudgets = `
	SELECT * FROM unnest($2::int[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::bigint[], $8::int[], $9::int[], $10::int[])
		WITH ORDINALITY AS g (slot, request_id, target, route, at, reserved, tenant_budget, route_budget, batch_budget, n)
`
	placeUnderBudgets = `, placed AS (
	INSERT INTO tidegate.calls (worker, slot, request_id, target, route, at, reserved, tenant_budget, route_budget, batch_budget)
	SELECT alive.id, slot, request_id, target, route, at, reserved, tenant_budget, route_budget, batch_budget FROM begun, alive
	ON CONFLICT (worker, slot) DO UPDATE SET request_id = excluded.request_id, target = excluded.target, route = excluded.route,
		at = excluded.at, began_at = excluded.began_at, reserved = excluded.reserved,
		tenant_budget = excluded.tenant_budget, route_budget = excluded.route_budget, batch_budget = excluded.batch_budget
)
`

	// Commits lock the same rows in the same order, and hold no lock of ours. What was
	// found short of limits that have changed since says nothing of the new ones.
	noteShortages = `/* tidegate: note shortages */
WITH given AS (
	SELECT * FROM unnest($1::int[], $2::boolean[], $3::boolean[], $4::boolean[], $5::int[], $6::bigint[], $7::int[])
		AS g (id, spent, of_total, waits, passed_over, dearest, changed)
), locked AS (
	SELECT id FROM tidegate.budgets WHERE id IN (SELECT id FROM given) ORDER BY id FOR UPDATE
)
UPDATE tidegate.budgets b SET
	out_since = CASE WHEN b.waits_day < tidegate.today() AND NOT b.out_of_total THEN CASE WHEN g.spent THEN now() END -- not since yesterday
		WHEN g.spent THEN coalesce(b.out_since, now()) ELSE b.out_since END,
	out_of_total = b.out_of_total OR g.spent AND g.of_total,
	passed_over = g.passed_over + CASE WHEN b.waits_day < tidegate.today() THEN 0 ELSE b.passed_over END,
	changed = b.changed + CASE WHEN g.waits AND b.waits_day < tidegate.today() THEN 1 ELSE 0 END, -- the day began here
	waits_day = CASE WHEN g.waits THEN tidegate.today() ELSE b.waits_day END,
	dearest = greatest(b.dearest, g.dearest)
FROM given g, locked l WHERE b.id = g.id AND l.id = b.id AND b.changed = g.changed`
)

// Reserve is Begin for calls of which some are under budgets: it reserves what each
// may cost, in order, and leaves out those for which there is not enough money,
// which it returns as short. No call may be sent for these. What is reserved is
// free when the attempt is committed, when the place is taken over or freed, or
// when the worker is rescued or leaves. Two workers that reserve at the same time
// never get the same money. Nothing is noted of a rough call that is short: whoever
// begins it counts, and asks again.
//
// It is one round trip while there is enough for all of them. Else it is a transaction
// in two more: whoever waits for a lock waits for them.
func (s *Store) Reserve(ctx context.Context, worker string, calls []jobs.Begun) (ended []string, short []jobs.Shortage, err error) {
	ended, enough, err := s.reserveAll(ctx, worker, calls)
	if err == nil && !enough {
		ended, short, err = s.reserveSome(ctx, worker, calls)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("beginning %d calls under budgets as %s: %w", len(calls), worker, err)
	}
	return ended, short, nil
}

// reserveAll begins calls if there is enough money for all of them. A batch is one
// transaction, which keeps its locks for as long as Postgres alone takes.
func (s *Store) reserveAll(ctx context.Context, worker string, calls []jobs.Begun) (ended []string, enough bool, err error) {
	columns, err := layCalls(calls)
	if err != nil {
		return nil, false, err
	}
	var batch pgx.Batch
	batch.Queue(lockBudgets, budgetLocks, budgetsOf(calls))
	batch.Queue(beginWithEnough, append(columns.args(worker), reservations(calls)...)...).QueryRow(func(row pgx.Row) (err error) {
		ended, err = began(row, &enough)
		return err
	})
	return ended, enough, s.pool.SendBatch(ctx, &batch).Close()
}

// reserveSome begins calls as far as there is money.
func (s *Store) reserveSome(ctx context.Context, worker string, calls []jobs.Begun) (ended []string, short []jobs.Shortage, err error) {
	err = s.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error { // a connection that is left within a transaction is closed
		books, err := openLedgers(ctx, conn, worker, calls)
		if err != nil {
			return err
		}
		var may []jobs.Begun
		may, short = books.reserve(calls)
		columns, err := layCalls(may)
		if err != nil {
			return err
		}
		var batch pgx.Batch
		batch.Queue(beginUnderBudgets, append(columns.args(worker), reservations(may)...)...).QueryRow(func(row pgx.Row) (err error) {
			ended, err = began(row)
			return err
		})
		if noted := books.noted(); noted != nil {
			batch.Queue(noteShortages, noted...)
		}
		batch.Queue("COMMIT")
		return conn.SendBatch(ctx, &batch).Close()
	})
	return ended, short, err
}

// budgetsOf are the ids of all budgets of calls, in their order.
func budgetsOf(calls []jobs.Begun) []int32 {
	var ids []int32
	for _, call := range calls {
		for _, id := range call.Budgets {
			if id != 0 {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// reservations are what calls reserve, laid out by column.
func reservations(calls []jobs.Begun) []any {
	cost, ids := make([]int64, len(calls)), [3][]*int32{}
	for i, call := range calls {
		for k, id := range call.Budgets {
			ids[k] = append(ids[k], orNull(id))
		}
		if call.Budgets != (jobs.BudgetIDs{}) {
			cost[i] = micros(call.Cost)
		}
	}
	return []any{cost, ids[0], ids[1], ids[2]}
}

// openLedgers begins a transaction, locks the budgets of calls and reads how they
// stand.
func openLedgers(ctx context.Context, conn *pgxpool.Conn, worker string, calls []jobs.Begun) (ledgers, error) {
	ids, slots := budgetsOf(calls), make([]int32, len(calls))
	for i, call := range calls {
		slots[i] = count(call.Slot)
	}
	books := make(ledgers, len(ids))
	var batch pgx.Batch
	batch.Queue("BEGIN")
	batch.Queue(fmt.Sprintf("SET LOCAL idle_in_transaction_session_timeout = %d", silence.Milliseconds()))
	batch.Queue(lockBudgets, budgetLocks, ids)
	batch.Queue(readLedgers, ids, worker, slots).Query(func(rows pgx.Rows) error {
		all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*ledger, error) {
			var l ledger
			b, err := scanBudget(row, &l.Reserved)
			b.Reserved = l.Reserved
			l.Budget, l.was = b, b
			return &l, err
		})
		for _, l := range all {
			books[l.ID] = l
		}
		return err
	})
	return books, conn.SendBatch(ctx, &batch).Close()
}
