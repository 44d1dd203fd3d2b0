package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"tidegate/jobs"
	"tidegate/store"
)

func newCircuitsCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "circuits [TARGET]",
		GroupID: groupUse,
		Short:   "List circuits, or open and close one by hand",
		Long: `circuits shows where the circuit of each target stands in the whole fleet: its
state and since when, how long its cooldown still lasts, which worker probes it,
and why. While a circuit is open nobody calls the target but one probe at a time.
Drills that are on are shown below, each with the command that ends it.

A person's word goes before what workers see: a circuit that was opened by hand
is not probed before its time is over, and one that was closed is called at once.
Failures open it again.`,
		Example: `  tidegate circuits
  tidegate circuits gpt-5-mini --json
  tidegate circuits open gpt-5-mini --for 2h --reason "the vendor maintains it"
  tidegate circuits close gpt-5-mini`,
		Args: arguments(0, 1, "the name of a target, or none"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.onCircuits(cmd, args, nil)
		},
	}
	cmd.AddCommand(newCircuitsOpenCommand(o), newCircuitsCloseCommand(o))
	return cmd
}

func newCircuitsOpenCommand(o *options) *cobra.Command {
	var lasts time.Duration
	var reason string
	cmd := &cobra.Command{
		Use:   "open TARGET",
		Short: "Let nobody call a target",
		Long: `open opens the circuit of a target in every worker within a second: nobody calls
it, and its requests go to the others of their chain or wait. When --for is over
it is probed; without --for it stays open until somebody closes it.`,
		Example: `  tidegate circuits open gpt-5-mini --reason "its answers are wrong today"
  tidegate circuits open gpt-5-mini --for 30m --reason "the vendor maintains it"`,
		Args: arguments(1, 1, "the name of one target"),
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if reason == "" {
				return usagef("--reason: say why, for those who wonder")
			}
			if cmd.Flags().Changed("for") && lasts <= 0 {
				return usagef("--for: use a time like 10m, 24h or 7d, or leave it out: then it stays open until somebody closes it")
			}
			if lasts > jobs.LongestCooldown {
				return usagef("--for: more than 365d is no time that anybody waits for; leave it out: then it stays open until somebody closes it")
			}
			return checkReason(reason)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.onCircuits(cmd, args, func(ctx context.Context, s *store.Store) error {
				return s.SetCircuit(ctx, args[0], jobs.CircuitOpen, lasts, reason)
			})
		},
	}
	spanVar(cmd.Flags(), &lasts, "for", 0, "how long, as in 30m or 7d, at most 365d (default: until somebody closes it)")
	cmd.Flags().StringVar(&reason, "reason", "", "why, as everybody sees it")
	return cmd
}

