package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"tidegate/cmd/app/config"
	"tidegate/routing/replay"
	"tidegate/routing/replay/logfile"
)

// Files that a demo leaves behind where it is told to.
const (
	keptLog  = "attempts.parquet"
	keptOld  = "demo.yaml"
	keptDear = "dear.yaml"
)

// A demoReplay is the demo's own traffic, replayed: as it was, and with the dearest
// target asked first.
type demoReplay struct {
	view     *replayedView
	dearest  string
	was, new *replay.Result
}

// dearFirst is the demo's configuration with one target asked before all others,
// whatever it costs.
func (d *demo) dearFirst(target string) *config.Config {
	conf := *d.config
	conf.Routes = slices.Clone(conf.Routes)
	route := &conf.Routes[0]
	route.Chain = append([]string{target}, slices.DeleteFunc(slices.Clone(route.Chain), func(name string) bool { return name == target })...)
	route.Goal = "ordered"
	return &conf
}

// replay replays what the ledger has of this run.
func (d *demo) replay(ctx context.Context) (*demoReplay, error) {
	log, _, err := logfile.Cache{Workers: daysAtOnce}.Log(ctx, d.stack.Store, d.began.Add(-time.Hour), time.Time{})
	if errors.Is(err, replay.ErrEmpty) {
		return nil, nil //nolint:nilnil // there is nothing to replay
	}
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	old, dearest := policyFile{"the policy of this demo", d.config}, dearestOf(d.route.Chain).Name
	other := policyFile{dearest + " first", d.dearFirst(dearest)}
	was, is := old.policy(log.End(), 1), other.policy(log.End(), 1)
	report, err := replay.Replay(ctx, log, []replay.Policy{is}, replay.Options{Against: &was, Seed: 1})
	if err != nil {
		return nil, fmt.Errorf("replaying: %w", err)
	}
	return &demoReplay{
		view:    &replayedView{From: "this demo", Report: report},
		dearest: dearest, was: &report.Results[0], new: &report.Results[1],
	}, nil
}

// write shows what it says, in a few lines.
func (r *demoReplay) write(out io.Writer) error {
	fmt.Fprintf(out, "The same traffic, as `tidegate replay` has another policy take it, which asks %s first:\n\n", visible(r.dearest))
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(table, "\tit was\t%s\t%s\tCHANGE\n", oneLine(r.was.Policy), oneLine(r.new.Policy))
	for _, m := range []replay.Metric{replay.Cost, replay.Mean, replay.P95, replay.Reroutes} {
		was := "-"
		if x, is := r.view.Logged[m]; is {
			was = metricText(m, x)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", metricWords[m], was, doubted(r.was)+metricText(m, r.was.Metrics[m].At), doubted(r.new)+metricText(m, r.new.Metrics[m].At), changeOf(r.new, m))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if s := r.view.Self; s != nil {
		fmt.Fprintf(out, "\nSelf-replay error: the policy of this demo, replayed against its own log, takes %.3f times as long,\nfails %.2f times as often and %s.\n", s.Latency, s.Failures, costsText(s))
	}
	r.view.writeVerdict(out, r.new)
	fmt.Fprintln(out)
	return nil
}

// tell notes what the replay says, for the object at the end.
func (r *demoReport) tell() {
	if r.replayed == nil {
		return
	}
	if s := r.replayed.view.Self; s != nil {
		r.SelfLatency, r.SelfFailures, r.SelfCost = s.Latency, s.Failures, s.Cost
	}
	if cost := r.replayed.was.Metrics[replay.Cost].At; cost > 0 {
		r.DearFirst = r.replayed.new.Metrics[replay.Cost].At / cost
	}
}

// next is the command that replays what was kept: with the policies that were kept with it, or
// with the configuration that made it.
func (d *demo) next(folder string) string {
	in := func(name string) string { return filepath.Join(folder, name) }
	if d.simulator == nil {
		return fmt.Sprintf("tidegate replay --from-file %s --against %s", in(keptLog), visible(d.config.File))
	}
	return fmt.Sprintf("tidegate replay --from-file %s --against %s --policy %s --html report.html", in(keptLog), in(keptOld), in(keptDear))
}

// keep leaves the ledger and both policies in a folder.
func (d *demo) keep(ctx context.Context, folder string) error {
	to, err := os.Create(filepath.Join(folder, keptLog))
	if err != nil {
		return fmt.Errorf("--keep: %w", err)
	}
	export := exportFlags{format: logfile.Parquet}
	err = export.export(ctx, to, d.stack.Store, &exportView{}, newProgress(io.Discard, "", 0))
	if err = errors.Join(err, to.Close()); err != nil {
		return fmt.Errorf("--keep: %w", err)
	}
	if d.simulator == nil {
		return nil // the configuration is the user's, and has its own place
	}
	for name, conf := range map[string]*config.Config{keptOld: d.config, keptDear: d.dearFirst(dearestOf(d.route.Chain).Name)} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(conf.String()), 0o600); err != nil {
			return fmt.Errorf("--keep: %w", err)
		}
	}
	return nil
}
