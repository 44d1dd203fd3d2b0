package app

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"tidegate/jobs"
	"tidegate/jobs/queue"
	"tidegate/store"
	"tidegate/worker/publish"
)

type resultsFlags struct {
	batch, route, tenant, state string
	since                       time.Duration
	limit                       int
	output                      string
	republish                   bool
}

func newResultsCommand(o *options) *cobra.Command {
	f := &resultsFlags{}
	cmd := &cobra.Command{
		Use:     "results [BATCH|REQUEST]",
		GroupID: groupUse,
		Short:   "Read stored results",
		Long: `results reads what was stored, in the order in which requests were accepted.
On a terminal it prints text to read; into a file or a pipe it prints lines as
in the output file of an OpenAI batch. With --json each line holds everything
that is known of a result, the same as its event.`,
		Example: `  tidegate results batch_01a20aa4c8c97515ab796077d867f88c -o results.jsonl
  tidegate results --route summaries --since 10m --limit 5
  tidegate results --state refused --json
  tidegate results batch_01a20aa4c8c97515ab796077d867f88c --republish`,
		Args:    arguments(0, 1, "the id of a batch or of a request, or none"),
		PreRunE: func(cmd *cobra.Command, args []string) error { return f.check(args, cmd.Flags().Changed) },
		RunE:    func(cmd *cobra.Command, args []string) error { return o.results(cmd, args, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.batch, "batch", "", "only of this batch")
	flags.StringVar(&f.route, "route", "", "only of this route")
	flags.StringVar(&f.tenant, "tenant", "", "only of this tenant")
	flags.StringVar(&f.state, "state", "", "only in this state: answered, refused, expired, cancelled, poison")
	spanVar(flags, &f.since, "since", 0, "only those stored in this time until now, as in 10m or 7d")
	flags.IntVar(&f.limit, "limit", 0, "at most this many; 0: all")
	flags.StringVarP(&f.output, "output", "o", "", "file to write to instead of the standard output")
	flags.BoolVar(&f.republish, "republish", false, "send the events of a batch or request to NATS once more, under the ids that they have")
	return cmd
}

func (o *options) results(cmd *cobra.Command, args []string, f *resultsFlags) error {
	filter := f.filter(args)
	pool, err := o.connect(cmd.Context(), 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	s := store.New(pool)
	if filter.BatchID != "" {
		if _, err := s.Batch(cmd.Context(), filter.BatchID); err != nil {
			return err
		}
	}
	if f.republish {
		return o.republish(cmd, s, filter)
	}
	write := o.resultWriter(cmd.OutOrStdout(), f.output)
	n, err := writeTo(cmd.OutOrStdout(), f.output, s.Results(cmd.Context(), filter), write)
	if err != nil {
		return err
	}
	switch {
	case n == 0:
		return sayNone(cmd.Context(), pool, cmd.ErrOrStderr(), filter)
	case f.output != "":
		fmt.Fprintf(cmd.ErrOrStderr(), "wrote %s to %s\n", counted(n, "result"), f.output)
		if o.json && f.output != "-" {
			return printJSON(cmd.OutOrStdout(), map[string]any{"file": f.output, "results": n})
		}
	}
	return nil
}

// sayNone tells a filter that nothing matches yet from one that nothing can.
func sayNone(ctx context.Context, pool *pgxpool.Pool, notes io.Writer, filter store.Filter) error {
	if filter.RequestID != "" {
		return noResult(ctx, store.New(pool), filter.RequestID)
	}
	if filter.BatchID != "" {
		if batch, err := store.New(pool).Batch(ctx, filter.BatchID); err == nil && batchFailed(&batch) != nil {
			return batchFailed(&batch)
		}
	}
	if filter.Route != "" {
		if err := checkRoute(ctx, pool, filter.Route); err != nil {
			return err
		}
	}
	fmt.Fprintln(notes, "There is no such result yet.")
	return nil
}

// noResult says why there is no result of a request.
func noResult(ctx context.Context, s *store.Store, request string) error {
	if err := s.CheckRequest(ctx, request); err != nil {
		return err
	}
	return fmt.Errorf("request %s has no result yet", request)
}

// checkRoute says which routes there are if the named one is not among them.
func checkRoute(ctx context.Context, pool *pgxpool.Pool, route string) error {
	routes, err := store.Routes(ctx, pool)
	if err != nil {
		return err
	}
	if known := names(routes); !slices.Contains(known, route) {
		return &queue.UnknownRouteError{Route: route, Known: known}
	}
	return nil
}

// republish owes the events once more.
func (o *options) republish(cmd *cobra.Command, s *store.Store, filter store.Filter) error {
	n, err := s.Republish(cmd.Context(), filter.BatchID, filter.RequestID)
	if err != nil {
		return err
	}
	if n == 0 && filter.RequestID != "" {
		return noResult(cmd.Context(), s, filter.RequestID)
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), map[string]int{"republished": n})
	}
	fmt.Fprintf(cmd.OutOrStdout(), "to be sent once more: %s\n", counted(n, "event"))
	return nil
}

// check refuses what makes no sense, and what would be left unheard.
func (f *resultsFlags) check(args []string, changed func(string) bool) error {
	if state := jobs.State(f.state); state != "" && !isState(state) {
		return usagef("--state: %q is not a state; use answered, refused, expired, cancelled or poison", f.state)
	}
	if len(args) == 1 && f.batch != "" {
		return usagef("--batch: %s is named already; name one batch or request", args[0])
	}
	if f.republish {
		if len(args) == 0 && f.batch == "" {
			return usagef("--republish: name a batch or a request")
		}
		if other := chosen(changed, "route", "tenant", "state", "since", "limit", "output"); other != "" {
			return usagef("%s does not go with --republish, which takes the whole batch or request", other)
		}
	}
	return firstError(checkTenant(f.tenant), checkSpan("--since", f.since, "all"), checkCount("--limit", f.limit, "all"))
}

func (f *resultsFlags) filter(args []string) store.Filter {
	filter := store.Filter{BatchID: f.batch, Route: f.route, Tenant: f.tenant, State: jobs.State(f.state), Limit: f.limit}
	if f.since > 0 {
		filter.Since = time.Now().Add(-f.since)
	}
	if len(args) == 1 {
		if strings.HasPrefix(args[0], "batch_") {
			filter.BatchID = args[0]
		} else {
			filter.RequestID = args[0]
		}
	}
	return filter
}

func isState(state jobs.State) bool {
	for _, known := range jobs.States() {
		if state == known {
			return true
		}
	}
	return false
}

// A writeResult writes one result.
type writeResult func(w io.Writer, e *jobs.ResultEvent) error

// resultWriter chooses how results are written: for a person, for a program
// that knows OpenAI's batches, or whole.
func (o *options) resultWriter(stdout io.Writer, output string) writeResult {
	switch {
	case o.json:
		return writeWhole
	case output == "" && isTerminal(stdout):
		return writeForPerson
	default:
		return writeOutputLine
	}
}

func writeOutputLine(w io.Writer, e *jobs.ResultEvent) error {
	_, err := w.Write(jobs.AppendOutputLine(nil, cmp.Or(e.CustomID, e.RequestID), &e.Result))
	return err
}

func writeWhole(w io.Writer, e *jobs.ResultEvent) error {
	return json.NewEncoder(w).Encode(publish.Body(e))
}

func writeForPerson(w io.Writer, e *jobs.ResultEvent) error {
	head := fmt.Sprintf("── %s · %s", oneLine(cmp.Or(e.CustomID, e.RequestID)), e.State)
	if e.Target != "" {
		head += fmt.Sprintf(" · %s · %d tokens · %s", e.Target, e.Usage.Output, jobs.CostText(e.Cost, e.Unpriced))
	}
	switch {
	case e.Unmet() != "":
		head += " · not as expected: " + oneLine(e.Unmet())
	case e.Escalated():
		head += " · after " + counted(e.BadAnswers, "bad answer")
	}
	text := answerText(e.Body)
	if e.State != jobs.StateAnswered {
		text = strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Class, e.Code, e.Message))
	}
	_, err := fmt.Fprintf(w, "%s\n%s\n\n", head, visible(text))
	return err
}

