package app

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"tidegate/routing/replay"
)

func newReplayCommand(o *options) *cobra.Command {
	f := &replayFlags{}
	asked := &replayed{}
	html := ""
	cmd := &cobra.Command{
		Use:     "replay",
		GroupID: groupUse,
		Short:   "Say what another configuration would have done with recorded traffic",
		Long: `replay runs the requests of the ledger, or of a file, through another configuration:
through the very same router, its circuits and its paces, on a virtual clock. It calls
nobody and changes nothing. What a call would have come to is drawn from what that target
did at that time.

It prints the new policy beside the old one and beside what there was, with between what
each figure may well be. First of all it replays the policy that made the log: as far as
that is off, so are all figures; and where the log cannot tell, it says "no verdict" and
why. A figure with a ? is one that is not to be relied upon.

Without --policy it replays the configuration in use alone, which tells how far a replay
can be trusted here, and what an --outage or a --limit would have done.`,
		Example: `  tidegate replay --policy new.yaml
  tidegate replay --policy new.yaml --against old.yaml --since 24h --route summaries
  tidegate replay --policy new.yaml --from-file week.parquet --json
  tidegate replay --sweep weights.cost=0:1:0.1 --html report.html
  tidegate replay --outage target=openai,mode=503,from=2026-11-28T12:00:00Z,for=2h
  tidegate replay --policy a.yaml --policy b.yaml --limit target=gpt-5-mini,requests_per_minute=600`,
		Args:    noArguments,
		PreRunE: func(*cobra.Command, []string) error { return firstError(f.check(), asked.check(), checkOutput(html)) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			done, err := o.replay(cmd, f, asked)
			if err != nil {
				return err
			}
			if html != "" {
				if err := done.writePage(html); err != nil {
					return err
				}
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), done)
			}
			return done.write(cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringArrayVar(&asked.policies, "policy", nil, "configuration to replay, a `FILE` (repeatable)")
	cmd.Flags().StringVar(&html, "html", "", "file for a page with plots, which needs nothing else")
	cmd.Flags().StringVar(&asked.sweep, "sweep", "", "setting that takes one value after the other, from:to:step, in the policy, or in the one in use: weights.cost=0:1:0.1, "+
		"the other weights as they are to each other, or any number of the configuration, as in targets.gpt-5.circuit.failures_in_a_row=2:10:2")
	f.register(cmd)
	return cmd
}

// A replayed is which policies are replayed.
type replayed struct {
	policies []string
	sweep    string
}

func (r *replayed) check() error {
	if r.sweep == "" {
		return nil
	}
	if len(r.policies) > 1 {
		return usagef("--sweep: is of one policy; name one with --policy, or none for the one in use")
	}
	if _, err := parseSweep(r.sweep); err != nil {
		return usagef("--sweep: %w", err)
	}
	return nil
}

// read reads the configuration that made the log, and those that are compared with it.
func (r *replayed) read(o *options, against string) (old policyFile, some []policyFile, err error) {
	old, some, err = o.readPolicies(against, r.policies)
	if err != nil || r.sweep == "" {
		return old, some, err
	}
	base := old
	if len(some) == 1 {
		base = some[0]
	}
	s, err := parseSweep(r.sweep)
	if err != nil {
		return old, nil, err
	}
	made, err := s.of(base)
	return old, append(some, made...), err
}

// A replayedView is what is shown of a replay.
type replayedView struct {
	From    string `json:"log"`
	Assumed string `json:"assumed"` // of the fleet
	// Frontier are the policies of which no other is as cheap and as fast.
	Frontier []string `json:"frontier,omitempty"`
	*replay.Report
	unpriced []string // targets of the new policies of which nobody knows what they cost
}

// replay reads the policies and the log, and replays.
func (o *options) replay(cmd *cobra.Command, f *replayFlags, asked *replayed) (*replayedView, error) {
	// A log of millions has next to no pointers to follow, so that it costs little to
	// collect often, and to wait until there is as much garbage would take twice the memory.
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	old, some, err := asked.read(o, f.against)
	if err != nil {
		return nil, err
	}
	one := ""
	if len(old.config.Routes) == 1 {
		one = old.config.Routes[0].Name
	}
	log, err := o.readLog(cmd, f, one)
	if err != nil {
		return nil, err
	}
	settings, err := f.options(log.Log, append([]policyFile{old}, some...))
	if err != nil {
		return nil, err
	}
	fleet := f.assume(log.Log, old.config.Worker.Concurrency)
	was := old.policy(log.End(), fleet.workers)
	settings.Against = &was
	policies := make([]replay.Policy, len(some))
	for i := range some {
		policies[i] = some[i].policy(log.End(), fleet.workers)
	}
	report, err := runReplay(cmd, log.Log, policies, settings)
	if err != nil {
		return nil, err
	}
	report.Warnings = log.warnings
	for _, name := range unpriced(append(policies, was)) {
		report.Warnings = append(report.Warnings, fmt.Sprintf("the price of %s is not known: what it costs counts as nothing; add price: to it", name))
	}
	for i := range some {
		if own := some[i].config.Worker.Concurrency; own != old.config.Worker.Concurrency {
			report.Warnings = append(report.Warnings, fmt.Sprintf("%s says worker.concurrency: %d, and the one that made the log %d: it is replayed with %s of %d calls", some[i].name, own, old.config.Worker.Concurrency, counted(fleet.workers, "worker"), own))
		}
	}
	return &replayedView{log.from, fleet.text(old.config.Worker.Concurrency), frontierOf(report.Results), report, unpriced(policies)}, nil
}

func runReplay(cmd *cobra.Command, log *replay.Log, policies []replay.Policy, settings replay.Options) (*replay.Report, error) {
	var shown *progress
	settings.Progress = func(done, all int) {
		if shown == nil {
			shown = newProgress(cmd.ErrOrStderr(), "requests replayed", all)
		}
		shown.Set(done)
	}
	report, err := replay.Replay(cmd.Context(), log, policies, settings)
	if shown != nil {
		shown.Done()
	}
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	if err != nil {
		return nil, &fileError{fmt.Errorf("replaying: %w", err)} // a policy that does not go with the log
	}
	return report, nil
}

func isEmpty(err error) bool { return errors.Is(err, replay.ErrEmpty) }
