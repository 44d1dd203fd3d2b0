package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/integration/bench"
)

// A row is one round of one admission.
type row struct {
	small    []time.Duration // waits of the small tenant
	left     int             // of the big one, when the small one was done
	single   []time.Duration // waits of single requests on the idle route
	enqueued float64         // of the big tenant, a second
	done     float64         // jobs a second, from the start of the workers
	cpuMS    float64         // for each job
	walKB    float64         // for each job
}

// drains is how long a backlog may take at most.
const drains = 30 * time.Minute

const (
	allDone = `SELECT count(*) FROM tidegate.river_job WHERE state = 'completed'`
	waits   = `SELECT extract(epoch FROM r.stored_at - q.created_at)::float8 FROM tidegate.requests q JOIN tidegate.results r ON r.request_id = q.id WHERE q.tenant = $1`
)

func (p plan) take(ctx context.Context, ground *bench.Ground, admission string, round int) (row, error) {
	var r row
	provider := ground.Provider(name)
	stage, err := ground.Stage(ctx, bench.StageConfig{
		Name: fmt.Sprintf("%s_%d", admission, round), Provider: provider, Concurrency: p.concurrency, RequestsPerMinute: p.rpm, Admission: admission,
	})
	if err != nil {
		return r, err
	}
	defer stage.Close()
	bench.Say("%s: %d requests of one tenant, then %d of another", admission, p.jobs, p.small)
	if err := p.fill(ctx, stage, &r); err != nil {
		return r, err
	}
	for range p.singles {
		if err := p.single(ctx, stage); err != nil {
			return r, err
		}
	}
	r.single, err = read(ctx, stage, "single")
	return r, err
}

// fill measures what all costs.
func (p plan) fill(ctx context.Context, stage *bench.Stage, r *row) error {
	cpu := stage.CPU()
	wal, err := bench.WALPosition(ctx, stage.Pool)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := stage.EnqueueAs(ctx, "big", 0, p.jobs); err != nil {
		return err
	}
	r.enqueued = float64(p.jobs) / time.Since(began).Seconds()
	began = time.Now()
	if err := stage.StartWorkers(p.processes); err != nil {
		return err
	}
	if err := await(ctx, stage, "a twentieth is done", allDone, p.jobs/20); err != nil {
		return err
	}
	if err := stage.EnqueueAs(ctx, "small", p.jobs, p.small); err != nil {
		return err
	}
	if err := await(ctx, stage, "the small tenant is done", "SELECT count(*) FROM tidegate.requests q JOIN tidegate.results r ON r.request_id = q.id WHERE q.tenant = 'small'", p.small); err != nil {
		return err
	}
	if r.left, err = stage.Count(ctx, "SELECT count(*) FROM tidegate.river_job WHERE finalized_at IS NULL"); err != nil {
		return err
	}
	all := p.jobs + p.small
	if err := await(ctx, stage, "all is done", allDone, all); err != nil {
		return err
	}
	r.done = float64(all) / time.Since(began).Seconds()
	r.cpuMS = 1000 * (stage.CPU() - cpu).Seconds() / float64(all)
	after, err := bench.WALPosition(ctx, stage.Pool)
	if err != nil {
		return err
	}
	r.walKB = float64(after-wal) / 1024 / float64(all)
	r.small, err = read(ctx, stage, "small")
	return err
}

// single sees one request through.
func (p plan) single(ctx context.Context, stage *bench.Stage) error {
	before, err := stage.Count(ctx, allDone)
	if err != nil {
		return err
	}
	if err := stage.EnqueueAs(ctx, "single", p.jobs+p.small+before, 1); err != nil {
		return err
	}
	return await(ctx, stage, "a single request is done", allDone, before+1)
}

func await(ctx context.Context, stage *bench.Stage, what, sql string, n int) error {
	return stage.Await(ctx, drains, what, func() (bool, error) {
		now, err := stage.Count(ctx, sql)
		return now >= n, err
	})
}

// read reads how long each request of a tenant took.
func read(ctx context.Context, stage *bench.Stage, tenant string) ([]time.Duration, error) {
	rows, err := stage.Pool.Query(ctx, waits, tenant)
	if err != nil {
		return nil, err
	}
	seconds, err := pgx.CollectRows(rows, pgx.RowTo[float64])
	if err != nil {
		return nil, err
	}
	slices.Sort(seconds)
	took := make([]time.Duration, len(seconds))
	for i, s := range seconds {
		took[i] = time.Duration(s * float64(time.Second))
	}
	return took, nil
}
