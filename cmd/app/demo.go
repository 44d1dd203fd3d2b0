package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
	"tidegate/jobs/queue"
	"tidegate/routing/simulator"
)

const (
	demoPrompt      = "Summarise in at most three sentences what this Go package is for."
	demoConcurrency = 8
	demoMaxTokens   = 160
	demoGoal        = "cheapest"
)

type demoFlags struct {
	documents string
	limit     int
	pgBin     string
	keep      string
}

func newDemoCommand(o *options) *cobra.Command {
	f := &demoFlags{}
	cmd := &cobra.Command{
		Use:     "demo",
		GroupID: groupTry,
		Short:   "Watch it summarise the Go standard library through an outage",
		Long: `demo starts everything on this machine, throw-away: Postgres, NATS, a worker
and three simulated providers of different price and speed. It enqueues one
summary for every documented package of the Go standard library, and then lets
the cheapest provider die, then all three, and brings them back. It ends with
what that cost, and fails unless every document has exactly one answer and one
event and no attempt was burned. Of a few documents (under 40) all may be answered
before the outage: the report says so then, and nothing was shown of it. Last, it
replays its own traffic with the dearest target asked first. --keep leaves a folder
behind with what that needs, for "tidegate replay" with policies of your own.

With --config it uses your providers and stages no outage: that costs money. The
budgets in the file hold; when one is spent, the demo ends and says so.`,
		Example: `  tidegate demo
  tidegate demo --documents ./texts
  tidegate demo --keep ./demo
  tidegate replay --from-file ./demo/attempts.parquet --against ./demo/demo.yaml --policy ./demo/dear.yaml
  tidegate demo --config tidegate.yaml --limit 20`,
		Args:    noArguments,
		PreRunE: func(*cobra.Command, []string) error { return checkCount("--limit", f.limit, "all") },
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.demo(cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.documents, "documents", "", "folder of texts to summarise instead of the Go standard library")
	flags.StringVar(&f.keep, "keep", "", "folder for the ledger of the calls and the configuration, to be replayed")
	flags.IntVar(&f.limit, "limit", 0, "at most this many documents; 0: all")
	flags.StringVar(&f.pgBin, "pg-bin", "", "folder with initdb and postgres (default: $TIDEGATE_PG_BIN, else the newest on this machine)")
	return cmd
}

// A demo is one run of it.
type demo struct {
	out       io.Writer
	documents []Document
	config    *config.Config
	route     jobs.Route
	backbone  *Backbone
	simulator *simulator.Server // nil: real providers, no outage
	stack     *Stack
	shown     *progress
	events    *eventCounter
	batch     jobs.Batch
	outage    outage
	began     time.Time
}

func (o *options) demo(cmd *cobra.Command, f *demoFlags) error {
	d := &demo{out: cmd.OutOrStdout(), began: time.Now()}
	if o.json {
		d.out = cmd.ErrOrStderr() // the last line of the output is the object
	}
	if o.config != "" {
		conf, _, err := o.loadConfig()
		if err != nil {
			return err
		}
		if len(conf.Routes) == 0 {
			return fmt.Errorf("%s: routes: there is none to demonstrate", conf.File)
		}
		d.config = conf
	}
	if f.documents != "" {
		if err := d.read(cmd.Context(), f); err != nil {
			return err
		}
	}
	if f.keep != "" { // before anything is asked of anybody
		if err := os.MkdirAll(f.keep, 0o755); err != nil {
			return fmt.Errorf("--keep: %w", err)
		}
	}
	defer d.close()
	if err := d.start(cmd.Context(), f); err != nil {
		return err
	}
	report, err := d.play(cmd.Context())
	if err != nil {
		return err
	}
	if f.keep != "" {
		if err := d.keep(cmd.Context(), f.keep); err != nil {
			return err
		}
	}
	if err := d.conclude(cmd.Context(), report, f.keep); err != nil {
		return err
	}
	if o.json {
		if err := printCompactJSON(cmd.OutOrStdout(), report); err != nil {
			return err
		}
	}
	return report.verdict()
}

// start starts the backbone, reads the standard library meanwhile if that is to
// be summarised, and puts the rest up.
func (d *demo) start(ctx context.Context, f *demoFlags) error {
	var group errgroup.Group
	group.Go(func() (err error) {
		d.backbone, err = StartBackbone(ctx, BackboneConfig{
			Ephemeral: true, PostgresBin: f.pgBin, Conns: spareConns + workerConns(1),
			Say: func(line string) { fmt.Fprintln(d.out, line) },
		})
		return err
	})
	if f.documents == "" {
		group.Go(func() error { return d.read(ctx, f) })
	}
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil { // programs that were stopped give all kinds of reasons
			return ctx.Err()
		}
		return err
	}
	if d.config == nil {
		if err := d.simulate(); err != nil {
			return err
		}
	}
	_, routes := d.config.Build()
	d.route = routes[0]
	var err error
	d.stack, err = NewStack(ctx, StackConfig{
		Pool: d.backbone.Pool, Conn: d.backbone.Conn, Routes: routes[:1], Budgets: d.config.Budgets(), Choosing: d.config.Choosing(), Concurrency: d.config.Worker.Concurrency, StopTimeout: time.Second, Log: zerolog.Nop(),
	})
	return err
}

func (d *demo) simulate() error {
	providers := defaultProviders()
	providers.Remember = true
	server, err := simulator.New(providers)
	if err != nil {
		return err
	}
	if err := server.Listen(); err != nil {
		return err
	}
	d.simulator = server
	d.config = config.DefaultSimulated("http://" + server.Addr())
	// There is a choice to explain, and it falls on the cheapest, whatever is quick.
	d.config.Strategies = map[string]config.Weights{demoGoal: {SuccessRate: 0.2, Cost: 0.8}}
	d.config.Routes[0].Goal, d.config.Estimator.Explore = demoGoal, 0
	d.config.Worker.Concurrency = demoConcurrency
	return nil
}

// read reads what is to be summarised, and names the files that cannot be.
func (d *demo) read(ctx context.Context, f *demoFlags) error {
	if f.documents == "" {
		var err error
		if d.documents, err = StandardLibrary(ctx); err != nil {
			return err
		}
	} else {
		for document, err := range FolderDocuments(f.documents) {
			var skipped *SkippedDocument
			if errors.As(err, &skipped) {
				fmt.Fprintln(d.out, oneLine(skipped.Error()))
				continue
			}
			if err != nil {
				return err
			}
			d.documents = append(d.documents, document)
		}
	}
	if f.limit > 0 && f.limit < len(d.documents) {
		d.documents = d.documents[:f.limit]
	}
	return nil
}

// enqueue makes a batch of the documents.
func (d *demo) enqueue(ctx context.Context) error {
	q, err := queue.New(d.backbone.Pool)
	if err != nil {
		return err
	}
	opts := lineOptions([]jobs.Route{d.route})
	requests := make([]jobs.Request, len(d.documents))
	maxTokens := demoMaxTokens
	if d.simulator == nil { // OpenAI's newest models refuse max_tokens; the prompt keeps answers short
		maxTokens = 0
	}
	for i, document := range d.documents {
		requests[i] = documentRequest(document, demoPrompt, maxTokens, opts)
	}
	d.batch, err = q.EnqueueMany(ctx, requests)
	return err
}

func (d *demo) close() {
	if d.backbone != nil {
		_ = d.backbone.Stop()
	}
}
