package store

import (
	"context"
	"fmt"
	"slices"
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
	status, err := s.standing(ctx, batches, readClock, s.readRoutes, readPauses, readDrills, readWorkers, readOwed)
	if err != nil {
		return status, err
	}
	return status, s.addOpen(ctx, &status, batches)
}

// openGlanced bounds how many batches are counted that have not ended.
const openGlanced = 1000

const (
	openBatches = `/* tidegate: open batches */
SELECT ` + batchFields + ` FROM tidegate.batches WHERE ended_at IS NULL AND removed_at IS NULL ORDER BY created_at, id LIMIT $1`
	countOpen = `/* tidegate: count open batches */ SELECT count(*) FROM (SELECT FROM tidegate.batches WHERE ended_at IS NULL AND removed_at IS NULL LIMIT $1) b`
)

// addOpen adds to the newest batches the oldest that go on, so many at most, and counts
// those that do.
func (s *Store) addOpen(ctx context.Context, status *Status, batches int) error {
	if err := s.pool.QueryRow(ctx, countOpen, openGlanced).Scan(&status.Open); err != nil {
		return fmt.Errorf("counting batches: %w", err)
	}
	open, err := s.listBatches(ctx, openBatches, batches)
	if err != nil {
		return err
	}
	for _, batch := range slices.Backward(open) {
		if !slices.ContainsFunc(status.Batches, func(b jobs.Batch) bool { return b.ID == batch.ID }) {
			status.Batches = append(status.Batches, batch)
		}
	}
	return nil
}

// OpenMore tells whether more batches go on than are counted.
func (s *Status) OpenMore() bool { return s.Open >= openGlanced }

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
