package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// ownCost is in the reason of a request that waits for more money than is left of a
// budget that is not spent, behind the budget: a target that costs less may do. What
// waits for a budget that is spent is no target's business.
const ownCost = ": the request "

const (
	unpark = `/* tidegate: unpark */
WITH given AS (
	UPDATE tidegate.river_job SET scheduled_at = now() WHERE id IN (
		SELECT id FROM tidegate.river_job WHERE queue = ANY ($1) AND state = 'scheduled' AND scheduled_at > now()
			AND (coalesce(` + waitsFor + `, '') = '' OR position('` + ownCost + `' IN ` + waitsWhy + `) > 0) LIMIT $2 FOR UPDATE SKIP LOCKED)
	RETURNING ` + waitsFor + ` AS budget
)` + unpassed

	// unparkWaiting gives those their turn that wait for a time. It waits for nobody: who
	// has one of these rows ends its wait.
	unparkWaiting = `/* tidegate: unpark waiting */
WITH given AS MATERIALIZED (
	SELECT request_id, substring(reason FROM '^` + budgetReason + `(.+?)` + ownCost + `') AS budget FROM tidegate.waiting
	WHERE route = ANY ($1) AND not_before > now()
		AND (NOT starts_with(coalesce(reason, ''), '` + budgetReason + `') OR position('` + ownCost + `' IN reason) > 0) LIMIT $2 FOR UPDATE SKIP LOCKED
), turned AS (
	UPDATE tidegate.waiting SET not_before = NULL, reason = NULL WHERE request_id = ANY (ARRAY(SELECT request_id FROM given))
)` + unpassed

	// unpassed has those that smaller ones passed over be so no more: each budget bounds
	// how many they are, and one that comes again would count once more.
	unpassed = `, short AS (
	SELECT b.id, g.n FROM tidegate.budgets b JOIN (SELECT budget, count(*)::int AS n FROM given WHERE budget <> '' GROUP BY budget) g ON g.budget = b.scope || ' ' || b.name
	WHERE b.passed_over > 0 ORDER BY b.id FOR UPDATE OF b
), counted AS (
	UPDATE tidegate.budgets b SET passed_over = greatest(b.passed_over - s.n, 0) FROM short s WHERE b.id = s.id
)
SELECT count(*) FROM given`
)

const routesOfTarget = `/* tidegate: routes of a target */ SELECT coalesce(array_agg(name), '{}') FROM tidegate.routes WHERE $1 = ANY (chain)`

// Unpark gives jobs that wait for a time back to the queues of those routes whose
// chain has a target, so many of them at most, and returns how many: zero when
// there are no more. River hands them out within seconds. What waits for a budget that
// is spent stays. It returns ErrDeposed if lead leads no more.
func (s *Store) Unpark(ctx context.Context, lead jobs.Lead, target string, atMost int) (n int, err error) {
	err = s.asLead(ctx, lead, fmt.Sprintf("giving back what waits for %s", target), func(tx pgx.Tx) error {
		var routes []string
		if err := tx.QueryRow(ctx, routesOfTarget, target).Scan(&routes); err != nil {
			return err
		}
		n, err = giveBackOn(ctx, tx, routes, atMost)
		return err
	})
	return n, err
}

// giveBackOn gives back what waits on some routes, so many at most.
func giveBackOn(ctx context.Context, tx pgx.Tx, routes []string, atMost int) (n int, err error) {
	var turned int
	if err := tx.QueryRow(ctx, unpark, routes, atMost).Scan(&n); err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, unparkWaiting, routes, atMost-n).Scan(&turned)
	return n + turned, err
}

// UnparkRoutes gives back all that waits for a time on some routes, as Unpark does,
// and returns how many: what they are made of has changed. It may be repeated.
func (s *Store) UnparkRoutes(ctx context.Context, routes []string) (all int, err error) {
	for {
		n := 0
		err := s.within(ctx, silence, func(tx pgx.Tx) (err error) {
			n, err = giveBackOn(ctx, tx, routes, giveBackAtMost)
			return err
		})
		if all += n; err != nil {
			return all, fmt.Errorf("giving back what waits on %v: %w", slices.Sorted(slices.Values(routes)), err)
		}
		if n == 0 {
			return all, nil
		}
	}
}
