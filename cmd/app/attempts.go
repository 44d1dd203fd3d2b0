package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tidegate/jobs"
	"tidegate/routing/replay/logfile"
	"tidegate/store"
)

// attemptsFlags narrow what is read of the ledger.
type attemptsFlags struct {
	since, until  moment
	route, target string
	class         string
	limit         int
}

func newAttemptsCommand(o *options) *cobra.Command {
	f := &attemptsFlags{}
	cmd := &cobra.Command{
		Use:     "attempts",
		GroupID: groupUse,
		Short:   "Read the ledger of calls, export it, import another one",
		Long: `attempts lists the calls that were made last: where each went, what came of it, how
long it took and what it cost. The ledger has every one of them, with why it went there,
for as long as retention: of the configuration keeps attempts.

` + "`tidegate why REQUEST`" + ` tells the story of one request. What is exported is read by
` + "`tidegate replay --from-file`" + `, and by whatever reads CSV, JSON lines or Parquet.`,
		Example: `  tidegate attempts
  tidegate attempts --target gpt-5-mini --class TIMEOUT --since 24h
  tidegate attempts export --since 7d -o week.parquet
  tidegate attempts --json | jq '.attempts[].latency_us'`,
		Args: noArguments,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			return firstError(f.check(), checkZero(cmd.Flags(), "limit", "20"))
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.onStore(cmd, func(ctx context.Context, s *store.Store) error { return o.listAttempts(ctx, cmd.OutOrStdout(), s, f) })
		},
	}
	f.register(cmd)
	cmd.Flags().IntVar(&f.limit, "limit", 20, "at most this many")
	cmd.AddCommand(newAttemptsExportCommand(o), newAttemptsImportCommand(o))
	return cmd
}

func (f *attemptsFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	momentVar(flags, &f.since, "since", "only calls that began then or later")
	momentVar(flags, &f.until, "until", "only calls that began before")
	flags.StringVar(&f.route, "route", "", "only of this route")
	flags.StringVar(&f.target, "target", "", "only to this target")
	flags.StringVar(&f.class, "class", "", "only with this class, as in OK, RATE or TIMEOUT")
}

func (f *attemptsFlags) check() error {
	f.class = strings.ToUpper(f.class)
	if f.class != "" && !jobs.Class(f.class).Valid() {
		return usagef("--class: there is no class %q; there are %s", f.class, joined(jobs.Classes()))
	}
	if f.limit < 0 {
		return usagef("--limit: %d is below zero; use a number from 1", f.limit)
	}
	return checkMoments(&f.since, &f.until)
}

func joined[T ~string](all []T) string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = string(one)
	}
	return strings.Join(texts, ", ")
}

func (f *attemptsFlags) filter() store.LoggedFilter {
	return store.LoggedFilter{Since: f.since.Time, Until: f.until.Time, Route: f.route, Target: f.target, Class: jobs.Class(f.class)}
}

// An attemptsView is what JSON shows of the latest calls: the columns of an export.
type attemptsView struct {
	Attempts []json.RawMessage `json:"attempts"`
}

func (o *options) listAttempts(ctx context.Context, out io.Writer, s *store.Store, f *attemptsFlags) error {
	found, err := s.Latest(ctx, f.filter(), f.limit)
	if err != nil {
		return err
	}
	if !o.json {
		return writeAttempts(out, found)
	}
	view := attemptsView{Attempts: make([]json.RawMessage, len(found))}
	for i := range found {
		view.Attempts[i] = logfile.AppendJSON(nil, &found[i])
	}
	return printJSON(out, view)
}

func writeAttempts(out io.Writer, found []jobs.Logged) error {
	if len(found) == 0 {
		_, err := fmt.Fprintln(out, "There is no such call in the ledger.")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "BEGAN\tROUTE\tTARGET\tCAME OF IT\tTOOK\tTOKENS\tCOST\tWAITED\tREQUEST")
	for i := range found {
		l := &found[i]
		request := l.RequestID
		switch {
		case l.Asker():
		case l.Probe:
			request = "a probe"
		default:
			request = "a canary"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.At.Local().Format("2006-01-02 15:04:05"), visible(cmp.Or(l.Route, "-")), visible(l.Target), cameOfIt(l),
			l.Latency.Round(time.Millisecond), tokensText(l.Usage), jobs.CostText(l.Cost, l.Unpriced), waitedText(l), request)
	}
	return table.Flush()
}

// cameOfIt is the class of a call, and what else is short.
func cameOfIt(l *jobs.Logged) string {
	said := string(l.Class)
	if l.Class != jobs.OK && l.Status > 0 {
		said += fmt.Sprintf(" %d", l.Status)
	}
	if l.Probe {
		said += ", a probe"
	}
	if l.Decision != nil && l.Decision.Explored {
		said += ", explored"
	}
	return said
}

func tokensText(u jobs.Usage) string {
	if u == (jobs.Usage{}) {
		return "-"
	}
	return fmt.Sprintf("%d → %d", u.Input, u.Output)
}

// waitedText is how long a request waited until its call began, and for what.
func waitedText(l *jobs.Logged) string {
	if l.Arrived.IsZero() {
		return "-"
	}
	said := max(0, l.At.Sub(l.Arrived)).Round(time.Millisecond).String()
	if l.WaitedFor != "" {
		said += " (" + string(l.WaitedFor) + ")"
	}
	return said
}
