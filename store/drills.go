package store

import (
	"context"
	"fmt"

	"tidegate/jobs"
)

const startDrill = `/* tidegate: start drill */
INSERT INTO tidegate.drills (target, mode, rate, until) VALUES ($1, $2, $3, now() + $4::interval)
ON CONFLICT (target) DO UPDATE SET mode = excluded.mode, rate = excluded.rate, since = now(), until = excluded.until`

// StartDrill begins an outage on demand, in place of one of the same target. It
// begins now, whatever its Since says.
func (s *Store) StartDrill(ctx context.Context, d jobs.Drill) error {
	if _, err := s.pool.Exec(ctx, startDrill, d.Target, string(d.Mode), d.Rate, d.Until.Sub(s.now())); err != nil {
		return fmt.Errorf("starting a drill of %s: %w", d.Target, err)
	}
	return nil
}

const endDrill = `/* tidegate: end drill */
WITH gone AS (DELETE FROM tidegate.drills WHERE target = $1 RETURNING until)
SELECT EXISTS (SELECT FROM gone WHERE until > now())`

// EndDrill ends the drill of a target and tells whether there was one under way.
func (s *Store) EndDrill(ctx context.Context, target string) (bool, error) {
	var was bool
	if err := s.pool.QueryRow(ctx, endDrill, target).Scan(&was); err != nil {
		return false, fmt.Errorf("ending the drill of %s: %w", target, err)
	}
	return was, nil
}
