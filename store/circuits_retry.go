package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// What a person opened stays open. So does what another worker has made due that
// was told of the same change: its probe may be out.
const retryCircuits = `/* tidegate: retry circuits */
UPDATE tidegate.circuits SET state = 'open', generation = generation + 1, reason = $2, since = now(), person = true, prober = NULL, worker = '',
	cooldown_until = NULL, down_since = coalesce(down_since, now()), trip_wait = NULL, updated_at = now()
WHERE target IN (SELECT target FROM tidegate.circuits WHERE target = ANY ($1) ORDER BY target FOR UPDATE)
	AND CASE state WHEN 'closed' THEN cooldown_until > now() ELSE NOT person END
RETURNING target`

// RetryCircuits makes targets due for a probe that may not be called, whatever was
// the reason: a person configured them anew, so it is a person's word, which ends
// a cooldown that is on. One that a person opened stays so, and of those that may
// be called, or of which no worker has spoken, nothing changes. It lists those
// that it changed.
func (s *Store) RetryCircuits(ctx context.Context, targets []string, reason string) ([]string, error) {
	rows, err := s.pool.Query(ctx, retryCircuits, targets, reason)
	if err != nil {
		return nil, fmt.Errorf("having %d circuits probed: %w", len(targets), err)
	}
	retried, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("having %d circuits probed: %w", len(targets), err)
	}
	return retried, nil
}
