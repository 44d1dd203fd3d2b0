package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"tidegate/cmd/app/config"
	"tidegate/cmd/app/tracing"
	"tidegate/deploy/embedded"
	"tidegate/jobs"
	"tidegate/jobs/batchapi"
	"tidegate/routing/simulator"
	"tidegate/worker"
)

const defaultNATSPort = 4222

type devFlags struct {
	listen   string
	natsPort int
	pgBin    string
}

func newDevCommand(o *options) *cobra.Command {
	f := &devFlags{}
	cmd := &cobra.Command{
		Use:     "dev",
		GroupID: groupTry,
		Short:   "Run the whole thing on this machine, in one process",
		Long: `dev runs everything in one process: NATS with JetStream inside, a private
Postgres beside it (found on this machine, or fetched), a worker, health and
status over HTTP, and simulated providers as long as no configuration names
real ones. What it is given stays in its data folder; started again it goes on.
The other commands find it by that folder and need no flags. A configuration that
changes is taken as by "tidegate work".`,
		Example: `  tidegate dev
  tidegate dev --config tidegate.yaml --data ./data
  tidegate dev --listen 127.0.0.1:0 --nats-port 0     # any free ports`,
		Args: noArguments,
		PreRunE: func(*cobra.Command, []string) error {
			return firstError(checkAddress("--listen", f.listen), checkPort("--nats-port", f.natsPort))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return o.dev(cmd, f) },
	}
	o.registerLogEnds(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", config.DefaultListen, "address of HTTP; wins over the configuration when given")
	flags.IntVar(&f.natsPort, "nats-port", defaultNATSPort, "loopback port of the embedded NATS; 0: any free one")
	flags.StringVar(&f.pgBin, "pg-bin", "", "folder with initdb and postgres (default: $TIDEGATE_PG_BIN, else the newest on this machine)")
	return cmd
}

// A dev is everything in one process.
type dev struct {
	config    *config.Config
	reload    *reloader
	dir       string
	release   func() // gives the folder to the next dev; nil: it is not ours
	backbone  *Backbone
	simulator *simulator.Server // nil: the configuration names real providers
	stack     *Stack
	listener  net.Listener
	front     *batchapi.Server
	log       zerolog.Logger
	logEnds   worker.LogEnds
	tracer    *tracing.Tracer // nil: nobody wants traces
	logFile   *os.File
}

func (o *options) dev(cmd *cobra.Command, f *devFlags) error {
	began := time.Now()
	ctx := cmd.Context()
	hung, deaf := hangups()
	defer deaf()
	d, err := o.startDev(ctx, cmd, f)
	if d != nil {
		defer d.close()
	}
	if err != nil {
		return err
	}
	where := d.listening()
	if err := writeListening(d.dir, where); err != nil {
		return err
	}
	defer func() { _ = os.Remove(listeningPath(d.dir)) }()
	if o.json {
		if err := printJSON(cmd.OutOrStdout(), where); err != nil {
			return err
		}
	} else {
		d.introduce(cmd.OutOrStdout(), time.Since(began))
	}
	told := context.AfterFunc(ctx, func() {
		fmt.Fprintf(cmd.ErrOrStderr(), "Stopping: calls in flight get up to %s to end. Ctrl-C again ends at once.\n", d.config.Worker.ShutdownTimeout)
	})
	d.reload.hangups = hung
	err = d.run(ctx)
	told()
	if !o.json {
		fmt.Fprintln(cmd.OutOrStdout(), "Stopped. What was enqueued stays; `tidegate dev` goes on with it.")
	}
	return err
}

// startDev starts all parts. It returns what was started beside an error, to be
// closed.
func (o *options) startDev(ctx context.Context, cmd *cobra.Command, f *devFlags) (*dev, error) {
	reload, warnings, err := o.newReloader()
	if err != nil {
		return nil, err
	}
	conf := reload.running
	d := &dev{config: conf, reload: reload, logEnds: worker.LogEnds(o.logEnds)}
	if d.dir, err = o.dataDir(); err != nil {
		return nil, err
	}
	if err := d.claim(); err != nil {
		return d, err
	}
	if err := d.openLog(o, cmd.ErrOrStderr()); err != nil {
		return d, err
	}
	for _, warning := range warnings {
		d.log.Warn().Msg(warning.String())
	}
	address := conf.Listen
	if cmd.Flags().Changed("listen") {
		address = f.listen
	}
	if d.listener, err = listen(ctx, "--listen", address); err != nil {
		return d, err
	}
	where := o.named(conf)
	if where.postgres != "" && o.postgres == "" && len(conf.Targets) == 0 {
		return d, errors.New("$DATABASE_URL or the configuration names a database, but no targets are configured: simulated providers must not answer its jobs by accident; configure targets, unset it (dev then runs a private Postgres), or name it with --database-url if you mean it")
	}
	d.backbone, err = StartBackbone(ctx, BackboneConfig{
		Dir: d.dir, PostgresURL: where.postgres, NATSURL: where.nats, PostgresBin: f.pgBin, NATSPort: f.natsPort,
		Conns: spareConns + workerConns(max(1, len(conf.Routes))) + conf.DoorConns(true), // of the worker, and of all else in here
		Say:   func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), line) },
		Warn:  func(line string) { d.log.Warn().Msg(line) },
	})
	if err != nil {
		return d, explainPort(err)
	}
	if err := checkExposed(ctx, d.backbone.Pool, address); err != nil {
		return d, err
	}
	return d, d.assemble(ctx)
}

