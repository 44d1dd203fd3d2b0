package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// outboxGlanced is how far what is owed to NATS is counted at a glance, and outboxCounted
// how far in a status.
const outboxGlanced, outboxCounted = 10_000, 200_000

const outboxGlance = `/* tidegate: outbox glance */
SELECT (SELECT count(*) FROM (SELECT FROM tidegate.outbox LIMIT $1) o),
	coalesce((SELECT extract(epoch FROM now() - o.created_at) FROM tidegate.outbox o ORDER BY o.id LIMIT 1), 0)::float8`

// Glance reads of a status what changes from one moment to the next: routes, pauses,
// drills, workers, circuits, budgets, what is owed, and so many of the newest batches. What
// it costs does not depend on how many wait.
func (s *Store) Glance(ctx context.Context, batches int) (Status, error) {
	return s.standing(ctx, batches, readClock, s.readRoutes, readPauses, readDrills, readWorkers, readOwed)
}

func readOwed(ctx context.Context, tx pgx.Tx, status *Status) error {
	return readOwedUpTo(ctx, tx, status, outboxGlanced)
}

func readOutbox(ctx context.Context, tx pgx.Tx, status *Status) error {
	return readOwedUpTo(ctx, tx, status, outboxCounted)
}

func readOwedUpTo(ctx context.Context, tx pgx.Tx, status *Status, most int) error {
	var seconds float64
	err := tx.QueryRow(ctx, outboxGlance, most).Scan(&status.Outbox, &seconds)
	status.Behind = time.Duration(seconds * float64(time.Second))
	return err
}

// costOf is of how many of a batch's requests the cost is added up.
const costOf = 1000

const batchCost = `/* tidegate: batch cost */
SELECT count(*), coalesce(sum(r.cost_micro_usd), 0)::bigint, coalesce(bool_or(r.unpriced), false)
FROM (SELECT id FROM tidegate.requests WHERE batch_id = $1 ORDER BY id LIMIT $2) q
CROSS JOIN LATERAL (SELECT cost_micro_usd, unpriced FROM tidegate.results r WHERE r.request_id = q.id OFFSET 0) r`

// BatchCost is about what the requests of a batch have cost of which so many have ended: by
// the first thousand of them, and exactly if there are no more. known tells whether all of
// it has a price.
func (s *Store) BatchCost(ctx context.Context, id string, ended int) (cost jobs.MicroUSD, exact, known bool, err error) {
	var counted int
	var sum int64
	var unpriced bool
	if err := s.pool.QueryRow(ctx, batchCost, id, costOf).Scan(&counted, &sum, &unpriced); err != nil {
		return 0, false, false, fmt.Errorf("adding up the cost of batch %s: %w", id, err)
	}
	if counted == 0 {
		return 0, ended == 0, ended == 0, nil
	}
	return jobs.MicroUSD(float64(sum) / float64(counted) * float64(max(ended, counted))), ended <= counted, !unpriced, nil
}
