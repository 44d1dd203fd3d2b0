package app

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"tidegate/jobs"
	"tidegate/routing/replay"
	"tidegate/routing/replay/logfile"
)

// replayFlags say which log is replayed, and under which circumstances.
type replayFlags struct {
	against         string
	since, until    moment
	files           []string
	format, route   string
	outages, limits []string
	workers         int
	seed            uint64
	whole           bool
	cache           string
	noCache         bool
	telling         sync.Once
}

// usualReplay is how much of the ledger is replayed if nobody says.
const usualReplay = 7 * 24 * time.Hour

func (f *replayFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.against, "against", "", "configuration that made the log (default: the one in use, see --config)")
	momentVar(flags, &f.since, "since", "only requests that came then or later (default: 7d of the ledger, all of a file)")
	momentVar(flags, &f.until, "until", "only requests that came before")
	flags.StringArrayVar(&f.files, "from-file", nil, "`file` to replay in place of the ledger, as \"tidegate attempts export\" writes it, or a trace; - for the standard input (repeatable)")
	flags.StringVar(&f.format, "format", "", "format of the files: "+strings.Join(logfile.Formats(), ", ")+" (default: what they begin with)")
	flags.StringVar(&f.route, "route", "", "only requests of this route, and those of a file that name none")
	flags.StringArrayVar(&f.outages, "outage", nil, "`OUTAGE` that did not happen, as in target=openai,mode=503,from=26h,for=2h: of a target or a provider, from a time or so long after the log's start; "+
		"modes are 429, 500, 503, 529, refused, hang, slow:4 and others (repeatable)")
	flags.StringArrayVar(&f.limits, "limit", nil, "`LIMIT` of a provider that it did not have, as in target=gpt-5-mini,requests_per_minute=600 (repeatable)")
	flags.IntVar(&f.workers, "workers", 0, "how many workers there are, each with worker.concurrency calls at once (0: as many as the log needs at its busiest)")
	flags.Uint64Var(&f.seed, "seed", 1, "of the luck of calls; the same log, policies and seed give the same report")
	flags.StringVar(&f.cache, "cache", "", "folder for days of the ledger that were read, so that they are read once (default: one for this database in the user's cache)")
	flags.BoolVar(&f.noCache, "no-cache", false, "keep nothing of what is read, and read all of it")
	flags.BoolVar(&f.whole, "whole", false, "run every request of a long log, and not a sample of its times")
}

// check finds what is wrong before anything is read.
func (f *replayFlags) check() error {
	if f.format != "" && !slices.Contains(logfile.Formats(), f.format) {
		return usagef("--format: %q is not a format; %s", f.format, jobs.DidYouMean(f.format, logfile.Formats()))
	}
	if f.format != "" && len(f.files) == 0 {
		return usagef("--format: is of files; name one with --from-file, or leave it out")
	}
	if f.route != "" {
		if err := jobs.CheckName(f.route); err != nil {
			return usagef("--route: %w", err)
		}
	}
	for _, text := range f.outages {
		if _, err := replay.ParseOutage(text, time.Time{}); err != nil {
			return usagef("--%w", err) // it begins with the flag
		}
	}
	for _, text := range f.limits {
		if _, err := replay.ParseLimit(text); err != nil {
			return usagef("--limit: %w", err)
		}
	}
	if f.noCache && f.cache != "" {
		return usagef("--cache: nothing is kept with --no-cache; leave one of them out")
	}
	return firstError(checkCount("--workers", f.workers, "as many as the log needs"), checkMoments(&f.since, &f.until))
}

// options are those of a replay of a log, for policies of which one made it.
func (f *replayFlags) options(log *replay.Log, all []policyFile) (replay.Options, error) {
	o := replay.Options{Seed: f.seed, Whole: f.whole}
	for _, text := range f.outages {
		outage, err := replay.ParseOutage(text, log.Start())
		if err != nil {
			return o, usagef("--%w", err)
		}
		if outage.From.After(log.Over()) || !outage.From.Add(outage.For).After(log.Start()) {
			return o, usagef("--outage: %s: the log is from %s to %s, and has none of that time; say from= as so long after its start, as in from=1h",
				outage.String(), instant(log.Start()), instant(log.Over()))
		}
		if err := known(all, "--outage", outage.Target, true); err != nil {
			return o, err
		}
		o.Outages = append(o.Outages, outage)
	}
	for _, text := range f.limits {
		limit, err := replay.ParseLimit(text)
		if err == nil {
			err = known(all, "--limit", limit.Target, false)
		}
		if err != nil {
			return o, err
		}
		o.Limits = append(o.Limits, limit)
	}
	return o, nil
}

// known refuses a target that no policy has: nothing would come of it.
func known(all []policyFile, flag, name string, providers bool) error {
	var names []string
	for i := range all {
		for _, t := range all[i].config.Targets {
			names = append(names, t.Name)
			if providers {
				names = append(names, t.Provider)
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if !slices.Contains(names, name) {
		return usagef("%s: no policy has a target %q; %s", flag, name, jobs.DidYouMean(name, names))
	}
	return nil
}

// instant is a time as a report writes it.
func instant(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05Z") }

// assumed says how many workers a replay has, of how many calls each.
type assumed struct{ workers, busiest int }

// assume is what the log needs at its busiest, unless somebody said it.
func (f *replayFlags) assume(log *replay.Log, concurrency int) assumed {
	a := assumed{f.workers, log.Busiest()}
	if a.workers == 0 {
		a.workers = max(1, (a.busiest+concurrency-1)/concurrency)
	}
	return a
}

func (a assumed) text(concurrency int) string {
	return fmt.Sprintf("%s of %d calls at once on each route (the log has %d at its busiest; --workers says otherwise)", counted(a.workers, "worker"), concurrency, a.busiest)
}
