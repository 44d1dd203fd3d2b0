package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/jobs"
)

const (
	readNow = `/* tidegate: clock */ SELECT clock_timestamp()`

	listPeers = `/* tidegate: peers */
SELECT id, beats, beat_at, dead_at IS NOT NULL, demand, accepted, announced, unreached, statistics, ended
FROM tidegate.workers WHERE dead_at IS NULL OR dead_at > now() - interval '1 hour' ORDER BY id`

	listPauses = `/* tidegate: pauses */ SELECT route, owner, reason, since FROM tidegate.pauses ORDER BY route, owner`

	listPaces = `/* tidegate: paces */ SELECT target, last_good FROM tidegate.paces`

	listChains = `/* tidegate: chains */ SELECT name, chain, admission FROM tidegate.routes`

	listDrills = `/* tidegate: drills */ SELECT target, mode, rate, since, until FROM tidegate.drills WHERE until > now() ORDER BY target`
)

// Fleet reads, in one round trip, what all workers know of each other: those
// that live or died within the last hour, every circuit and pause, and the
// drills that are not over. Its times are this machine's, as exactly as half of
// that round trip.
func (s *Store) Fleet(ctx context.Context) (jobs.Fleet, error) {
	var fleet jobs.Fleet
	err := s.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		var database time.Time
		var batch pgx.Batch
		var began, heard time.Time
		batch.Queue(readNow).QueryRow(func(row pgx.Row) error {
			heard = s.now()
			return row.Scan(&database)
		})
		queueFleet(&batch, &fleet)
		began = s.now()
		if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
			return err
		}
		fleet.Ahead = database.Sub(began.Add(heard.Sub(began) / 2))
		return nil
	})
	if err != nil {
		return jobs.Fleet{}, fmt.Errorf("reading the fleet: %w", err)
	}
	toMachineTime(&fleet, s.now())
	return fleet, nil
}

func queueFleet(batch *pgx.Batch, fleet *jobs.Fleet) {
	fleet.LastGood, fleet.Chains, fleet.Fair = map[string]float64{}, map[string][]string{}, map[string]bool{}
	batch.Queue(listPeers).Query(collect(&fleet.Peers, scanPeer))
	batch.Queue(listCircuits).Query(collect(&fleet.Circuits, scanCircuit))
	batch.Queue(listPauses).Query(collect(&fleet.Pauses, scanPause))
	batch.Queue(listDrills).Query(collect(&fleet.Drills, scanDrill))
	batch.Queue(listBudgets).Query(collect(&fleet.Budgets, scanFleetBudget))
	batch.Queue(listChains).Query(func(rows pgx.Rows) error {
		var route, admission string
		var chain []string
		_, err := pgx.ForEachRow(rows, []any{&route, &chain, &admission}, func() error {
			fleet.Chains[route] = slices.Clone(chain)
			if admission == jobs.AdmissionFair {
				fleet.Fair[route] = true
			}
			return nil
		})
		return err
	})
	batch.Queue(listPaces).Query(func(rows pgx.Rows) error {
		var target string
		var rate float32
		_, err := pgx.ForEachRow(rows, []any{&target, &rate}, func() error {
			fleet.LastGood[target] = float64(rate)
			return nil
		})
		return err
	})
}

// collect puts the rows of a batched query into a slice.
func collect[T any](into *[]T, scan pgx.RowToFunc[T]) func(pgx.Rows) error {
	return func(rows pgx.Rows) (err error) {
		*into, err = pgx.CollectRows(rows, scan)
		return err
	}
}

func scanPeer(row pgx.CollectableRow) (jobs.Peer, error) {
	var p jobs.Peer
	err := row.Scan(&p.Worker, &p.Beats, &p.At, &p.Dead, &p.Demand, &p.Accepted, &p.Announced, &p.Unreached, &p.Statistics, &p.Ended)
	return p, err
}

func scanPause(row pgx.CollectableRow) (jobs.Pause, error) {
	var p jobs.Pause
	err := row.Scan(&p.Route, &p.Owner, &p.Reason, &p.Since)
	return p, err
}

func scanDrill(row pgx.CollectableRow) (jobs.Drill, error) {
	var d jobs.Drill
	err := row.Scan(&d.Target, &d.Mode, &d.Rate, &d.Since, &d.Until)
	return d, err
}

// toMachineTime turns the database's times into this machine's: into some while
// from now, which holds whatever is done to its clock later.
func toMachineTime(fleet *jobs.Fleet, now time.Time) {
	there := now.Add(fleet.Ahead)
	turn := func(times ...*time.Time) {
		for _, t := range times {
			if !t.IsZero() {
				*t = now.Add(t.Sub(there))
			}
		}
	}
	for i := range fleet.Peers {
		turn(&fleet.Peers[i].At)
	}
	for i := range fleet.Circuits {
		c := &fleet.Circuits[i]
		turn(&c.Since, &c.CooldownUntil, &c.DownSince)
	}
	for i := range fleet.Pauses {
		turn(&fleet.Pauses[i].Since)
	}
	for i := range fleet.Budgets {
		turn(&fleet.Budgets[i].Since, &fleet.Budgets[i].OutSince)
	}
	for i := range fleet.Drills {
		turn(&fleet.Drills[i].Since, &fleet.Drills[i].Until)
	}
}
