package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidegate/integration/bench"
)

// A row is one system in one outage.
type row struct {
	name    string
	schema  string // of its River
	stage   func(context.Context, *bench.Ground, plan, bench.StageConfig) (*bench.Stage, error)
	workers func(*bench.Stage, int) error
	midway  bool // the outage comes while jobs are under way
}

// The rows, in the order in which they are taken.
const (
	tidegateRow  = "tidegate"
	midFlightRow = "mid-flight"
	riverRow     = "river"
)

var rows = []row{
	{name: tidegateRow, schema: "tidegate", stage: tidegateStage, workers: (*bench.Stage).StartWorkers},
	{name: midFlightRow, schema: "tidegate", stage: tidegateStage, workers: (*bench.Stage).StartWorkers, midway: true},
	{name: riverRow, schema: "public", stage: riverStage, workers: (*bench.Stage).StartRiver},
}

func tidegateStage(ctx context.Context, ground *bench.Ground, p plan, config bench.StageConfig) (*bench.Stage, error) {
	stage, err := ground.Stage(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := stage.Enqueue(ctx, 0, p.jobs); err != nil {
		stage.Close()
		return nil, err
	}
	return stage, nil
}

func riverStage(ctx context.Context, ground *bench.Ground, p plan, config bench.StageConfig) (*bench.Stage, error) {
	return ground.RiverStage(ctx, config, p.jobs)
}

// take takes the figures of one row.
func (p plan) take(ctx context.Context, ground *bench.Ground, r row) (figures, error) {
	provider := ground.Provider(r.name)
	stage, err := r.stage(ctx, ground, p, bench.StageConfig{
		Name: r.name, Provider: provider, Concurrency: p.workers / p.processes, RequestsPerMinute: 60 * p.allowed,
	})
	if err != nil {
		return figures{}, err
	}
	defer stage.Close()
	began, recovery, err := p.strike(ctx, r, stage, provider)
	if err != nil {
		return figures{}, err
	}
	if err := bench.Sleep(ctx, recovery); err != nil {
		return figures{}, err
	}
	err = stage.Await(ctx, p.patience, "all jobs are done", func() (bool, error) {
		n, err := stage.Count(ctx, fmt.Sprintf("SELECT count(*) FROM %s.river_job WHERE state = 'completed'", r.schema))
		return n >= p.jobs, err
	})
	if err != nil && !errors.Is(err, bench.ErrLate) {
		return figures{}, err
	}
	stage.StopWorkers() // what is under way is counted then
	return p.read(ctx, r, stage, provider, span{began, recovery})
}

// strike starts the workers and the outage, in the order that the row wants.
func (p plan) strike(ctx context.Context, r row, stage *bench.Stage, provider *bench.Provider) (began, recovery time.Time, err error) {
	if r.midway {
		if err = r.workers(stage, p.processes); err == nil {
			err = awaitMidway(ctx, stage, provider, p.jobs/4)
		}
		if err != nil {
			return began, recovery, err
		}
	}
	began = time.Now()
	recovery, err = provider.Down(ctx, p.outage)
	if err == nil && !r.midway {
		err = r.workers(stage, p.processes)
	}
	return began, recovery, err
}

func awaitMidway(ctx context.Context, stage *bench.Stage, provider *bench.Provider, answered int) error {
	return stage.Await(ctx, time.Minute, "a quarter of the jobs is answered", func() (bool, error) {
		calls, err := provider.Calls(ctx)
		return calls.Answered >= answered, err
	})
}

// A span is from the beginning of the outage to its end.
type span struct{ began, recovery time.Time }

// read takes down what came of it.
func (p plan) read(ctx context.Context, r row, stage *bench.Stage, provider *bench.Provider, outage span) (figures, error) {
	calls, err := provider.Calls(ctx)
	if err != nil {
		return figures{}, err
	}
	first, err := provider.FirstAnswer(ctx, outage.recovery)
	if err != nil {
		return figures{}, err
	}
	if calls.Answered == 0 {
		return figures{}, errors.New("the provider answered nothing, so there is nothing to measure")
	}
	f := figures{WastedCalls: calls.Unavailable, Duplicates: calls.AnsweredTwice, Over: calls.RateLimited, calls: calls.Total - calls.Unavailable}
	if !first.IsZero() {
		f.FirstAnswer = bench.Seconds(first.Sub(outage.recovery))
	}
	if err := p.readJobs(ctx, r, stage, &f, outage); err != nil || r.schema != "tidegate" {
		return f, err
	}
	return f, readCircuit(ctx, stage, &f, outage)
}

// readJobs reads what became of the jobs, from River's own table.
func (p plan) readJobs(ctx context.Context, r row, stage *bench.Stage, f *figures, outage span) error {
	done, last := 0, time.Time{}
	jobs := fmt.Sprintf("SELECT max(attempt), count(*) FILTER (WHERE state = 'completed'), coalesce(max(finalized_at), now()) FROM %s.river_job", r.schema)
	if err := stage.Pool.QueryRow(ctx, jobs).Scan(&f.AttemptsMax, &done, &last); err != nil {
		return err
	}
	if done == p.jobs {
		f.AllDone = bench.Seconds(last.Sub(outage.recovery))
	}
	answered := done
	if r.schema == "tidegate" { // a job is complete, too, whose request was refused
		var err error
		if answered, err = stage.Count(ctx, "SELECT count(*) FROM tidegate.results WHERE state = 'answered'"); err != nil {
			return err
		}
	}
	f.Lost = p.jobs - answered
	return nil
}

// readCircuit reads what only tidegate has: the circuit and its probes.
func readCircuit(ctx context.Context, stage *bench.Stage, f *figures, outage span) error {
	changes, err := stage.Circuits(ctx, outage.began)
	if err != nil {
		return err
	}
	trip := bench.Trip(changes)
	if trip.IsZero() {
		return errors.New("no circuit opened in the outage, so there is nothing to measure")
	}
	if f.inFlight, err = stage.Count(ctx,
		"SELECT count(*) FROM tidegate.attempts WHERE at <= $1 AND at + latency_us * interval '1 microsecond' >= $1", trip); err != nil {
		return err
	}
	if f.probes, err = stage.Count(ctx, "SELECT count(*) FROM tidegate.attempts WHERE probe AND status = 503"); err != nil {
		return err
	}
	after, err := stage.Circuits(ctx, outage.recovery)
	f.Reopened = bench.Number(bench.Reopened(after))
	return err
}
