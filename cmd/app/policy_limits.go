package app

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidegate/routing/replay"
)

// checkFlags say how much worse a policy may be.
type checkFlags struct {
	replayFlags
	cost, latency, drop share // at most, of what it was, or in points
	success, deadlines  share // at least
	p95                 time.Duration
	perThousand         float64
	certain             bool
	noVerdict           string
}

func (f *checkFlags) registerLimits(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.cost, f.latency, f.drop, f.success, f.deadlines = share{of: 0.05}, share{of: 0.10}, share{of: 0.001}, share{none: true}, share{none: true}
	flags.Var(&f.cost, "max-cost-increase", "how much more requests may cost, of what they do with the old policy; none: any")
	flags.Var(&f.latency, "max-latency-increase", "how much longer requests may take, in the mean and at the 95th percentile; none: any")
	flags.Var(&f.drop, "max-success-drop", "how much less of the requests may be answered, in percentage points; none: any")
	flags.Var(&f.success, "min-success", "how much of the requests must be answered")
	flags.Var(&f.deadlines, "min-deadlines", "how much of the requests with a deadline must be answered before it")
	spanVar(flags, &f.p95, "max-p95", 0, "in which time 95% of the requests must be done")
	flags.Float64Var(&f.perThousand, "max-cost", 0, "what 1,000 requests may cost, in US dollars")
	flags.BoolVar(&f.certain, "certain", false, "a limit is broken if it may be, by the range of the estimate, and not only by the estimate itself")
	flags.StringVar(&f.noVerdict, "no-verdict", "", "what no verdict comes to: pass, fail (default: the exit code 3)")
}

func (f *checkFlags) checkLimits() error {
	switch {
	case !slices.Contains([]string{"", "pass", "fail"}, f.noVerdict):
		return usagef("--no-verdict: %q is neither pass nor fail", f.noVerdict)
	case f.perThousand < 0:
		return usagef("--max-cost: %v is below zero; use an amount in US dollars, as in 2.50", f.perThousand)
	case f.success.of > 1:
		return usagef("--min-success: %s is more than all; use 100%% at most", &f.success)
	case f.deadlines.of > 1:
		return usagef("--min-deadlines: %s is more than all; use 100%% at most", &f.deadlines)
	}
	return checkSpan("--max-p95", f.p95, "any time")
}

func (f *checkFlags) noVerdictCode() int {
	switch f.noVerdict {
	case "pass":
		return exitOK
	case "fail":
		return exitFailure
	default:
		return exitNoVerdict
	}
}

// A share is a flag of a percentage, or of none.
type share struct {
	of   float64
	none bool
}

// Set reads it.
func (s *share) Set(text string) error {
	if text == "none" {
		*s = share{none: true}
		return nil
	}
	number, percent := strings.CutSuffix(text, "%")
	x, err := strconv.ParseFloat(number, 64)
	if err != nil || !percent || !(x >= 0 && x <= 10_000) {
		return fmt.Errorf("%q is not a percentage, as in 5%%, nor none", text)
	}
	*s = share{of: x / 100}
	return nil
}

// String writes it.
func (s *share) String() string {
	if s.none {
		return ""
	}
	return strconv.FormatFloat(100*s.of, 'g', 6, 64) + "%"
}

// Type names it in the help.
func (*share) Type() string { return "percentage" }

// A bound is a limit, with how to say it.
type bound struct {
	metric replay.Metric
	change bool    // it is of the change, and not of the figure
	most   bool    // … which is at most the limit; else at least
	limit  float64 // as the metric is
}

// bounds are the limits that were set.
func (f *checkFlags) bounds() (all []bound) {
	if !f.cost.none {
		all = append(all, bound{replay.Cost, true, true, f.cost.of})
	}
	if !f.latency.none {
		all = append(all, bound{replay.Mean, true, true, f.latency.of}, bound{replay.P95, true, true, f.latency.of})
	}
	if !f.drop.none {
		all = append(all, bound{replay.Success, true, false, -f.drop.of})
	}
	if !f.success.none {
		all = append(all, bound{replay.Success, false, false, f.success.of})
	}
	if !f.deadlines.none {
		all = append(all, bound{replay.DeadlinesMet, false, false, f.deadlines.of})
	}
	if f.p95 > 0 {
		all = append(all, bound{replay.P95, false, true, f.p95.Seconds()})
	}
	if f.perThousand > 0 {
		all = append(all, bound{replay.Cost, false, true, f.perThousand})
	}
	return all
}
