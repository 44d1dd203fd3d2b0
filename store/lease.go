package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// Clock times are read when the row is locked: an action of the holder, which
// locks it too, may have gone on for a while.
const lead = `/* tidegate: lead */
INSERT INTO tidegate.leases AS l (name, holder, epoch, expires_at)
SELECT 'supervisor', $1, 1, clock_timestamp() + $2::interval
WHERE NOT EXISTS (SELECT FROM tidegate.workers WHERE id = $1 AND dead_at IS NOT NULL)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = clock_timestamp() + $2::interval,
	epoch = l.epoch + CASE WHEN l.holder = excluded.holder THEN 0 ELSE 1 END
WHERE l.holder = excluded.holder OR l.expires_at <= clock_timestamp()
RETURNING epoch`

// Lead takes the lead of the fleet for a worker, or renews it, for the given
// time. It returns false while another one leads, and for a worker that was
// declared dead. It waits for an action of a holder that is under way.
func (s *Store) Lead(ctx context.Context, worker string, lasts time.Duration) (jobs.Lead, bool, error) {
	held := jobs.Lead{Worker: worker}
	err := s.pool.QueryRow(ctx, lead, worker, lasts).Scan(&held.Epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		return jobs.Lead{}, false, nil
	}
	if err != nil {
		return jobs.Lead{}, false, fmt.Errorf("leading the fleet as %s: %w", worker, err)
	}
	return held, true, nil
}

const resign = `/* tidegate: resign */
UPDATE tidegate.leases SET holder = '', expires_at = now() WHERE name = 'supervisor' AND holder = $1 AND epoch = $2`

// Resign gives the lead back, so that nobody has to wait for it to expire. It
// does nothing if another one leads already.
func (s *Store) Resign(ctx context.Context, held jobs.Lead) error {
	if _, err := s.pool.Exec(ctx, resign, held.Worker, held.Epoch); err != nil {
		return fmt.Errorf("resigning as %s: %w", held.Worker, err)
	}
	return nil
}

// A lease that has expired and that nobody took is as good as one that has not:
// nobody else can have acted in between.
const leads = `/* tidegate: leads */
SELECT true FROM tidegate.leases WHERE name = 'supervisor' AND holder = $1 AND epoch = $2 FOR SHARE`

// asLead runs act in a transaction during which nobody else can take the lead.
func (s *Store) asLead(ctx context.Context, held jobs.Lead, doing string, act func(pgx.Tx) error) error {
	err := s.within(ctx, silence, func(tx pgx.Tx) error {
		var yes bool
		err := tx.QueryRow(ctx, leads, held.Worker, held.Epoch).Scan(&yes)
		if errors.Is(err, pgx.ErrNoRows) {
			return jobs.ErrDeposed
		}
		if err != nil {
			return err
		}
		return act(tx)
	})
	if err != nil {
		return fmt.Errorf("%s as %s: %w", doing, held.Worker, err)
	}
	return nil
}

// The time stays that of the highest rate, so that it is forgotten a day later.
const savePace = `/* tidegate: save pace */
INSERT INTO tidegate.paces AS p (target, last_good) VALUES ($1, $2)
ON CONFLICT (target) DO UPDATE SET last_good = excluded.last_good, at = now()
WHERE excluded.last_good >= p.last_good OR p.at < now() - interval '1 day'`

// SavePace keeps a rate, in calls a second of the whole fleet, that a target is
// known to take, unless a higher one of the last day is kept. It returns
// ErrDeposed if held leads no more.
func (s *Store) SavePace(ctx context.Context, held jobs.Lead, target string, rate float64) error {
	return s.asLead(ctx, held, "saving the pace of "+target, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, savePace, target, rate)
		return err
	})
}