// writeTo writes results to a file, or to stdout if none is named. A file
// appears whole or not at all; what is no plain file (a device, a pipe) is
// written to as it is.
func writeTo(stdout io.Writer, path string, results iter.Seq2[jobs.ResultEvent, error], write writeResult) (int, error) {
	if path == "" || path == "-" {
		return writeAll(stdout, results, write)
	}
	out, err := createOutput(path)
	if err != nil {
		return 0, err
	}
	n, err := writeAll(out.file, results, write)
	if err := out.finish(err); err != nil {
		return n, cannotWrite(path, err)
	}
	return n, nil
}

// An output is a file that is being written.
type output struct {
	file   *os.File
	target string // what it becomes when it is whole; empty: it is that already
}

// createOutput begins to write to path, or says why that cannot be.
func createOutput(given string) (*output, error) {
	path := given
	resolved, err := filepath.EvalSymlinks(path)
	if info, linked := os.Lstat(path); err != nil && linked == nil && info.Mode()&os.ModeSymlink != 0 {
		return nil, fmt.Errorf("writing %s: it is a symbolic link that leads nowhere; remove it, or make what it leads to", path)
	}
	path = cmp.Or(resolved, path)
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return nil, fmt.Errorf("writing: %w", err)
		}
		return &output{file: file}, nil
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, cannotWrite(given, err)
	}
	return &output{file: file, target: path}, nil
}

// cannotWrite names the file that was asked for, not the hidden one that was to
// become it.
func cannotWrite(path string, err error) error {
	var at *fs.PathError
	var renamed *os.LinkError
	switch {
	case errors.As(err, &at):
		err = at.Err
	case errors.As(err, &renamed):
		err = renamed.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("writing %s: %w; make its folder first, or name another file", path, err)
	}
	return fmt.Errorf("writing %s: %w", path, err)
}

// finish closes the file and gives it its name, or takes it away if err says
// that it is not whole. It returns the first error.
func (o *output) finish(err error) error {
	if closing := o.file.Close(); err == nil {
		err = closing
	}
	if o.target == "" {
		return err
	}
	if err == nil {
		if err = os.Chmod(o.file.Name(), 0o644); err == nil {
			err = os.Rename(o.file.Name(), o.target)
		}
	}
	if err != nil {
		_ = os.Remove(o.file.Name())
	}
	return err
}

// checkOutput says at once what would stop results from being written later.
func checkOutput(path string) error {
	if path == "" || path == "-" {
		return nil
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil // who reads a pipe must not be told of its end already
	}
	out, err := createOutput(path)
	if err != nil {
		return err
	}
	if err := errors.Join(out.file.Close(), os.Remove(out.file.Name())); err != nil {
		return cannotWrite(path, err)
	}
	return nil
}

func writeAll(w io.Writer, results iter.Seq2[jobs.ResultEvent, error], write writeResult) (int, error) {
	buffered := bufio.NewWriterSize(w, 1<<16)
	n := 0
	for event, err := range results {
		if err != nil {
			return n, err
		}
		if err := write(buffered, &event); err != nil {
			return n, err
		}
		n++
	}
	return n, buffered.Flush()
}
