package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidegate/jobs"
	"tidegate/routing/replay/logfile"
	"tidegate/store"
)

// exportFlags say what is exported, and where to.
type exportFlags struct {
	attemptsFlags
	output, format string
	zipped         bool
}

func newAttemptsExportCommand(o *options) *cobra.Command {
	f := &exportFlags{}
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the ledger to a file: CSV, JSON lines or Parquet",
		Long: `export writes all calls of a time, in the order in which they began, however many
there are. The format is that of the file's ending (.csv, .jsonl, .parquet; with .gz
behind it, compressed) or of --format.

No prompt, no answer, no key and no words of a provider are among the columns:

` + columnsText(),
		Example: `  tidegate attempts export --since 7d -o week.parquet
  tidegate attempts export --since 2026-11-01 --until 2026-12-01 --route summaries -o november.csv.gz
  tidegate attempts export --since 1h --format jsonl | jq 'select(.class != "OK")'`,
		Args:    noArguments,
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.check(cmd.OutOrStdout(), o.json) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.onStore(cmd, func(ctx context.Context, s *store.Store) error { return o.exportAttempts(ctx, cmd, s, f) })
		},
	}
	f.register(cmd)
	cmd.Flags().StringVarP(&f.output, "output", "o", "-", "file to write, - for the standard output")
	cmd.Flags().StringVar(&f.format, "format", "", "format: "+strings.Join(logfile.Written(), ", ")+" (default: the ending of the file, else csv, or jsonl with --json)")
	return cmd
}

// columnsText lists the columns of an export, for people.
func columnsText() string {
	var text strings.Builder
	for _, c := range logfile.Columns() {
		fmt.Fprintf(&text, "  %-20s %s\n", c.Name, c.Says)
	}
	return strings.TrimRight(text.String(), "\n")
}

// check looks at the flags together. asJSON is whether what is printed is for programs.
func (f *exportFlags) check(stdout io.Writer, asJSON bool) error {
	byName, zipped := logfile.ByName(f.output)
	f.zipped = zipped
	if f.format == "" && byName == "" && f.output != "-" {
		return usagef("--output: the ending of %s is that of no format; name one of .csv, .jsonl and .parquet, or say --format", f.output)
	}
	usual := logfile.CSV
	if asJSON && f.output == "-" {
		usual = logfile.JSONL
	}
	f.format = cmp.Or(f.format, byName, usual)
	switch known := logfile.Written(); {
	case !strings.Contains(" "+strings.Join(known, " ")+" ", " "+f.format+" "):
		return usagef("--format: %q is not a format; %s", f.format, jobs.DidYouMean(f.format, known))
	case f.format == logfile.Parquet && f.output == "-" && isTerminal(stdout):
		return usagef("--format: Parquet is nothing for a terminal; name a file with -o")
	case f.format == logfile.Parquet && f.zipped:
		return usagef("--output: Parquet is compressed already; leave .gz out of %s", f.output)
	}
	return firstError(f.attemptsFlags.check(), checkOutput(f.output))
}

// An exportView is what JSON shows of an export into a file.
type exportView struct {
	File     string    `json:"file"`
	Format   string    `json:"format"`
	Attempts int       `json:"attempts"`
	First    time.Time `json:"first_at,omitzero"`
	Last     time.Time `json:"last_at,omitzero"`
	Bytes    int64     `json:"bytes"`
}

func (o *options) exportAttempts(ctx context.Context, cmd *cobra.Command, s *store.Store, f *exportFlags) error {
	view := exportView{File: f.output, Format: f.format}
	about, err := s.LoggedAbout(ctx, f.since.Time, f.until.Time)
	if err != nil {
		return err
	}
	told := cmd.ErrOrStderr()
	if f.output == "-" && isTerminal(cmd.OutOrStdout()) {
		told = io.Discard // lines and a bar on one terminal
	}
	shown := newProgress(told, "attempts", int(about))
	err = f.into(cmd.OutOrStdout(), func(to io.Writer) error { return f.export(ctx, to, s, &view, shown) })
	shown.Done()
	switch {
	case err != nil:
		return err
	case f.output == "-":
		if view.Attempts == 0 {
			fmt.Fprintln(cmd.ErrOrStderr(), "There is no such call in the ledger.")
		}
		return nil
	}
	if info, err := os.Stat(f.output); err == nil {
		view.Bytes = info.Size()
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), view)
	}
	if view.Attempts == 0 {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "There is no such call in the ledger; %s says so.\n", f.output)
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "Wrote %s to %s (%s), from %s to %s.\n", counted(view.Attempts, "attempt"), f.output, bytesText(view.Bytes),
		view.First.Format("2006-01-02 15:04:05Z"), view.Last.Format("2006-01-02 15:04:05Z"))
	return err
}

// into opens what is written to. A file appears whole or not at all.
func (f *exportFlags) into(stdout io.Writer, write func(io.Writer) error) error {
	if f.output == "-" {
		return write(stdout)
	}
	out, err := createOutput(f.output)
	if err != nil {
		return err
	}
	err = write(out.file)
	if finished := out.finish(err); err == nil && finished != nil {
		return cannotWrite(f.output, finished)
	}
	return err
}

// tellEvery is how many records are read until somebody is told.
const tellEvery = 1 << 12

func (f *exportFlags) export(ctx context.Context, to io.Writer, s *store.Store, view *exportView, shown *progress) error {
	w, err := logfile.NewWriter(to, f.format, f.zipped)
	if err != nil {
		return err
	}
	for l, err := range s.Logged(ctx, f.filter()) {
		if err == nil {
			err = w.Write(&l)
		}
		if err != nil {
			return err
		}
		if view.Attempts == 0 {
			view.First = l.At
		}
		view.Last = l.At
		if view.Attempts++; view.Attempts%tellEvery == 0 {
			shown.Set(view.Attempts)
		}
	}
	return w.Close()
}

// bytesText is a size as people read it.
func bytesText(n int64) string {
	const unit = 1024
	switch {
	case n < unit:
		return counted(int(n), "byte")
	case n < unit*unit:
		return fmt.Sprintf("%.1f KiB", float64(n)/unit)
	case n < unit*unit*unit:
		return fmt.Sprintf("%.1f MiB", float64(n)/unit/unit)
	default:
		return fmt.Sprintf("%.1f GiB", float64(n)/unit/unit/unit)
	}
}
