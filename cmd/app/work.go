package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"tidegate/worker"
)

const (
	// spareConns is what loads, commits, the relay and the fleet's business need of
	// a pool, and routeConns what River does beside it for each route: it fetches
	// jobs of one and writes the end of others. A heartbeat must never wait for
	// them. batchConns is what River does for the queue of batches, and what four of
	// them need that are enqueued or finalized: each reads with one and writes with
	// another. hookConns is that of webhooks, each of which is read and noted quickly.
	spareConns = 12
	routeConns = 2
	batchConns = routeConns + 2*4
	hookConns  = routeConns + 2
)

// workerConns is how many connections a worker of some routes may open.
func workerConns(routes int) int { return spareConns + batchConns + hookConns + routeConns*routes }

func newWorkCommand(o *options) *cobra.Command {
	timing := &timingFlag{}
	cmd := &cobra.Command{
		Use:     "work",
		GroupID: groupRun,
		Short:   "Work the queues of the configured routes",
		Long: `work takes jobs from the queues of all configured routes, has their requests
answered, stores the results and publishes them. Run as many as you like on one
database. SIGTERM stops in order: nothing new is taken, calls in flight get
worker.shutdown_timeout to end, everything else goes back to its queue with its
attempts.
The configuration is read again on SIGHUP, and when its file or a file with a key
changes: keys, targets and chains are taken at once, also for jobs that wait. What
needs a restart is said in the log, and a file with mistakes changes nothing.`,
		Example: `  tidegate work --config tidegate.yaml
  tidegate work --metrics-listen 127.0.0.1:9464     # /metrics, /healthz, /readyz`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.work(cmd, timing.Timing) },
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return checkMetricsFlag(cmd) }
	registerMetrics(cmd)
	o.registerLogEnds(cmd)
	registerTiming(cmd, timing)
	return cmd
}

func (o *options) work(cmd *cobra.Command, timing worker.Timing) error {
	ctx := cmd.Context()
	log, err := o.logger(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	hung, deaf := hangups()
	defer deaf()
	reload, warnings, err := o.newReloader()
	if err != nil {
		return err
	}
	for _, warning := range warnings {
		log.Warn().Msg(warning.String())
	}
	config := reload.running
	if len(config.Routes) == 0 {
		return errors.New("no route is configured, so there is nothing to work: `tidegate init` writes a configuration")
	}
	where := o.endpoints(config)
	if where.nats == "" {
		return errors.New("no NATS is named: set `nats:` in the configuration, $NATS_URL or --nats-url")
	}
	pool, err := o.connect(ctx, workerConns(len(config.Routes))+config.DoorConns(false))
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := checkMigrated(ctx, pool); err != nil {
		return err
	}
	conn, err := dialNATS(where.nats, "tidegate worker", false, log)
	if err != nil {
		return err
	}
	defer conn.Close()
	telling, err := o.openTelemetry(cmd, config, log)
	if err != nil {
		return err
	}
	defer telling.close()
	_, routes := config.Build()
	stack, err := NewStack(ctx, StackConfig{
		Pool: pool, Conn: conn, Routes: routes, Batches: batchLimits(config), Retention: config.Kept(), Webhooks: config.Webhooks, Door: config.AcceptsOverNATS(false), Budgets: config.Budgets(), Canaries: config.BuildCanaries(), Choosing: config.Choosing(), Weights: config.Weights(), Metrics: telling.metrics, Tracer: telling.tracer, LogEnds: worker.LogEnds(o.logEnds), Log: log,
		Concurrency: config.Worker.Concurrency, StopTimeout: config.Worker.ShutdownTimeout, HoldBudget: config.Worker.HoldBudget,
		Timing: timing,
	})
	if err != nil {
		return err
	}
	log.Info().Int("routes", len(routes)).Str("version", programVersion()).Msg("working")
	told := context.AfterFunc(ctx, func() {
		log.Info().Dur("at_most_ms", config.Worker.ShutdownTimeout).Msg("stopping: calls in flight get their time; a second signal ends at once")
	})
	defer told()
	defer log.Info().Msg("stopped")
	reload.fixed, reload.take, reload.hangups, reload.log = []string{"postgres", "nats", "metrics_listen", "nats_door", "canaries", "worker", "batches", "retention", "webhooks"}, stack.Take, hung, log
	return telling.beside(ctx, func(ctx context.Context) error { return reload.beside(ctx, stack.Run) })
}

// checkMigrated refuses a database that is older than the program.
func checkMigrated(ctx context.Context, pool *pgxpool.Pool) error {
	pending, err := pendingMigrations(ctx, pool)
	if err == nil && len(pending) > 0 {
		return fmt.Errorf("the database is not up to date (%s): run `tidegate migrate` first", missingMigrations(len(pending)))
	}
	return err
}
