package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// A WaitingStatus is what waits of one tenant on a route with fair admission, for
// one reason.
type WaitingStatus struct {
	Route, Tenant string
	Reason        string // empty: for its turn
	Requests      int
	Until         time.Time // when the first of them may be tried again; zero: when its turn has come
	More          bool      // there are more than so many: where very many wait, not all are counted
}

const (
	// waitingWhole is up to how many requests all are counted, and waitingHeads how many of
	// one tenant are where there are more; waitingTenants bounds the tenants of which it is
	// said then.
	waitingWhole, waitingHeads, waitingTenants = 50_000, 5000, 500
)

const (
	waitingIsLarge = `/* tidegate: waiting is large */ SELECT count(*) > $1 FROM (SELECT FROM tidegate.waiting LIMIT $1 + 1) w`

	waitingStatus = `/* tidegate: waiting status */
SELECT route, tenant, coalesce(reason, ''), count(*), min(not_before), false FROM tidegate.waiting GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC, 2, 3`

	// Tenants are hopped to in the index of turns; what waits for a time is counted as far
	// as one comes.
	waitingHead = `/* tidegate: waiting heads */
WITH RECURSIVE hop AS (
	(SELECT route, tenant, 1 AS n FROM tidegate.waiting WHERE not_before IS NULL ORDER BY route, tenant LIMIT 1)
	UNION ALL
	SELECT next.route, next.tenant, h.n + 1 FROM hop h CROSS JOIN LATERAL (
		SELECT w.route, w.tenant FROM tidegate.waiting w WHERE w.not_before IS NULL AND (w.route, w.tenant) > (h.route, h.tenant)
		ORDER BY w.route, w.tenant LIMIT 1) next
	WHERE h.n < $2
), turns AS (
	SELECT h.route, h.tenant, '' AS reason, c.n, NULL::timestamptz AS until FROM hop h CROSS JOIN LATERAL (
		SELECT count(*) AS n FROM (SELECT FROM tidegate.waiting w WHERE w.not_before IS NULL AND w.route = h.route AND w.tenant = h.tenant LIMIT $1) w) c
), times AS (
	SELECT route, tenant, coalesce(reason, '') AS reason, count(*) AS n, min(not_before) AS until
	FROM (SELECT * FROM tidegate.waiting WHERE not_before IS NOT NULL ORDER BY route, not_before LIMIT 4 * $1) w GROUP BY 1, 2, 3
)
SELECT route, tenant, reason, n, until, n >= $1 FROM (SELECT * FROM turns UNION ALL SELECT * FROM times) both_ ORDER BY 1, 4 DESC, 2, 3`
)

func readWaiting(ctx context.Context, tx pgx.Tx, status *Status) error {
	return readWaitingOver(ctx, tx, status, waitingWhole, waitingHeads)
}

// readWaitingOver reads what waits: where that is more than whole, so many of each tenant.
func readWaitingOver(ctx context.Context, tx pgx.Tx, status *Status, whole, heads int) error {
	var large bool
	if err := tx.QueryRow(ctx, waitingIsLarge, whole).Scan(&large); err != nil {
		return err
	}
	query, args := waitingStatus, []any{}
	if large {
		if _, err := tx.Exec(ctx, byIndex); err != nil {
			return err
		}
		query, args = waitingHead, []any{heads, waitingTenants}
	}
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	status.Waiting, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (WaitingStatus, error) {
		var w WaitingStatus
		var until *time.Time
		err := row.Scan(&w.Route, &w.Tenant, &w.Reason, &w.Requests, &until, &w.More)
		w.Until = orZero(until)
		return w, err
	})
	if err == nil && large {
		_, err = tx.Exec(ctx, byPlan)
	}
	return err
}
