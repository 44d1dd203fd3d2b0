package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// Gauges are how everything stands, as numbers for who watches all the time.
type Gauges struct {
	Fleet   jobs.Fleet
	Lead    string // who supervises; empty: nobody
	Routes  []RouteStatus
	Ages    map[string]float64      // by route: of its oldest job, in seconds, as Status has it; those without jobs are left out
	Batches map[jobs.BatchState]int // those that have not ended
	Outbox  int                     // events that owe a message: so many, up to MostOutbox
	Behind  float64                 // the age of the oldest of them, in seconds

	Webhooks WebhookGauges
	Kept     []KeptGauge // of what is not kept for ever
}

// WebhookGauges are how webhooks are told, all of them together.
type WebhookGauges struct {
	Enabled, Failing, Disabled int     // failing are among those that are enabled
	FailingFor                 float64 // since when one of them has been told nothing that it was to be told, in seconds
	Waits                      float64 // for how long an event has waited for a worker that tells it, in seconds
}

// A KeptGauge is how far the removal is of what was kept long enough.
type KeptGauge struct {
	What   string
	Behind float64 // in seconds
	Silent float64 // since somebody swept, in seconds
}

// MostOutbox is how many events that owe a message are counted.
const MostOutbox = 50_000

const (
	gaugeLead = `/* tidegate: gauge lead */
SELECT coalesce((SELECT holder FROM tidegate.leases WHERE name = 'supervisor' AND expires_at > now()), '')`

	gaugeBatches = `/* tidegate: gauge batches */
SELECT state, count(*) FROM tidegate.batches WHERE ended_at IS NULL GROUP BY state`

	// An event that is due is available; one that was tried in vain waits for another time,
	// which River's leader makes available.
	gaugeWebhooks = `/* tidegate: gauge webhooks */
SELECT count(*) FILTER (WHERE disabled_at IS NULL), count(*) FILTER (WHERE disabled_at IS NULL AND failing_since IS NOT NULL), count(disabled_at),
	coalesce(extract(epoch FROM now() - min(failing_since) FILTER (WHERE disabled_at IS NULL)), 0)::float8,
	greatest(0, extract(epoch FROM now() - (SELECT scheduled_at FROM tidegate.river_job -- it may rest for some seconds
		WHERE state = 'available' AND queue = '` + jobs.WebhookQueue + `' AND priority = 1 ORDER BY scheduled_at, id LIMIT 1)))::float8
FROM tidegate.webhooks`

	gaugeOutbox = `/* tidegate: gauge outbox */
SELECT (SELECT count(*) FROM (SELECT FROM tidegate.outbox LIMIT $1) counted),
	coalesce(extract(epoch FROM now() - (SELECT created_at FROM tidegate.outbox ORDER BY id LIMIT 1)), 0)::float8`
)

// Gauges reads how everything stands. What it costs does not depend on how many requests
// wait.
func (s *Store) Gauges(ctx context.Context) (Gauges, error) {
	g := Gauges{Ages: map[string]float64{}, Batches: map[jobs.BatchState]int{}}
	var err error
	if g.Fleet, err = s.Fleet(ctx); err != nil {
		return g, err
	}
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, s.pool, options, func(tx pgx.Tx) error {
		err := errors.Join(
			tx.QueryRow(ctx, gaugeLead).Scan(&g.Lead),
			tx.QueryRow(ctx, gaugeOutbox, MostOutbox).Scan(&g.Outbox, &g.Behind),
			tx.QueryRow(ctx, gaugeWebhooks).Scan(&g.Webhooks.Enabled, &g.Webhooks.Failing, &g.Webhooks.Disabled, &g.Webhooks.FailingFor, &g.Webhooks.Waits),
			g.batches(ctx, tx),
			g.kept(ctx, tx),
		)
		if err != nil {
			return err
		}
		return g.routes(ctx, s, tx)
	})
	if err != nil {
		return g, fmt.Errorf("reading how everything stands: %w", err)
	}
	return g, nil
}

func (g *Gauges) batches(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, gaugeBatches)
	if err != nil {
		return err
	}
	var state jobs.BatchState
	var n int
	_, err = pgx.ForEachRow(rows, []any{&state, &n}, func() error {
		g.Batches[state] = n
		return nil
	})
	return err
}

func (g *Gauges) kept(ctx context.Context, tx pgx.Tx) error {
	var status Status
	if err := errors.Join(readClock(ctx, tx, &status), readKept(ctx, tx, &status)); err != nil {
		return err
	}
	for i := range status.Kept {
		if k := &status.Kept[i]; k.Keep > 0 {
			g.Kept = append(g.Kept, KeptGauge{k.What, k.Behind(status.At).Seconds(), max(0, status.At.Sub(k.SweptAt).Seconds())})
		}
	}
	return nil
}

func (g *Gauges) routes(ctx context.Context, s *Store, tx pgx.Tx) error {
	var status Status
	if err := errors.Join(readClock(ctx, tx, &status), s.readRoutes(ctx, tx, &status)); err != nil {
		return err
	}
	g.Routes = status.Routes
	for i := range g.Routes {
		if r := &g.Routes[i]; !r.Oldest.IsZero() {
			g.Ages[r.Route] = max(0, status.At.Sub(r.Oldest).Seconds())
		}
	}
	return nil
}
