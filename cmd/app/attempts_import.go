package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"tidegate/jobs"
	"tidegate/routing/replay/logfile"
	"tidegate/store"
)

// importFlags say how files are read.
type importFlags struct{ format, route string }

func newAttemptsImportCommand(o *options) *cobra.Command {
	f := &importFlags{}
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Add the calls of files to the ledger",
		Long: `import adds what another ledger exported to this one: to look at it here, or to replay
it. What a file is, its beginning tells: CSV, JSON lines or Parquet with the columns of
an export, of which at, route, target, class and latency_us are enough. FILE may be -
for the standard input.

What is there already stays as it is, so a file may be imported twice. A request that
has no UUID gets one that depends on what is said of it. Attempts that are older than
retention: keeps are removed by the next sweep; those of the last day are among what
workers that start know of their targets. ` + "`tidegate replay --from-file FILE`" + ` reads a file
without importing it, also traces that tell of requests alone.`,
		Example: `  tidegate attempts import week.parquet
  ssh prod tidegate attempts export --since 24h --format jsonl | tidegate attempts import -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("takes the files to read, or - for the standard input")
			}
			return nil
		},
		PreRunE: func(*cobra.Command, []string) error { return f.check() },
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.onStore(cmd, func(ctx context.Context, s *store.Store) error { return o.importAttempts(ctx, cmd, s, f, args) })
		},
	}
	cmd.Flags().StringVar(&f.format, "format", "", "format of the files: "+strings.Join(logfile.Formats(), ", ")+" (default: what they begin with)")
	cmd.Flags().StringVar(&f.route, "route", "", "route of what names none (default: "+logfile.DefaultRoute+")")
	return cmd
}

func (f *importFlags) check() error {
	if f.format != "" && !slices.Contains(logfile.Formats(), f.format) {
		return usagef("--format: %q is not a format; %s", f.format, jobs.DidYouMean(f.format, logfile.Formats()))
	}
	if f.route != "" {
		if err := jobs.CheckName(f.route); err != nil {
			return usagef("--route: %w", err)
		}
	}
	return nil
}

// importedView is what JSON shows of what was imported, of each file.
type importedView struct {
	File     string    `json:"file"`
	Format   string    `json:"format"`
	Read     int       `json:"read"`
	Added    int       `json:"added"`
	Known    int       `json:"known"`    // were there already
	Uncalled int       `json:"uncalled"` // tell of requests for which no call was made: they are left out
	First    time.Time `json:"first_at,omitzero"`
	Last     time.Time `json:"last_at,omitzero"`
	Warnings []string  `json:"warnings"`
}

func (o *options) importAttempts(ctx context.Context, cmd *cobra.Command, s *store.Store, f *importFlags, files []string) error {
	keep, err := s.KeepAttempts(ctx)
	if err != nil {
		return err
	}
	views := []importedView{}
	for _, file := range files {
		in := &importing{store: s, told: cmd.ErrOrStderr(), view: importedView{File: file, Warnings: []string{}}}
		err := in.file(ctx, file, cmd.InOrStdin(), f)
		if err != nil && in.view.Added > 0 {
			err = fmt.Errorf("%w; %s before it are in the ledger, and importing again adds the rest", err, counted(in.view.Added, "attempt"))
		}
		if err != nil {
			return err
		}
		if oldest := time.Now().Add(-keep); keep > 0 && in.view.Read > 0 && in.view.First.Before(oldest) {
			in.view.Warnings = append(in.view.Warnings, fmt.Sprintf("attempts are kept for %s: those before %s are removed by the next sweep; raise retention: of the configuration to keep them",
				daysText(keep), oldest.UTC().Format(time.DateOnly)))
		}
		views = append(views, in.view)
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), map[string]any{"files": views})
	}
	return writeImported(cmd.OutOrStdout(), views)
}

func writeImported(out io.Writer, views []importedView) error {
	for _, v := range views {
		fmt.Fprintf(out, "%s (%s): %s, %d new, %d known already", v.File, v.Format, counted(v.Read, "attempt"), v.Added, v.Known)
		if v.Read > 0 {
			fmt.Fprintf(out, ", from %s to %s", v.First.UTC().Format("2006-01-02 15:04:05Z"), v.Last.UTC().Format("2006-01-02 15:04:05Z"))
		}
		if v.Uncalled > 0 {
			fmt.Fprintf(out, "; left out: %s without a call", counted(v.Uncalled, "request"))
		}
		fmt.Fprintln(out)
		for _, warning := range v.Warnings {
			fmt.Fprintf(out, "Warning: %s\n", visible(warning))
		}
	}
	return nil
}

// importAtOnce is how many attempts are added in one transaction.
const importAtOnce = 10_000

// An importing adds the attempts of one file.
type importing struct {
	store *store.Store
	told  io.Writer
	view  importedView
	some  []jobs.Logged
}

func (in *importing) file(ctx context.Context, file string, stdin io.Reader, f *importFlags) error {
	options := logfile.Options{Format: f.format, Route: f.route}
	var r *logfile.Reader
	var err error
	size := int64(0)
	if file == "-" {
		input := untilStopped(ctx, func() (io.Reader, error) { return stdin, nil })
		defer input.Close()
		r, err = logfile.NewReader("the standard input", input, options)
	} else {
		r, err = logfile.Open(file, options)
		if info, no := os.Stat(file); no == nil {
			size = info.Size()
		}
	}
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // it was only read
	if in.view.Format = r.Format(); in.view.Format == logfile.Azure || in.view.Format == logfile.Mooncake || in.view.Format == logfile.ServeGen {
		return fmt.Errorf("%s: it is a trace of requests alone (%s), and a ledger is of calls; `tidegate replay --from-file %s` replays it", file, in.view.Format, file)
	}
	shown := newProgress(in.told, "bytes of "+oneLine(file), int(size))
	defer shown.Done()
	return in.all(ctx, r, shown)
}

func (in *importing) all(ctx context.Context, r *logfile.Reader, shown *progress) error {
	for {
		var l jobs.Logged
		err := r.Next(&l)
		if errors.Is(err, io.EOF) {
			in.view.Warnings = append(in.view.Warnings, r.Warnings()...)
			return in.add(ctx)
		}
		if err != nil {
			return err
		}
		if !l.Called() {
			in.view.Uncalled++
			continue
		}
		if err := checkLogged(&l); err != nil {
			return r.Fault(err)
		}
		in.note(&l)
		if in.some = append(in.some, l); len(in.some) == importAtOnce {
			if err := in.add(ctx); err != nil {
				return err
			}
			shown.Set(int(r.Read()))
		}
	}
}

func (in *importing) note(l *jobs.Logged) {
	if in.view.Read == 0 || l.At.Before(in.view.First) {
		in.view.First = l.At
	}
	if in.view.Read == 0 || l.At.After(in.view.Last) {
		in.view.Last = l.At
	}
	in.view.Read++
	if _, err := uuid.Parse(l.RequestID); err != nil {
		l.RequestID = madeID(l)
	}
}

func (in *importing) add(ctx context.Context) error {
	added, err := in.store.ImportLogged(ctx, in.some)
	in.view.Added += added
	in.view.Known += len(in.some) - added
	in.some = in.some[:0]
	return err
}

// checkLogged refuses what no ledger has.
func checkLogged(l *jobs.Logged) error {
	switch {
	case l.At.IsZero():
		return &logfile.Error{Field: "at", Err: errors.New("a call has a time when it began")}
	case l.Class == "":
		return &logfile.Error{Field: "class", Err: fmt.Errorf("a call has one; there are %s", joined(jobs.Classes()))}
	}
	return nil
}

// imported is what ids are made in that depend on what is said of a request.
var imported = uuid.MustParse("6f9c2f0a-5a0e-4d7b-8d5c-0a1f7e3b9c42")

// madeID is an id for a request of which a file has another one, or none: the same each
// time that it is imported.
func madeID(l *jobs.Logged) string {
	if l.RequestID != "" {
		return uuid.NewSHA1(imported, []byte(l.RequestID)).String()
	}
	return uuid.NewSHA1(imported, logfile.AppendJSON(nil, l)).String()
}
