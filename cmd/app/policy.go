package app

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tidegate/routing/replay"
)

func newPolicyCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "policy",
		GroupID: groupUse,
		Short:   "Check a new configuration against recorded traffic, as in a CI",
		Long: `policy check replays a new configuration and fails if it is worse than it may be.
` + "`tidegate replay`" + ` shows all that is known of it.`,
		Example: `  tidegate policy check new.yaml`,
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPolicyCheckCommand(o))
	return cmd
}

func newPolicyCheckCommand(o *options) *cobra.Command {
	f := &checkFlags{}
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Fail if a configuration would be worse than limits",
		Long: `check replays a configuration as ` + "`tidegate replay`" + ` does, and compares what it would have
done with what the old one would have done, on the same luck. A limit is broken if the
estimate is beyond it; with --certain, if it only may be.

Exit codes:
  0  all limits are kept
  1  the policy is worse than a limit
  2  it was asked wrongly, or a file is broken
  3  no verdict: the log cannot tell, or is empty; --no-verdict pass makes it 0, fail 1
  4  nothing could be checked, as when Postgres is away`,
		Example: `  tidegate policy check new.yaml
  tidegate policy check new.yaml --against tidegate.yaml --from-file week.parquet --max-cost-increase 0% --max-latency-increase 20%
  tidegate policy check new.yaml --min-success 99.5% --max-p95 30s --certain --no-verdict fail
  tidegate policy check new.yaml --outage target=openai,mode=503,from=26h,for=2h --min-deadlines 99%`,
		Args:    arguments(1, 1, "the configuration to check"),
		PreRunE: func(*cobra.Command, []string) error { return firstError(f.check(), f.checkLimits()) },
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.checkPolicy(cmd, f, args[0])
		},
	}
	f.register(cmd)
	f.registerLimits(cmd)
	return cmd
}

// checkPolicy replays a policy, and says whether it keeps the limits.
func (o *options) checkPolicy(cmd *cobra.Command, f *checkFlags, path string) error {
	done, err := o.replay(cmd, &f.replayFlags, &replayed{policies: []string{path}})
	if err != nil {
		return f.unable(err)
	}
	view := f.judge(done)
	if o.json {
		err = printJSON(cmd.OutOrStdout(), view)
	} else {
		view.write(cmd.OutOrStdout())
	}
	if err != nil || view.code == exitOK {
		return err
	}
	return &codedError{view.code, &quietError{fmt.Errorf("%s", view.Outcome)}}
}

// unable is why nothing was checked, with its code.
func (f *checkFlags) unable(err error) error {
	var usage *usageError
	var broken *fileError
	switch {
	case errors.As(err, &usage):
		return err
	case errors.As(err, &broken):
		return &codedError{exitUsage, err}
	case errors.Is(err, replay.ErrEmpty):
		if code := f.noVerdictCode(); code != exitOK {
			return &codedError{code, err}
		}
		return nil
	default:
		return &codedError{exitUnable, err}
	}
}
