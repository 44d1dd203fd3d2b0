package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const saveCircuit = `/* tidegate: save circuit */
INSERT INTO tidegate.circuits (target, region, state, generation, reason, since, cooldown_until, worker)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (target) DO UPDATE SET region = excluded.region, state = excluded.state, generation = excluded.generation,
	reason = excluded.reason, since = excluded.since, cooldown_until = excluded.cooldown_until, worker = excluded.worker, updated_at = now()`

// SaveCircuits writes where circuits stand, as worker says.
func (s *Store) SaveCircuits(ctx context.Context, worker string, circuits []jobs.Circuit) error {
	var batch pgx.Batch
	for _, c := range circuits {
		batch.Queue(saveCircuit, c.Target, c.Region, string(c.State), int64(c.Generation), c.Reason, c.Since, orNullTime(c.CooldownUntil), worker)
	}
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("saving %d circuits: %w", len(circuits), err)
	}
	return nil
}

const listCircuits = `/* tidegate: circuits */
SELECT target, region, state, generation, reason, since, cooldown_until FROM tidegate.circuits ORDER BY target`

// Circuits lists where every circuit stands, as was last said.
func (s *Store) Circuits(ctx context.Context) ([]jobs.Circuit, error) {
	rows, err := s.pool.Query(ctx, listCircuits)
	if err != nil {
		return nil, fmt.Errorf("listing circuits: %w", err)
	}
	circuits, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (jobs.Circuit, error) {
		var c jobs.Circuit
		var generation int64
		var cooldown *time.Time
		err := row.Scan(&c.Target, &c.Region, &c.State, &generation, &c.Reason, &c.Since, &cooldown)
		c.Generation, c.CooldownUntil = uint64(generation), orZero(cooldown)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("listing circuits: %w", err)
	}
	return circuits, nil
}
