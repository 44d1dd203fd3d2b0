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
}

const waitingStatus = `/* tidegate: waiting status */
SELECT route, tenant, coalesce(reason, ''), count(*), min(not_before) FROM tidegate.waiting GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC, 2, 3`

func readWaiting(ctx context.Context, tx pgx.Tx, status *Status) error {
	rows, err := tx.Query(ctx, waitingStatus)
	if err != nil {
		return err
	}
	status.Waiting, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (WaitingStatus, error) {
		var w WaitingStatus
		var until *time.Time
		err := row.Scan(&w.Route, &w.Tenant, &w.Reason, &w.Requests, &until)
		w.Until = orZero(until)
		return w, err
	})
	return err
}
