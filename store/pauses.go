package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// Pauses lists who pauses which route, and why, by route.
func (s *Store) Pauses(ctx context.Context) ([]jobs.Pause, error) {
	const ages = `/* tidegate: pauses by age */ SELECT route, owner, reason, now() - since FROM tidegate.pauses ORDER BY route, owner`
	rows, err := s.pool.Query(ctx, ages)
	if err != nil {
		return nil, fmt.Errorf("listing pauses: %w", err)
	}
	now := s.now()
	pauses, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (jobs.Pause, error) {
		var p jobs.Pause
		var age time.Duration
		err := row.Scan(&p.Route, &p.Owner, &p.Reason, &age)
		p.Since = now.Add(-age)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("listing pauses: %w", err)
	}
	return pauses, nil
}

const (
	asSupervisor = `/* tidegate: act as supervisor */ SELECT set_config('tidegate.supervisor', 'on', true)`

	// River makes the row when a worker first serves the queue, and drops it when
	// none has for a while. One that is made while somebody pauses the route begins
	// paused, by a trigger.
	addQueue = `/* tidegate: add queue */
INSERT INTO tidegate.river_queue (name, metadata, created_at, updated_at) VALUES ($1, '{}', now(), now()) ON CONFLICT (name) DO NOTHING`

	// Where all are there, which is always, it only reads.
	keepQueues = `/* tidegate: keep queues */
INSERT INTO tidegate.river_queue (name, metadata, created_at, updated_at)
SELECT name, '{}', now(), now() FROM unnest($1::text[]) AS q (name) WHERE NOT EXISTS (SELECT FROM tidegate.river_queue r WHERE r.name = q.name) ORDER BY name
ON CONFLICT (name) DO NOTHING`

	// Whoever pauses or resumes locks the queue first, and its pauses after it.
	lockQueue = `/* tidegate: lock queue */ SELECT paused_at IS NOT NULL FROM tidegate.river_queue WHERE name = $1 FOR UPDATE`

	addPause = `/* tidegate: add pause */
INSERT INTO tidegate.pauses (route, owner, reason) VALUES ($1, $2, $3) ON CONFLICT (route, owner) DO NOTHING`

	explainPause = `/* tidegate: explain pause */
UPDATE tidegate.pauses SET reason = $3 WHERE route = $1 AND owner = $2 AND reason <> $3`

	dropPause = `/* tidegate: drop pause */ DELETE FROM tidegate.pauses WHERE route = $1 AND owner = $2`

	stillPaused = `/* tidegate: still paused */ SELECT EXISTS (SELECT FROM tidegate.pauses WHERE route = $1)`
)

// Pause pauses a route for its circuits. change is River's pause of the queue: it
// is called, in the same transaction, unless the queue is paused already. Pause
// tells whether it was called; it repairs a queue that lost its pause, and keeps
// the reason of a pause that is there: see Explain. It returns ErrDeposed if held
// leads no more.
func (s *Store) Pause(ctx context.Context, held jobs.Lead, route, reason string, change func(context.Context, pgx.Tx) error) (changed bool, err error) {
	return s.pause(ctx, held, jobs.Pause{Route: route, Owner: jobs.OwnerCircuit, Reason: reason}, change)
}

func (s *Store) pause(ctx context.Context, held jobs.Lead, p jobs.Pause, change func(context.Context, pgx.Tx) error) (changed bool, err error) {
	err = s.asLead(ctx, held, "pausing "+p.Route, func(tx pgx.Tx) error {
		paused, err := takeQueue(ctx, tx, p.Route, asSupervisor)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, addPause, p.Route, string(p.Owner), p.Reason); err != nil {
			return err
		}
		changed = !paused
		return changeIf(ctx, tx, changed, change)
	})
	return changed && err == nil, err
}

// Explain says why the pause of a route for its circuits goes on, if there is one.
// It is the same pause: since when it is stays, and it is no event. It returns
// ErrDeposed if held leads no more.
func (s *Store) Explain(ctx context.Context, held jobs.Lead, route, reason string) error {
	return s.asLead(ctx, held, "explaining the pause of "+route, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, explainPause, route, string(jobs.OwnerCircuit), reason)
		return err
	})
}

