package app

import (
	"context"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"tidegate/cmd/app/config"
	"tidegate/jobs/batchapi"
	"tidegate/worker"
)

// serveConns is how many connections files, batches and jobs may open.
const serveConns = 16

func newServeCommand(o *options) *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:     "serve",
		GroupID: groupRun,
		Short:   "Serve the page, files, batches, jobs, health and status over HTTP",
		Long: `serve answers over HTTP: a page for people at /; /v1/files and /v1/batches as the OpenAI API does, so that
its SDKs need another base URL and nothing else; /v1/chat/completions for who waits
for the answer, also in pieces; /v1/jobs takes and shows single requests; /v1/events
streams what happens, if it is told of a NATS; /healthz (is it alive), /readyz (does
Postgres answer), /metrics (for Prometheus, with the scope admin) and /v1/status (what
"tidegate status --json" prints). It works no queue: that is what "tidegate work" is for. Without an API key it lets in who comes
from its own machine, and does not listen for others: see "tidegate keys". When the
configuration changes, and on SIGHUP, it is taken as by "tidegate work". With --json it
says on the standard output where it listens.`,
		Example: `  tidegate serve
  tidegate serve --listen 0.0.0.0:8080      # with API keys
  OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=none python enqueue.py`,
		Args: noArguments,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			return firstError(checkAddress("--listen", address), checkMetricsFlag(cmd))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return o.serve(cmd, address) },
	}
	registerMetrics(cmd)
	o.registerLogEnds(cmd)
	cmd.Flags().StringVar(&address, "listen", config.DefaultListen, "address to listen on; wins over the configuration when given")
	return cmd
}

// sayListening says where it is, to people and to programs.
func (o *options) sayListening(cmd *cobra.Command, listener net.Listener) error {
	url := "http://" + listener.Addr().String()
	fmt.Fprintf(cmd.ErrOrStderr(), "listening on %s\n", url)
	if !o.json {
		return nil
	}
	return printJSON(cmd.OutOrStdout(), map[string]string{"url": url})
}

func (o *options) serve(cmd *cobra.Command, address string) error {
	ctx := cmd.Context()
	log, err := o.logger(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	hung, deaf := hangups()
	defer deaf()
	reload, _, err := o.newReloader()
	if err != nil {
		return err
	}
	pool, err := o.connect(ctx, serveConns)
	if err != nil {
		return err
	}
	defer pool.Close()
	if !cmd.Flags().Changed("listen") {
		address = reload.running.Listen
	}
	if err := checkExposed(ctx, pool, address); err != nil {
		return err
	}
	follow := newEvents(nil, o.endpoints(reload.running).nats)
	defer follow.close()
	var waited batchapi.Desk
	apart, err := o.connect(ctx, deskConns) // a beat must never wait for files
	if err != nil {
		return err
	}
	defer apart.Close()
	telling, err := o.openTelemetry(cmd, reload.running, log)
	if err != nil {
		return err
	}
	defer telling.close()
	desk := newFrontDesk(apart, telling, reload.running, worker.LogEnds(o.logEnds), log)
	if len(reload.running.Routes) > 0 {
		waited = desk
	}
	front, err := newFront(pool, follow, waited, telling.metrics, desk.Running, log)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, "--listen", address)
	if err != nil {
		return err
	}
	if err := o.sayListening(cmd, listener); err != nil {
		return err
	}
	reload.take = desk.Take // the page shows by it what targets cost, also where nobody is answered
	reload.fixed, reload.hangups, reload.log = []string{"postgres", "nats", "metrics_listen", "listen", "batches", "http", "worker"}, hung, log
	serving := func(ctx context.Context) error { return serveHTTP(ctx, listener, front, telling.tracer, 0) }
	if waited != nil {
		calls := reload.running.Worker.ShutdownTimeout // which a reload does not change
		serving = func(ctx context.Context) error { return desk.serve(ctx, listener, front, calls) }
	}
	return telling.beside(ctx, func(ctx context.Context) error { return reload.beside(ctx, serving) })
}
