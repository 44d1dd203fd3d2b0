package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const givenCircuits = `WITH given AS (
	SELECT target, region, state, generation, reason, now() + since AS since, now() + cooldown AS cooldown_until,
		now() + down AS down_since, trip_wait, person, degraded
	FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::interval[], $8::interval[], $9::interval[], $10::interval[], $11::boolean[], $12::text[])
	AS g (target, region, state, generation, reason, since, cooldown, down, trip_wait, person, degraded)
	WHERE NOT EXISTS (SELECT FROM tidegate.workers WHERE id = $1 AND dead_at IS NOT NULL)
)`

// A higher generation is right. Rows are locked in the order of their targets,
// also those that are not changed, so that two workers cannot wait for each
// other. A cooldown never gets shorter, unless a person said so.
const shareCircuits = `/* tidegate: share circuits */ ` + givenCircuits + `
INSERT INTO tidegate.circuits AS c (target, region, state, generation, reason, since, cooldown_until, down_since, trip_wait, person, degraded, worker)
SELECT target, region, state, generation, reason, since, cooldown_until, down_since, trip_wait, person, degraded, $1 FROM given ORDER BY target
ON CONFLICT (target) DO UPDATE SET region = excluded.region, state = excluded.state, generation = excluded.generation, reason = excluded.reason,
	since = excluded.since, down_since = excluded.down_since, trip_wait = excluded.trip_wait, person = excluded.person, degraded = excluded.degraded,
	cooldown_until = CASE WHEN excluded.person THEN excluded.cooldown_until ELSE greatest(c.cooldown_until, excluded.cooldown_until) END,
	prober = CASE WHEN c.prober = excluded.worker OR excluded.state = 'closed' THEN NULL ELSE c.prober END,
	worker = excluded.worker, updated_at = now()
WHERE excluded.generation > c.generation`

// Of a generation that the fleet knows already, or has left behind, two things
// are news: a later cooldown, unless a person spoke and this worker had not
// heard it; and that the prober's trial call is out.
const coolCircuits = `/* tidegate: cool circuits */ ` + givenCircuits + `, news AS (
	SELECT c.target, g.cooldown_until, g.state, g.reason,
		coalesce(g.cooldown_until > coalesce(c.cooldown_until, '-infinity') AND (NOT c.person OR g.person AND g.generation = c.generation), false) AS later,
		coalesce(g.state = 'half-open' AND c.state = 'open' AND g.generation = c.generation AND c.prober = $1, false) AS tried
	FROM given g JOIN tidegate.circuits c USING (target)
	WHERE g.generation <= c.generation
)
UPDATE tidegate.circuits c SET
	cooldown_until = CASE WHEN n.later THEN n.cooldown_until ELSE c.cooldown_until END,
	reason = CASE WHEN n.later AND c.state = 'closed' AND n.state = 'closed' THEN n.reason ELSE c.reason END,
	state = CASE WHEN n.tried THEN 'half-open' ELSE c.state END,
	worker = $1, updated_at = now()
FROM news n WHERE n.target = c.target AND (n.later OR n.tried)`

// ShareCircuits tells the fleet where circuits stand, as a worker sees them. What
// is older than what the fleet knows changes nothing but that a later cooldown
// counts; of two changes to the same generation the first one stands. When the
// prober of a circuit moves it on, its probe is over. Circuits that are Local
// are left out, and a worker that was declared dead is not heard. It may be
// repeated.
func (s *Store) ShareCircuits(ctx context.Context, worker string, circuits []jobs.Circuit) error {
	args := circuitArgs(worker, circuits, s.now())
	var batch pgx.Batch
	batch.Queue(shareCircuits, args...)
	batch.Queue(coolCircuits, args...)
	err := s.within(ctx, silence, func(tx pgx.Tx) error { return tx.SendBatch(ctx, &batch).Close() })
	if err != nil {
		return fmt.Errorf("sharing %d circuits: %w", len(circuits), err)
	}
	return nil
}