// Resume ends the pause of a route for its circuits. change is River's resume of
// the queue: it is called, in the same transaction, if the queue is paused and no
// other owner pauses it. Resume tells whether it was called. It returns
// ErrDeposed if held leads no more.
func (s *Store) Resume(ctx context.Context, held jobs.Lead, route string, change func(context.Context, pgx.Tx) error) (changed bool, err error) {
	return s.resume(ctx, held, jobs.Pause{Route: route, Owner: jobs.OwnerCircuit}, change)
}

func (s *Store) resume(ctx context.Context, held jobs.Lead, p jobs.Pause, change func(context.Context, pgx.Tx) error) (changed bool, err error) {
	err = s.asLead(ctx, held, "resuming "+p.Route, func(tx pgx.Tx) error {
		paused, err := takeQueue(ctx, tx, p.Route, asSupervisor)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, dropPause, p.Route, string(p.Owner)); err != nil {
			return err
		}
		var still bool
		if err := tx.QueryRow(ctx, stillPaused, p.Route).Scan(&still); err != nil {
			return err
		}
		changed = paused && !still
		return changeIf(ctx, tx, changed, change)
	})
	return changed && err == nil, err
}

// takeQueue locks a queue and tells whether it is paused.
func takeQueue(ctx context.Context, tx pgx.Tx, route, setting string, args ...any) (paused bool, err error) {
	if _, err := tx.Exec(ctx, setting, args...); err != nil {
		return false, err
	}
	if _, err := tx.Exec(ctx, addQueue, route); err != nil {
		return false, err
	}
	err = tx.QueryRow(ctx, lockQueue, route).Scan(&paused)
	return paused, err
}

func changeIf(ctx context.Context, tx pgx.Tx, yes bool, change func(context.Context, pgx.Tx) error) error {
	if !yes {
		return nil
	}
	return change(ctx, tx)
}

// PauseByPerson pauses a route until a person resumes it. change is River's pause
// of the queue, called in the same transaction, also when the queue is paused
// already: it is how the pause becomes a person's. An empty reason says just
// that. The quarantine is paused under the name of its queue. It returns
// ErrNotFound if there is no such route.
func (s *Store) PauseByPerson(ctx context.Context, route, reason string, change func(context.Context, pgx.Tx) error) error {
	return s.byPerson(ctx, "pausing", route, reason, change)
}

// ResumeByPerson ends every pause of a route, the circuits' too: if they still
// hold, the supervisor pauses it again. change is River's resume of the queue,
// called in the same transaction. It returns ErrNotFound if there is no such
// route.
func (s *Store) ResumeByPerson(ctx context.Context, route string, change func(context.Context, pgx.Tx) error) error {
	return s.byPerson(ctx, "resuming", route, "", change)
}

const (
	// The quarantine is no route, and has a queue as one.
	knownRoute = `/* tidegate: known route */
SELECT $1 = '` + jobs.QuarantineQueue + `' OR EXISTS (SELECT FROM tidegate.routes WHERE name = $1)`
	sayReason = `/* tidegate: say reason */ SELECT set_config('tidegate.reason', $1, true)`
)

func (s *Store) byPerson(ctx context.Context, doing, route, reason string, change func(context.Context, pgx.Tx) error) error {
	err := s.within(ctx, silence, func(tx pgx.Tx) error {
		var known bool
		if err := tx.QueryRow(ctx, knownRoute, route).Scan(&known); err != nil {
			return err
		}
		if !known {
			return ErrNotFound
		}
		if _, err := takeQueue(ctx, tx, route, sayReason, reason); err != nil {
			return err
		}
		return change(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("%s route %s: %w", doing, route, err)
	}
	return nil
}

// KeepQueues makes River's rows of those queues that have none. One that somebody pauses
// begins paused.
func (s *Store) KeepQueues(ctx context.Context, queues []string) error {
	if _, err := s.pool.Exec(ctx, keepQueues, queues); err != nil {
		return fmt.Errorf("keeping the rows of %d queues: %w", len(queues), err)
	}
	return nil
}
