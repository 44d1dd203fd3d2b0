package store

import (
	"context"
	"fmt"
)

const takeProbe = `/* tidegate: take probe */
UPDATE tidegate.circuits c SET prober = $1, updated_at = now()
WHERE target = $2 AND generation = $3 AND state <> 'closed' AND (cooldown_until IS NULL OR cooldown_until <= now())
	AND (prober IS NULL OR prober = $1 OR NOT EXISTS (SELECT FROM tidegate.workers WHERE id = c.prober AND dead_at IS NULL))
	AND EXISTS (SELECT FROM tidegate.workers WHERE id = $1 AND dead_at IS NULL)`

// TakeProbe gives a worker the one probe of a circuit in the fleet, until it
// saves a later generation, frees it, leaves or dies. It returns false if
// another worker has it, the circuit is closed or of another generation, its
// cooldown goes on, or the worker was declared dead or is not of the fleet: one
// that takes it just while it leaves does not keep it. A worker that has it may
// take it again.
func (s *Store) TakeProbe(ctx context.Context, worker, target string, generation uint64) (bool, error) {
	done, err := s.pool.Exec(ctx, takeProbe, worker, target, int64(generation))
	if err != nil {
		return false, fmt.Errorf("taking the probe of %s: %w", target, err)
	}
	return done.RowsAffected() > 0, nil
}

const freeProbe = `/* tidegate: free probe */
UPDATE tidegate.circuits SET prober = NULL, state = CASE state WHEN 'half-open' THEN 'open' ELSE state END, updated_at = now()
WHERE target = $2 AND prober = $1`

// FreeProbe gives back a probe that told nothing, so that another worker may
// take it. It does nothing if the worker does not have it.
func (s *Store) FreeProbe(ctx context.Context, worker, target string) error {
	if _, err := s.pool.Exec(ctx, freeProbe, worker, target); err != nil {
		return fmt.Errorf("freeing the probe of %s: %w", target, err)
	}
	return nil
}