// circuitArgs lays circuits out by column, their times as durations from now.
func circuitArgs(worker string, circuits []jobs.Circuit, now time.Time) []any {
	var (
		target, region, state, reason   = []string{}, []string{}, []string{}, []string{}
		generation                      = []int64{}
		since, cooldown, down, tripWait = []*time.Duration{}, []*time.Duration{}, []*time.Duration{}, []*time.Duration{}
		person                          = []bool{}
		degraded                        = []*string{}
		fromNow                         = func(t time.Time) *time.Duration {
			if t.IsZero() {
				return nil
			}
			d := t.Sub(now)
			return &d
		}
	)
	for _, c := range circuits {
		if c.Local {
			continue
		}
		if c.Since.IsZero() {
			c.Since = now
		}
		target, region, state = append(target, c.Target), append(region, c.Region), append(state, string(c.State))
		generation, reason, person = append(generation, int64(c.Generation)), append(reason, c.Reason), append(person, c.Person)
		since, cooldown = append(since, fromNow(c.Since)), append(cooldown, fromNow(c.CooldownUntil))
		down, tripWait = append(down, fromNow(c.DownSince)), append(tripWait, orNull(c.TripWait))
		degraded = append(degraded, orNull(c.Degraded))
	}
	return []any{worker, target, region, state, generation, reason, since, cooldown, down, tripWait, person, degraded}
}

const listCircuits = `/* tidegate: circuits */
SELECT target, region, state, generation, reason, since, cooldown_until, down_since, trip_wait, person, prober, degraded FROM tidegate.circuits ORDER BY target`

// Circuits lists where every circuit stands, as was last said. Their times are
// the database's; see Fleet for this machine's.
func (s *Store) Circuits(ctx context.Context) ([]jobs.Circuit, error) {
	rows, err := s.pool.Query(ctx, listCircuits)
	if err != nil {
		return nil, fmt.Errorf("listing circuits: %w", err)
	}
	circuits, err := pgx.CollectRows(rows, scanCircuit)
	if err != nil {
		return nil, fmt.Errorf("listing circuits: %w", err)
	}
	return circuits, nil
}

func scanCircuit(row pgx.CollectableRow) (jobs.Circuit, error) {
	var (
		c              jobs.Circuit
		generation     int64
		cooldown, down *time.Time
		tripWait       *time.Duration
		prober         *string
		degraded       *string
	)
	err := row.Scan(&c.Target, &c.Region, &c.State, &generation, &c.Reason, &c.Since, &cooldown, &down, &tripWait, &c.Person, &prober, &degraded)
	c.Generation, c.CooldownUntil, c.DownSince = uint64(generation), orZero(cooldown), orZero(down)
	c.TripWait, c.Prober, c.Degraded = orZero(tripWait), orZero(prober), orZero(degraded)
	return c, err
}

const setCircuit = `/* tidegate: set circuit */
UPDATE tidegate.circuits SET state = $2, generation = generation + 1, reason = $4, since = now(), person = true, prober = NULL, worker = '',
	cooldown_until = CASE WHEN $2 = 'open' THEN now() + $3::interval END,
	down_since = CASE WHEN $2 = 'open' THEN coalesce(down_since, now()) END,
	trip_wait = NULL, degraded = NULL, updated_at = now()
WHERE target = $1`

// forGood is how long a circuit stays open that a person opened for no given
// time: a hundred years. See jobs.Circuit.UntilClosed.
const forGood = 100 * jobs.LongestCooldown

// SetCircuit is a person's word: it opens a circuit for d (zero, or more than
// jobs.LongestCooldown: until a person closes it), or closes it, with d of no
// matter, and then its cooldown ends, too.
// It returns ErrNotFound for a target of which no worker has ever spoken.
func (s *Store) SetCircuit(ctx context.Context, target string, state jobs.CircuitState, d time.Duration, reason string) error {
	if state != jobs.CircuitOpen && state != jobs.CircuitClosed {
		return fmt.Errorf("setting the circuit of %s: a person may open or close it, not make it %q", target, state)
	}
	if d < 0 {
		return fmt.Errorf("setting the circuit of %s: %s is below zero", target, d)
	}
	if d == 0 || d > jobs.LongestCooldown {
		d = forGood
	}
	done, err := s.pool.Exec(ctx, setCircuit, target, string(state), d, reason)
	if err != nil {
		return fmt.Errorf("setting the circuit of %s: %w", target, err)
	}
	if done.RowsAffected() == 0 {
		return fmt.Errorf("circuit of %s: %w", target, ErrNotFound)
	}
	return nil
}
