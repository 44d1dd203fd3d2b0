package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"tidegate/jobs"
	"tidegate/jobs/queue"
	"tidegate/store"
	"tidegate/worker/publish"
)

type enqueueFlags struct {
	text, prompt          string
	maxTokens             int
	route, goal, tenant   string
	deadline              time.Duration
	maxCost               float64
	priority              int
	metadata              map[string]string
	budget                string
	skipBad, dryRun, wait bool
	output                string
}

func newEnqueueCommand(o *options) *cobra.Command {
	f := &enqueueFlags{}
	cmd := &cobra.Command{
		Use:     "enqueue FILE|-",
		GroupID: groupUse,
		Short:   "Enqueue requests from JSONL, or a folder of documents",
		Long: `enqueue reads one request a line: an OpenAI batch line, or a chat-completions
body by itself. With --text it takes every text file of a folder instead, each
with the --prompt before it. All requests become one batch, in one transaction:
all are accepted or, at the first bad line, none (unless --skip-bad).

Beside the fields of OpenAI, a batch line may have: route, optimization_goal,
deadline, max_cost_usd, priority, metadata, tenant, and expect: what its answer
must be like, as in {"json_schema": {…}, "finish_reasons": ["stop"]}; its fields are
json_schema (true is any JSON), response_format (the body's own), fenced, regex,
min_characters, max_characters, min_tokens, max_tokens, finish_reasons,
same_model_family, tries and otherwise ("refuse" or "keep"). A line with any other
field is a bad line; what is inside a body is the provider's, and kept as it is.
Flags are for lines that say nothing.`,
		Example: `  tidegate enqueue requests.jsonl
  tidegate enqueue requests.jsonl --wait -o results.jsonl
  tidegate enqueue --text ./documents --prompt "Summarise in two sentences." --wait -o out.jsonl
  tidegate enqueue requests.jsonl --budget 12.50
  cat requests.jsonl | tidegate enqueue - --route summaries --deadline 6h
  tidegate enqueue requests.jsonl --dry-run`,
		Args: func(cmd *cobra.Command, args []string) error {
			return firstError(f.check(args), checkZero(cmd.Flags(), "deadline", "the route's"), checkZero(cmd.Flags(), "max-cost-usd", "no limit"))
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.enqueue(cmd, args, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.text, "text", "", "folder of documents to take instead of JSONL")
	flags.StringVar(&f.prompt, "prompt", "", "what to do with each document of --text")
	flags.IntVar(&f.maxTokens, "max-tokens", 0, "longest answer to a document of --text, in tokens; 0 leaves it to the model (OpenAI's newest models refuse max_tokens)")
	flags.StringVar(&f.route, "route", "", "route of requests that name none (default: by model, else the only one)")
	flags.StringVar(&f.goal, "goal", "", "optimization goal of requests that name none")
	flags.StringVar(&f.tenant, "tenant", "", "tenant of all requests")
	spanVar(flags, &f.deadline, "deadline", 0, "deadline of requests that name none, from now, as in 6h or 7d (default: the route's)")
	flags.Float64Var(&f.maxCost, "max-cost-usd", 0, "most that one request may cost, of those that say nothing, in US dollars")
	flags.IntVar(&f.priority, "priority", jobs.DefaultPriority, "priority of requests that name none, beside others of their tenant: 1 goes first, 4 last")
	flags.StringVar(&f.budget, "budget", "", "most that all requests may cost together, in US dollars: when it is spent the rest waits until it is raised (see budgets)")
	flags.StringToStringVar(&f.metadata, "metadata", nil, "`key=value` pairs to add to every request")
	flags.BoolVar(&f.skipBad, "skip-bad", false, "leave out bad lines, and name them, instead of refusing all")
	flags.BoolVar(&f.dryRun, "dry-run", false, "enqueue nothing: count requests, estimate tokens and cost")
	flags.BoolVar(&f.wait, "wait", false, "wait until every request has its result")
	flags.StringVarP(&f.output, "output", "o", "", "with --wait: file to write results to, as lines of an OpenAI batch; - for standard output, and nothing else on it")
	return cmd
}

func (f *enqueueFlags) check(args []string) error {
	switch {
	case f.text == "" && len(args) != 1:
		return usagef("takes one file (- for the standard input), or --text DIR with --prompt")
	case f.text != "" && len(args) != 0:
		return usagef("takes a file or --text, not both")
	case f.text != "" && f.prompt == "":
		return usagef("--text needs a --prompt: what to do with each document")
	case f.text == "" && f.prompt != "":
		return usagef("--prompt goes with --text; a line of JSONL has its own prompt")
	case f.output != "" && !f.wait:
		return usagef("-o goes with --wait; later, use `tidegate results BATCH -o FILE`")
	case f.dryRun && f.wait:
		return usagef("--dry-run enqueues nothing, so there is nothing to --wait for")
	case f.maxCost != 0 && !(f.maxCost >= 1e-6 && f.maxCost <= 1e6):
		return usagef("--max-cost-usd: use an amount between 0.000001 and 1000000, or leave it out for no limit")
	case f.priority < jobs.FirstPriority || f.priority > jobs.LastPriority:
		return usagef("--priority: %d is not from %d (first) to %d (last)", f.priority, jobs.FirstPriority, jobs.LastPriority)
	}
	return firstError(
		readLimit("--budget", f.budget, new(*jobs.MicroUSD)),
		checkTenant(f.tenant),
		checkMetadata(f.metadata),
		checkSpan("--deadline", f.deadline, "the route's"),
		checkCount("--max-tokens", f.maxTokens, "what the model gives"),
	)
}

func (o *options) enqueue(cmd *cobra.Command, args []string, f *enqueueFlags) error {
	if f.dryRun {
		return o.dryRun(cmd, args, f)
	}
	if err := checkOutput(f.output); err != nil {
		return err
	}
	ctx, spans := traceCommand(cmd.Context(), cmd.ErrOrStderr(), "enqueue")
	defer spans.close()
	pool, err := o.connect(ctx, 4)
	if err != nil {
		return err
	}
	defer pool.Close()
	routes, err := store.Routes(ctx, pool)
	if err != nil {
		return err
	}
	source, err := f.open(cmd, args, routes)
	if err != nil {
		return err
	}
	defer source.close()
	route := ""
	source.requests = ofRoutes(source.requests, &route)
	batch, err := insertAll(ctx, pool, cmd.ErrOrStderr(), source, f.options()...)
	spans.made.End(&batch, route, err)
	if err != nil {
		return err
	}
	report := cmd.OutOrStdout()
	if f.output == "-" { // which is for results alone
		report = cmd.ErrOrStderr()
	}
	if err := o.reportEnqueued(report, batch, source); err != nil {
		return err
	}
	foresees := newForecasts(store.New(pool), o.anyConfig())
	foresees.tell(cmd, &batch)
	if !f.wait {
		return nil
	}
	if batch, err = awaitBatch(cmd, pool, batch, foresees); err != nil {
		return err
	}
	if f.output != "" {
		results := store.New(pool).Results(ctx, store.Filter{BatchID: batch.ID})
		if _, err := writeTo(cmd.OutOrStdout(), f.output, results, writeOutputLine); err != nil {
			return err
		}
	}
	if err := o.reportEnded(report, batch); err != nil || batch.Failed == 0 {
		return err
	}
	return fmt.Errorf("%d of %s got no answer: `tidegate results %s` says why", batch.Failed, counted(batch.Total, "request"), batch.ID)
}

// options are those of the batch; the flags are checked.
func (f *enqueueFlags) options() []queue.Option {
	var limit *jobs.MicroUSD
	if _ = readLimit("--budget", f.budget, &limit); limit == nil {
		return nil
	}
	return []queue.Option{queue.Budget(jobs.BudgetLimits{Total: *limit})}
}

// insertAll enqueues a source in one transaction.
func insertAll(ctx context.Context, pool *pgxpool.Pool, messages io.Writer, source *source, options ...queue.Option) (jobs.Batch, error) {
	q, err := queue.New(pool)
	if err != nil {
		return jobs.Batch{}, err
	}
	shown := newProgress(messages, "enqueuing", 0)
	defer shown.Done()
	batch, err := q.Stream(ctx, tallied(ctx, source.requests, shown.Set), options...)
	var unknown *queue.UnknownError
	switch {
	case err == nil:
		return batch, nil
	case errors.As(err, &unknown):
		return batch, fmt.Errorf("%s: %w; look with `tidegate results %s`: \"not found\" means that it was not", source.name, err, unknown.ID)
	case ctx.Err() != nil:
		return batch, fmt.Errorf("%s: stopped; nothing was enqueued", source.name)
	case errors.Is(err, queue.ErrEmpty):
		return batch, source.empty()
	default:
		return batch, fmt.Errorf("%s: %w; nothing was enqueued", source.name, source.located(err))
	}
}

// tallied counts requests, and ends them when ctx does.
func tallied(ctx context.Context, requests iter.Seq2[jobs.Request, error], count func(int)) iter.Seq2[jobs.Request, error] {
	return func(yield func(jobs.Request, error) bool) {
		n := 0
		for request, err := range requests {
			if n++; n%1000 == 0 {
				count(n)
			}
			if !yield(request, cmp.Or(err, ctx.Err())) {
				return
			}
		}
	}
}

func (o *options) reportEnqueued(out io.Writer, batch jobs.Batch, source *source) error {
	var err error
	if o.json {
		err = printJSON(out, map[string]any{"batch_id": batch.ID, "requests": batch.Total, "skipped": source.skipped})
	} else {
		left := ""
		if source.skipped > 0 {
			left = fmt.Sprintf(", %s left out", counted(source.skipped, "bad line"))
		}
		_, err = fmt.Fprintf(out, "%s  %s%s\n", batch.ID, counted(batch.Total, "request"), left)
	}
	if err != nil {
		return fmt.Errorf("%s was enqueued, but writing the output failed: %w", batch.ID, err)
	}
	return nil
}

// pollBatch is how often --wait looks.
const pollBatch = 250 * time.Millisecond

// awaitBatch waits until a batch has ended.
func awaitBatch(cmd *cobra.Command, pool *pgxpool.Pool, batch jobs.Batch, foresees *forecasts) (jobs.Batch, error) {
	ctx, s := cmd.Context(), store.New(pool)
	shown := newProgress(cmd.ErrOrStderr(), "answered", batch.Total)
	ticker := time.NewTicker(pollBatch)
	defer ticker.Stop()
	stop := foresees.note(ctx, batch.ID, shown)
	defer stop()
	for !batch.Ended() {
		select {
		case <-ctx.Done():
			shown.Done()
			return batch, fmt.Errorf("stopped waiting; the batch goes on: `tidegate results %s`", batch.ID)
		case <-ticker.C:
		}
		now, err := s.Batch(ctx, batch.ID)
		if err != nil {
			shown.Say("still waiting: %v", err)
			continue
		}
		batch = now
		shown.Set(batch.Completed + batch.Failed)
	}
	shown.Done()
	return batch, nil
}

func (o *options) reportEnded(out io.Writer, batch jobs.Batch) error {
	if o.json {
		return printJSON(out, publish.BodyOfBatch(&batch))
	}
	fmt.Fprintf(out, "%s  %s: %d answered, %d failed, in %s\n", batch.ID, batch.State, batch.Completed, batch.Failed,
		batch.EndedAt.Sub(batch.CreatedAt).Round(time.Millisecond))
	return nil
}
