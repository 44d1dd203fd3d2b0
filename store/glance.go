package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// outboxCounted is how far what is owed to NATS is counted.
const outboxCounted = 10_000

const outboxGlance = `/* tidegate: outbox glance */
SELECT (SELECT count(*) FROM (SELECT FROM tidegate.outbox LIMIT $1) o),
	coalesce((SELECT extract(epoch FROM now() - o.created_at) FROM tidegate.outbox o ORDER BY o.id LIMIT 1), 0)::float8`

// Glance reads of a status what changes from one moment to the next: routes, pauses,
// drills, workers, circuits, budgets, what is owed, and so many of the newest batches. What
// it costs does not depend on how many wait.
func (s *Store) Glance(ctx context.Context, batches int) (Status, error) {
	var status Status
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, s.pool, options, func(tx pgx.Tx) error {
		for _, read := range []func(context.Context, pgx.Tx, *Status) error{readClock, readRoutes, readPauses, readDrills, readWorkers, readOwed} {
			if err := read(ctx, tx, &status); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return status, fmt.Errorf("reading the status: %w", err)
	}
	if status.Circuits, err = s.Circuits(ctx); err != nil {
		return status, err
	}
	if status.Budgets, err = s.Budgets(ctx, false); err != nil {
		return status, err
	}
	status.Batches, err = s.Batches(ctx, batches)
	return status, err
}

func readOwed(ctx context.Context, tx pgx.Tx, status *Status) error {
	var seconds float64
	err := tx.QueryRow(ctx, outboxGlance, outboxCounted).Scan(&status.Outbox, &seconds)
	status.Behind = time.Duration(seconds * float64(time.Second))
	return err
}