// explainPort names the flag of the port that is taken.
func explainPort(err error) error {
	if errors.Is(err, embedded.ErrPortInUse) {
		return fmt.Errorf("%w with --nats-port", err)
	}
	return err
}

// assemble puts the worker on the backbone, with simulated providers if there
// are no others.
func (d *dev) assemble(ctx context.Context) error {
	if len(d.config.Targets) == 0 {
		server, err := simulator.New(defaultProviders())
		if err != nil {
			return err
		}
		if err := server.Listen(); err != nil {
			return err
		}
		d.simulator = server
		d.config = d.simulated(d.config)
	}
	_, routes := d.config.Build()
	counted := newMetrics(d.backbone.Pool)
	var err error
	if d.tracer, err = newTracer(ctx, d.log); err != nil {
		return err
	}
	d.stack, err = NewStack(ctx, StackConfig{
		Pool: d.backbone.Pool, Conn: d.backbone.Conn, Routes: routes, Batches: batchLimits(d.config), Retention: d.config.Kept(), Webhooks: d.config.Webhooks, Door: d.config.AcceptsOverNATS(d.backbone.NATS != nil), Budgets: d.config.Budgets(), Canaries: d.config.BuildCanaries(), Choosing: d.config.Choosing(), Weights: d.config.Weights(), Metrics: counted, Tracer: d.tracer, LogEnds: d.logEnds, Log: d.log,
		Concurrency: d.config.Worker.Concurrency, StopTimeout: d.config.Worker.ShutdownTimeout, HoldBudget: d.config.Worker.HoldBudget,
	})
	if err != nil {
		return err
	}
	d.front, err = newFront(d.backbone.Pool, newEvents(d.backbone.Conn, ""), d.stack.Worker, counted, d.stack.running(d.config), d.log)
	return err
}

// simulated is a configuration with the simulated providers, if it names no others.
func (d *dev) simulated(conf *config.Config) *config.Config {
	if d.simulator == nil || conf == nil || len(conf.Targets) > 0 {
		return conf
	}
	simulated, whole := config.DefaultSimulated("http://"+d.simulator.Addr()), *conf
	whole.Targets, whole.Routes = simulated.Targets, simulated.Routes
	return &whole
}

// reloads takes what the configuration says later, from now on.
func (d *dev) reloads() *reloader {
	r, read := d.reload, d.reload.read
	r.read = func(before *config.Config) config.Reading {
		again := read(before)
		again.Config = d.simulated(again.Config)
		return again
	}
	r.running, r.fixed, r.take, r.log = d.config, []string{"postgres", "nats", "nats_door", "listen", "canaries", "worker", "batches", "retention", "http", "webhooks"}, d.stack.Take, d.log
	return r
}

