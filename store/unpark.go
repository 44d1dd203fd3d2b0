package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const unpark = `/* tidegate: unpark */
UPDATE tidegate.river_job SET scheduled_at = now() WHERE id IN (
	SELECT j.id FROM tidegate.river_job j JOIN tidegate.routes t ON t.name = j.queue
	WHERE $1 = ANY (t.chain) AND j.state = 'scheduled' AND j.scheduled_at > now()
		AND coalesce(` + waitsFor + `, '') = '' LIMIT $2 FOR UPDATE OF j SKIP LOCKED)`

// Unpark gives jobs that wait for a time back to the queues of those routes whose
// chain has a target, so many of them at most, and returns how many: zero when
// there are no more. River hands them out within seconds. It returns ErrDeposed if
// lead leads no more.
func (s *Store) Unpark(ctx context.Context, lead jobs.Lead, target string, atMost int) (n int, err error) {
	err = s.asLead(ctx, lead, fmt.Sprintf("giving back what waits for %s", target), func(tx pgx.Tx) error {
		done, err := tx.Exec(ctx, unpark, target, atMost)
		if err != nil {
			return err
		}
		n = int(done.RowsAffected())
		turned, err := tx.Exec(ctx, unparkWaiting, target, atMost-n)
		n += int(turned.RowsAffected())
		return err
	})
	return n, err
}

// unparkRoute gives back all that waits on a route whose chain is about to change.
const unparkRoute = `/* tidegate: unpark route */
UPDATE tidegate.river_job SET scheduled_at = now()
WHERE queue = $1 AND state = 'scheduled' AND scheduled_at > now()
	AND EXISTS (SELECT FROM tidegate.routes WHERE name = $1 AND chain IS DISTINCT FROM $2::text[])`
