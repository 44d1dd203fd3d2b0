package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// A WorkerStatus is how a worker stands.
type WorkerStatus struct {
	Worker     string
	StartedAt  time.Time
	Silent     time.Duration // since its last beat
	Dead       bool          // it was declared dead, within the last five minutes: older ones are not listed
	Supervises bool          // it leads the fleet
	Version    string        // of its program; empty: an older one, that does not say
	Desk       bool          // it works no queue: it answers those who wait
}

const workerStatus = `/* tidegate: worker status */
SELECT w.id, w.started_at, now() - w.beat_at, w.dead_at IS NOT NULL, EXISTS (
	SELECT FROM tidegate.leases l WHERE l.name = 'supervisor' AND l.holder = w.id AND l.expires_at > now()), w.version, w.desk
FROM tidegate.workers w WHERE w.dead_at IS NULL OR w.dead_at > now() - interval '5 minutes' ORDER BY w.started_at, w.id`

func readWorkers(ctx context.Context, tx pgx.Tx, status *Status) error {
	rows, err := tx.Query(ctx, workerStatus)
	if err != nil {
		return err
	}
	status.Workers, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (WorkerStatus, error) {
		var w WorkerStatus
		err := row.Scan(&w.Worker, &w.StartedAt, &w.Silent, &w.Dead, &w.Supervises, &w.Version, &w.Desk)
		return w, err
	})
	return err
}

func readPauses(ctx context.Context, tx pgx.Tx, status *Status) error {
	rows, err := tx.Query(ctx, listPauses)
	if err != nil {
		return err
	}
	status.Pauses, err = pgx.CollectRows(rows, scanPause)
	return err
}

func readDrills(ctx context.Context, tx pgx.Tx, status *Status) error {
	rows, err := tx.Query(ctx, listDrills)
	if err != nil {
		return err
	}
	status.Drills, err = pgx.CollectRows(rows, scanDrill)
	return err
}