// openLog logs everything into a file and warnings to the terminal, too.
func (d *dev) openLog(o *options, terminal io.Writer) error {
	visible, err := o.logger(terminal)
	if err != nil {
		return err
	}
	if d.logFile, err = os.OpenFile(d.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	level := visible.GetLevel()
	warnings := &zerolog.FilteredLevelWriter{Writer: zerolog.LevelWriterAdapter{Writer: logWriter(terminal, o.json)}, Level: zerolog.WarnLevel}
	d.log = zerolog.New(zerolog.MultiLevelWriter(d.logFile, warnings)).Level(level).With().Timestamp().Logger()
	return nil
}

func (d *dev) logPath() string { return filepath.Join(d.dir, devLog) }

// run works until ctx ends, then stops the parts in order. It ends with an error
// if the private Postgres does before.
func (d *dev) run(ctx context.Context) error {
	lasting, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	working, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	var parts sync.WaitGroup
	if d.simulator != nil {
		parts.Go(func() { _ = d.simulator.Run(lasting) })
	}
	parts.Go(func() { _ = serveHTTP(lasting, d.listener, d.front, d.tracer, 0) })
	parts.Go(func() { d.watchPostgres(lasting, giveUp) })
	err := d.reloads().beside(working, d.stack.Run)
	stop()
	parts.Wait()
	if lost := context.Cause(working); ctx.Err() == nil && lost != nil {
		return lost
	}
	return err
}

// watchPostgres gives up when the private Postgres has ended by itself: nothing
// of what dev does goes on without it.
func (d *dev) watchPostgres(ctx context.Context, giveUp context.CancelCauseFunc) {
	if d.backbone.Postgres == nil {
		return
	}
	select {
	case <-d.backbone.Postgres.Done():
		why := fmt.Errorf("the private Postgres has ended by itself; its log is %s. Nothing that was enqueued is lost: start `tidegate dev` again", d.backbone.Postgres.LogFile())
		d.log.Error().Err(why).Msg("dev gives up, which may take some seconds")
		giveUp(why)
	case <-ctx.Done():
	}
}

func (d *dev) close() {
	if d.backbone != nil {
		if err := d.backbone.Stop(); err != nil {
			d.log.Warn().Err(err).Msg("stopping")
		}
	}
	_ = d.tracer.Close() // what warns of it says so
	if d.listener != nil {
		_ = d.listener.Close()
	}
	if d.logFile != nil {
		_ = d.logFile.Close()
	}
	if d.release != nil {
		d.release()
	}
}

func (d *dev) listening() listening {
	l := listening{
		PID: os.Getpid(), Postgres: d.backbone.URL, NATS: d.backbone.NATSURL, HTTP: "http://" + d.listener.Addr().String(), Data: d.dir,
	}
	if d.simulator != nil {
		l.Simulator = "http://" + d.simulator.Addr()
	}
	return l
}

// introduce says where everything listens and where data lives.
func (d *dev) introduce(w io.Writer, took time.Duration) {
	l := d.listening()
	fmt.Fprintf(w, "tidegate dev is ready, in %.2f s\n\n", took.Seconds())
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	row := func(name string, cells ...string) { fmt.Fprintf(table, "  %s\t%s\n", name, strings.Join(cells, "\t")) }
	row("Postgres", d.postgres(), d.postgresNote())
	row("NATS", config.RedactURL(jobs.Secret(l.NATS)), d.natsNote())
	row("Page", l.HTTP+"/", "for a browser: what is down, what waits, what it costs, when it is done")
	row("HTTP", l.HTTP, "/v1/files, /v1/batches (an OpenAI base URL: …/v1), /v1/status")
	if l.Simulator != "" {
		row("Providers", l.Simulator, "simulated: "+strings.Join(d.simulator.Names(), ", ")+"; `tidegate init` for real ones")
	} else {
		row("Providers", d.config.File, counted(len(d.config.Targets), "target"))
	}
	for _, route := range d.config.Routes {
		row("Route", route.Name, strings.Join(route.Chain, " → "))
	}
	row("Data", d.dir)
	row("Log", d.logPath())
	_ = table.Flush()
	fmt.Fprintf(w, "\nIn another shell: tidegate enqueue FILE, watch, status, results%s. Ctrl-C stops.\n\n", d.elsewhere())
}

// natsNote is what may be done there.
func (d *dev) natsNote() string {
	note := "nats sub 'tidegate.>'"
	if d.config.AcceptsOverNATS(d.backbone.NATS != nil) {
		note += ", nats request tidegate.v1.TENANT.enqueue LINE"
	}
	return note
}

// elsewhere is what other commands are to be told, which look into the usual folder.
func (d *dev) elsewhere() string {
	if usual, err := usualDataDir(); err == nil && usual == d.dir {
		return ""
	}
	return ", with --data " + d.dir
}

// postgres is how psql reaches it; a private one has no password.
func (d *dev) postgres() string {
	if d.backbone.Postgres == nil {
		return config.RedactURL(jobs.Secret(d.backbone.URL))
	}
	return d.backbone.URL
}

func (d *dev) postgresNote() string {
	if d.backbone.Postgres == nil {
		return "as configured"
	}
	return "private, PostgreSQL " + d.backbone.Postgres.Installation().Version
}