func newCircuitsCloseCommand(o *options) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "close TARGET",
		Short: "Let a target be called",
		Long: `close closes the circuit of a target in every worker within a second, and ends its
cooldown: it is called at once. If it still fails, its circuit opens again. Of a
target that is degraded, whose answers have changed, it takes the answers that
come from now on as its own: they are what is compared with later.`,
		Example: `  tidegate circuits close gpt-5-mini
  tidegate circuits close gpt-5-mini --reason "paid the bill"`,
		Args:    arguments(1, 1, "the name of one target"),
		PreRunE: func(*cobra.Command, []string) error { return checkReason(reason) },
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.onCircuits(cmd, args, func(ctx context.Context, s *store.Store) error {
				return s.SetCircuit(ctx, args[0], jobs.CircuitClosed, 0, cmp.Or(reason, "closed by a person"))
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", `why, as everybody sees it (default: "closed by a person")`)
	return cmd
}

const maxReason = 200

// checkReason refuses what does not fit a line.
func checkReason(reason string) error {
	if len([]rune(reason)) > maxReason {
		return usagef("--reason: %d characters are more than %d", len([]rune(reason)), maxReason)
	}
	if strings.ContainsFunc(reason, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return usagef("--reason: use one line of printable characters")
	}
	return nil
}

// onCircuits does something to a circuit, or nothing, and shows it, or all.
func (o *options) onCircuits(cmd *cobra.Command, args []string, do func(context.Context, *store.Store) error) error {
	ctx := cmd.Context()
	pool, err := o.connect(ctx, 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	s := store.New(pool)
	if do != nil {
		if err := do(ctx, s); errors.Is(err, store.ErrNotFound) {
			return unknownTarget(ctx, s, args[0])
		} else if err != nil {
			return err
		}
	}
	fleet, err := s.Fleet(ctx)
	if err != nil {
		return err
	}
	if len(args) == 1 {
		fleet.Circuits = slices.DeleteFunc(fleet.Circuits, func(c jobs.Circuit) bool { return c.Target != args[0] })
		fleet.Drills = slices.DeleteFunc(fleet.Drills, func(d jobs.Drill) bool { return d.Target != args[0] })
		if len(fleet.Circuits) == 0 && len(fleet.Drills) == 0 {
			return unknownTarget(ctx, s, args[0])
		}
	}
	return o.printCircuits(cmd.OutOrStdout(), &fleet)
}

// unknownTarget names the targets that there are.
func unknownTarget(ctx context.Context, s *store.Store, target string) error {
	circuits, err := s.Circuits(ctx)
	if err != nil {
		return err
	}
	names := make([]string, len(circuits))
	for i, c := range circuits {
		names[i] = c.Target
	}
	if len(names) == 0 {
		return fmt.Errorf("no worker has spoken of a target %q, nor of any other: start one that has it in a chain", target)
	}
	return fmt.Errorf("no worker has spoken of a target %q; %s", target, jobs.DidYouMean(target, names))
}

// A circuitsView is what JSON shows of circuits.
type circuitsView struct {
	Circuits []circuitView `json:"circuits"`
	Drills   []drillView   `json:"drills"` // those that are on
}

// A circuitView is a circuit as JSON shows it.
type circuitView struct {
	Target        string            `json:"target"`
	Region        string            `json:"region,omitempty"`
	State         jobs.CircuitState `json:"state"`
	Since         time.Time         `json:"since"`
	DownSince     time.Time         `json:"down_since,omitzero"`
	CooldownUntil time.Time         `json:"cooldown_until,omitzero"` // only one that goes on and has an end
	UntilClosed   bool              `json:"until_closed"`            // it stays open until somebody closes it
	Prober        string            `json:"prober,omitempty"`
	Reason        string            `json:"reason,omitempty"` // empty: it has not changed yet
	Generation    uint64            `json:"generation"`
	ByPerson      bool              `json:"by_person"`
	Degraded      string            `json:"degraded,omitempty"` // how its answers have changed; empty: they have not
}

func viewCircuits(circuits []jobs.Circuit, now time.Time) []circuitView {
	views := make([]circuitView, len(circuits))
	for i, c := range circuits {
		views[i] = circuitView{
			Target: c.Target, Region: c.Region, State: c.State, Since: c.Since, DownSince: c.DownSince,
			UntilClosed: c.UntilClosed(now), Prober: c.Prober, Reason: c.Reason, Generation: c.Generation, ByPerson: c.Person, Degraded: c.Degraded,
		}
		if c.CooldownUntil.After(now) && !views[i].UntilClosed {
			views[i].CooldownUntil = c.CooldownUntil
		}
	}
	return views
}

func (o *options) printCircuits(w io.Writer, fleet *jobs.Fleet) error {
	now := time.Now()
	view := circuitsView{Circuits: viewCircuits(fleet.Circuits, now), Drills: viewDrills(fleet.Drills, now)}
	if o.json {
		return printJSON(w, view)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(view.Circuits) == 0 {
		fmt.Fprintln(table, "No worker has spoken of a target yet.")
	} else {
		fmt.Fprintln(table, "TARGET\tREGION\tSTATE\tSINCE\tCOOLDOWN\tPROBER\tGENERATION\tWHY")
	}
	for _, c := range view.Circuits {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", c.Target, cmp.Or(c.Region, "-"), c.State, age(now, c.Since),
			left(now, &c), cmp.Or(c.Prober, "-"), c.Generation, c.why())
	}
	writeDrills(table, now, view.Drills)
	return table.Flush()
}

// why is the reason of the last change, and that the target is degraded where that
// is not the same.
func (c *circuitView) why() string {
	why := cmp.Or(oneLine(c.Reason), "-")
	if c.Degraded == "" || strings.Contains(c.Reason, c.Degraded) {
		return why
	}
	return "degraded: " + oneLine(c.Degraded) + " (" + why + ")"
}

// untilClosed is for how long a circuit is open that somebody opened for no given
// time.
const untilClosed = "until it is closed"

// left is how long a circuit still cools down, as a person says it.
func left(now time.Time, c *circuitView) string {
	switch {
	case c.UntilClosed:
		return untilClosed
	case c.CooldownUntil.IsZero():
		return "-"
	default:
		return c.CooldownUntil.Sub(now).Round(time.Second).String()
	}
}
