package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"tidegate/jobs"
	"tidegate/jobs/queue"
	"tidegate/store"
)

type retryFlags struct {
	batch       string
	classes     []string
	route, goal string
	deadline    time.Duration
	maxCost     float64
	budget      string
	dryRun      bool
}

func newRetryCommand(o *options) *cobra.Command {
	f := &retryFlags{}
	cmd := &cobra.Command{
		Use:     "retry BATCH|REQUEST...",
		GroupID: groupUse,
		Short:   "Try again what failed, as new requests",
		Long: `retry makes a new batch of those requests of a batch that failed, or new requests
of single ones. A stored result never changes: the new ones have results of
their own, under the same custom_id. Body, metadata, priority and what is expected
of the answer are the same; route, goal, costs and deadline, too, unless a
flag says another. Without --deadline each has as long again as it had.

Of a batch, all that were refused are taken, or those of the classes that --class
names: as CONTENT, CONTEXT, BAD_REQUEST or INVALID; REFUSED for all of these; and
EXPIRED, CANCELLED or POISON, which are taken only when named. The batch must
have ended. What another retry has taken already, of it or of a request, is left to
that one: retry that if it fails again. Workers enqueue the new batch, and it has an output and
an error file over HTTP, as one that came as a file.`,
		Example: `  tidegate retry batch_01a20aa4c8c97515ab796077d867f88c
  tidegate retry --batch batch_01a20aa4c8c97515ab796077d867f88c --class CONTENT,CONTEXT --route large
  tidegate retry batch_01a20aa4c8c97515ab796077d867f88c --class EXPIRED --deadline 7d --dry-run
  tidegate retry 01a20aa4-c8ca-75b5-a7d0-750cfcc3a7fe`,
		Args: arguments(0, 1000, "the id of one batch, or ids of requests"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.retry(cmd, args, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.batch, "batch", "", "the batch whose failed requests are to be tried again")
	flags.StringSliceVar(&f.classes, "class", nil, "of a batch, only those that failed so; may be repeated (default: REFUSED)")
	flags.StringVar(&f.route, "route", "", "route of all of them, instead of their own")
	flags.StringVar(&f.goal, "goal", "", "optimization goal of all of them, instead of their own")
	spanVar(flags, &f.deadline, "deadline", 0, "deadline of all of them, from now, as in 6h or 7d (default: each as long again as it had)")
	flags.Float64Var(&f.maxCost, "max-cost-usd", 0, "most that one of them may cost, in US dollars, instead of its own limit")
	flags.StringVar(&f.budget, "budget", "", "most that the new batch may cost, in US dollars; none for no limit (default: as much as the other one)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "make nothing: say what would be taken")
	return cmd
}

// check refuses what makes no sense, and returns the classes.
func (f *retryFlags) check(args []string, changed func(string) bool) ([]jobs.Class, error) {
	batches := len(slices.DeleteFunc(slices.Clone(args), func(id string) bool { return !store.IsBatchID(id) }))
	switch {
	case f.batch == "" && len(args) == 0:
		return nil, usagef("name a batch, or requests")
	case f.batch != "" && len(args) > 0, batches > 0 && len(args) > 1:
		return nil, usagef("takes one batch, or requests, not both")
	case f.batch == "" && batches == 0:
		if other := chosen(changed, "class", "budget", "dry-run"); other != "" {
			return nil, usagef("%s goes with a batch", other)
		}
	}
	if f.maxCost != 0 && !(f.maxCost >= 1e-6 && f.maxCost <= 1e6) {
		return nil, usagef("--max-cost-usd: use an amount between 0.000001 and 1000000, or leave it out for their own limits")
	}
	var classes []jobs.Class
	for _, name := range f.classes {
		class, err := jobs.ParseFailureClass(name)
		if err != nil {
			return nil, usagef("--class: %w", err)
		}
		classes = append(classes, class)
	}
	return classes, firstError(readLimit("--budget", f.budget, new(*jobs.MicroUSD)), checkSpan("--deadline", f.deadline, "as long again as each had"))
}

func (o *options) retry(cmd *cobra.Command, args []string, f *retryFlags) error {
	classes, err := f.check(args, cmd.Flags().Changed)
	err = firstError(err, checkZero(cmd.Flags(), "deadline", "as long again as each had"), checkZero(cmd.Flags(), "max-cost-usd", "their own limits"))
	if err != nil {
		return err
	}
	ctx, spans := cmd.Context(), &commandTrace{}
	if !f.dryRun {
		ctx, spans = traceCommand(ctx, cmd.ErrOrStderr(), "retry")
	}
	defer spans.close()
	pool, err := o.connect(ctx, 4)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := f.checkChoice(ctx, pool); err != nil {
		return err
	}
	if f.batch == "" && store.IsBatchID(args[0]) {
		f.batch = args[0]
	}
	if f.batch == "" {
		return o.retryRequests(ctx, cmd.OutOrStdout(), pool, once(args), f, spans)
	}
	return o.retryBatch(ctx, cmd.OutOrStdout(), store.New(pool), f.order(classes), f.dryRun, spans)
}

// checkChoice looks whether there are such a route and such a goal.
func (f *retryFlags) checkChoice(ctx context.Context, pool *pgxpool.Pool) error {
	if f.route == "" && f.goal == "" {
		return nil
	}
	routes, err := store.Routes(ctx, pool)
	switch known := names(routes); {
	case err != nil:
		return err
	case f.route != "" && !slices.Contains(known, f.route):
		return &queue.UnknownRouteError{Route: f.route, Known: known}
	case f.goal != "" && !slices.Contains(goals(routes), f.goal):
		return usagef("--goal: %q is not known; %s", f.goal, jobs.DidYouMean(f.goal, goals(routes)))
	}
	return nil
}

// order is a retry of a batch as the flags have it.
func (f *retryFlags) order(classes []jobs.Class) jobs.Retry {
	retry := jobs.Retry{
		ID: store.NewBatchID(), Of: f.batch, CreatedAt: time.Now().Truncate(time.Microsecond),
		Classes: classes, Route: f.route, Goal: f.goal, MaxCost: jobs.USD(f.maxCost), Within: f.deadline,
	}
	if f.deadline > 0 {
		retry.Window = f.deadline.String()
	}
	var limit *jobs.MicroUSD
	if _ = readLimit("--budget", f.budget, &limit); limit != nil { // it was checked
		retry.Limits = &jobs.BudgetLimits{Total: *limit}
	}
	return retry
}

func (o *options) retryBatch(ctx context.Context, out io.Writer, s *store.Store, retry jobs.Retry, dryRun bool, spans *commandTrace) error {
	took, left, err := s.PlanRetry(ctx, retry)
	if err != nil {
		return err
	}
	made := retriedView{RetryOf: retry.Of, Requests: took.Sum(), Retried: took, Left: left}
	if !dryRun {
		batch, err := s.CreateRetry(ctx, retry, store.Once{})
		if err != nil {
			return err
		}
		spans.made.End(&batch, retry.Route, nil)
		made.BatchID, made.Requests, made.Retried = batch.ID, batch.Total, batch.Order.Retry.Took
	}
	if o.json {
		return printJSON(out, made)
	}
	return made.write(out)
}

// A retriedView is a retry of a batch as JSON shows it.
type retriedView struct {
	BatchID  string        `json:"batch_id,omitempty"` // empty: nothing was made
	RetryOf  string        `json:"retry_of"`
	Requests int           `json:"requests"`
	Retried  jobs.Failures `json:"retried"`
	Left     jobs.Failures `json:"left"` // failed, too, and not taken
}

func (v *retriedView) write(out io.Writer) error {
	said := fmt.Sprintf("%s  %s of %s again: %s", v.BatchID, counted(v.Requests, "request"), v.RetryOf, v.Retried)
	if v.BatchID == "" {
		said = fmt.Sprintf("would try %s of %s again: %s", counted(v.Requests, "request"), v.RetryOf, v.Retried)
	}
	if len(v.Left) > 0 {
		said += "; left: " + v.Left.String()
	}
	_, err := fmt.Fprintln(out, said)
	return err
}

// retryRequests makes new requests of some that failed, all or none.
func (o *options) retryRequests(ctx context.Context, out io.Writer, pool *pgxpool.Pool, ids []string, f *retryFlags, spans *commandTrace) error {
	q, err := queue.New(pool)
	if err != nil {
		return err
	}
	now, made := time.Now(), make([]retriedRequest, 0, len(ids))
	err = store.Transact(ctx, pool, func(tx pgx.Tx) error {
		failed, err := store.Failed(ctx, tx, ids)
		if err != nil {
			return fmt.Errorf("%w; nothing was made", err)
		}
		for i := range failed {
			r := &failed[i]
			r.Again("", &jobs.BatchRetry{Route: f.route, Goal: f.goal, MaxCost: jobs.USD(f.maxCost), NewWindow: f.deadline > 0}, now)
			if f.deadline > 0 {
				r.Deadline = now.Add(f.deadline)
			}
			again, err := q.EnqueueTx(ctx, tx, *r)
			if err != nil {
				return fmt.Errorf("request %s: %w; nothing was made", r.RetryOf, err)
			}
			made = append(made, retriedRequest{again.ID, again.RetryOf})
		}
		return nil
	})
	var unknown *store.UnknownOutcomeError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%w; look with `tidegate why %s`: \"not found\" means that nothing was made", err, made[0].RequestID)
	}
	if err != nil {
		return err
	}
	spans.made.End(&jobs.Batch{Total: len(made)}, f.route, nil)
	if o.json {
		return printJSON(out, map[string]any{"retried": made})
	}
	var said strings.Builder
	for _, m := range made {
		fmt.Fprintf(&said, "%s  tries %s again\n", m.RequestID, m.RetryOf)
	}
	_, err = io.WriteString(out, said.String())
	return err
}

type retriedRequest struct {
	RequestID string `json:"request_id"`
	RetryOf   string `json:"retry_of"`
}
