package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/jobs"
)

// A trigger notes every change of state that any worker writes down, so nothing
// falls between two looks at the table.
const circuitLog = `/* bench: log circuits */
CREATE SCHEMA bench;
CREATE TABLE bench.circuits (at timestamptz NOT NULL DEFAULT clock_timestamp(), was text, state text NOT NULL, since timestamptz NOT NULL);
CREATE FUNCTION bench.note_circuit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		INSERT INTO bench.circuits (state, since) VALUES (NEW.state, NEW.since);
	ELSIF OLD.state <> NEW.state THEN
		INSERT INTO bench.circuits (was, state, since) VALUES (OLD.state, NEW.state, NEW.since);
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER bench_circuit AFTER INSERT OR UPDATE ON tidegate.circuits FOR EACH ROW EXECUTE FUNCTION bench.note_circuit()`

func logCircuits(ctx context.Context, pool *pgxpool.Pool) error {
	if _, err := pool.Exec(ctx, circuitLog); err != nil {
		return fmt.Errorf("preparing the log of circuits: %w", err)
	}
	return nil
}

// A Change is one of the circuit's state, as the fleet was told.
type Change struct {
	At    time.Time // when it was written down
	Was   jobs.CircuitState
	State jobs.CircuitState
	Since time.Time // when it was, as the worker says
}

// Circuits lists the changes since a time, in order.
func (s *Stage) Circuits(ctx context.Context, since time.Time) ([]Change, error) {
	const changes = `/* bench: circuits */ SELECT at, coalesce(was, ''), state, since FROM bench.circuits WHERE at >= $1 ORDER BY at`
	rows, err := s.Pool.Query(ctx, changes, since)
	if err != nil {
		return nil, fmt.Errorf("reading the log of circuits: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Change])
}

// Trip is when the circuit first opened; zero: it did not.
func Trip(changes []Change) time.Time {
	for _, change := range changes {
		if change.State == jobs.CircuitOpen {
			return change.Since
		}
	}
	return time.Time{}
}

// Reopened counts how often the circuit went from closed to open after it had
// closed once.
func Reopened(changes []Change) (n int) {
	closed := false
	for _, change := range changes {
		if closed && change.Was == jobs.CircuitClosed && change.State == jobs.CircuitOpen {
			n++
		}
		closed = closed || change.State == jobs.CircuitClosed
	}
	return n
}

// AwaitTrip waits until the fleet knows of an outage that began at a time.
func (s *Stage) AwaitTrip(ctx context.Context, began time.Time) error {
	return s.Await(ctx, soon, "a circuit opens", func() (bool, error) {
		changes, err := s.Circuits(ctx, began)
		return !Trip(changes).IsZero(), err
	})
}
