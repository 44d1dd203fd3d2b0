package app

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
	"tidegate/jobs/batchapi"
	"tidegate/worker"
)

const (
	// deskConns is what a desk needs of a pool of its own.
	deskConns = 8
	// deskAgain is how soon a desk begins anew that ended: its fleet had lost sight of
	// it, or its database is away.
	deskAgain = time.Second
	// deskStarts is how long somebody waits for the first one.
	deskStarts = 5 * time.Second
)

// A frontDesk answers those who wait, in a process that works no queue. One that its
// fleet declared dead, as after a long pause of the machine, begins anew under another
// name: files and batches do not end for that. Safe for concurrent use.
type frontDesk struct {
	pool    *pgxpool.Pool
	telling *telemetry
	log     zerolog.Logger
	logEnds worker.LogEnds

	started chan struct{} // closed when the first one runs

	draining sync.WaitGroup // desks that run, also those that are dead

	mu     sync.Mutex
	config *config.Config
	stack  *Stack // nil: none runs
}

func newFrontDesk(pool *pgxpool.Pool, telling *telemetry, conf *config.Config, ends worker.LogEnds, log zerolog.Logger) *frontDesk {
	return &frontDesk{pool: pool, telling: telling, config: conf, logEnds: ends, log: log, started: make(chan struct{})}
}

// Answer is for batchapi.
func (d *frontDesk) Answer(ctx context.Context, request *jobs.Request) (*jobs.Result, error) {
	select {
	case <-d.started:
	case <-ctx.Done():
	case <-time.After(deskStarts):
	}
	d.mu.Lock()
	stack := d.stack
	d.mu.Unlock()
	if stack == nil {
		return nil, &jobs.NotNowError{Lack: jobs.LackWorker, Reason: "this process has just started, or its database is away", After: deskAgain}
	}
	return stack.Worker.Answer(ctx, request)
}

// Running is the configuration in effect.
func (d *frontDesk) Running() *config.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.config
}

// Take has another configuration in effect.
func (d *frontDesk) Take(conf *config.Config) {
	d.mu.Lock()
	stack := d.stack
	d.config = conf
	d.mu.Unlock()
	if stack != nil {
		stack.Take(conf)
	}
}

// Run answers until ctx ends.
func (d *frontDesk) Run(ctx context.Context) {
	defer d.draining.Wait()
	for well := true; ctx.Err() == nil; {
		err := d.once(ctx)
		if err != nil && ctx.Err() == nil && well {
			d.log.Warn().Err(err).Msg("nobody is answered at once for a moment; it begins anew")
		}
		well = err == nil
		select {
		case <-time.After(deskAgain):
		case <-ctx.Done():
		}
	}
}

// serve serves HTTP, and runs the desk beside it.
func (d *frontDesk) serve(ctx context.Context, listener net.Listener, front *batchapi.Server, calls time.Duration) error {
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { d.Run(ctx) })
	return serveHTTP(ctx, listener, front, d.telling.tracer, calls)
}

func (d *frontDesk) once(ctx context.Context) error {
	d.mu.Lock()
	conf := d.config
	d.mu.Unlock()
	_, routes := conf.Build()
	stack, err := NewStack(ctx, StackConfig{
		Pool: d.pool, Desk: true, Routes: routes, Choosing: conf.Choosing(), Weights: conf.Weights(), Log: d.log,
		Concurrency: conf.Worker.Concurrency, StopTimeout: conf.Worker.ShutdownTimeout, HoldBudget: conf.Worker.HoldBudget, Name: jobs.DeskName(workerName()), Metrics: d.telling.metrics, Tracer: d.telling.tracer, LogEnds: d.logEnds,
	})
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.stack = stack
	select {
	case <-d.started:
	default:
		close(d.started)
	}
	changed := d.config != conf
	conf = d.config
	d.mu.Unlock()
	if changed {
		stack.Take(conf)
	}
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.stack = nil
	}()
	ended := make(chan error, 1)
	d.draining.Go(func() { ended <- stack.Run(ctx) })
	select {
	case err = <-ended:
		return err
	case <-stack.Worker.Died(): // those who are called by it have their time, and others need not wait for that
		return jobs.ErrDead
	}
}
