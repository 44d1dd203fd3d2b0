package app

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
	"tidegate/routing/prices"
	"tidegate/store"
	"tidegate/worker/publish"
)

func newStatusCommand(o *options) *cobra.Command {
	var watch bool
	var every time.Duration
	cmd := &cobra.Command{
		Use:     "status",
		GroupID: groupUse,
		Short:   "Show backlog, circuits and rates",
		Long: `status shows of each route how many jobs wait in its queue, how many a worker
has in hand (called, or waiting at the gate there), by when these are thought to be
done, and how it stands: it flows;
it holds, while no target of its chain may be called; it is paused, by its
circuits, its budget or by a person; unserved, when no worker works it; or retired, when producers may not name it any
more. Of routes with fair admission it shows which tenants wait to be admitted, for what
and until when. Then where each target's circuit stands and why, what was answered in the
last minute and at what cost, which drills are on and how to end them, which
workers live and which of them supervises the fleet, budgets of which over four
fifths are spent, the newest batches and those that have gone on for the longest, when they are thought to be done, what is owed
to NATS, and how long what has ended is kept.

A time such as 14:10 ± 6 min is right in eight of ten cases if nothing new happens. While
no target of a route may be called, nobody knows when that ends: then it is said how much
work is left, as in "? (40 min of work)".

With --watch it is shown again and again until Ctrl-C: on a whole terminal, with keys to
choose, sort, pause and resume routes (? lists them); elsewhere as lines, with --json as
one object on each.`,
		Example: `  tidegate status
  tidegate status --watch
  tidegate status --json | jq .routes`,
		Args:    noArguments,
		PreRunE: func(cmd *cobra.Command, _ []string) error { return checkEvery(cmd, watch, every) },
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.status(cmd, watch, every) },
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show it again and again, until Ctrl-C")
	spanVar(cmd.Flags(), &every, "every", defaultEvery, "with --watch: how often it is read, as in 2s or 1m")
	return cmd
}

func (o *options) status(cmd *cobra.Command, watch bool, every time.Duration) error {
	conf, err := o.loadKeyless()
	if err != nil { // it may be the table of prices, which must hide nothing else
		warning := err
		if conf, err = o.loadBeside(prices.Shipped()); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Warning: %v\n", warning)
	}
	pool, err := o.connect(cmd.Context(), 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	look := newLook(pool, func() *config.Config { return conf })
	if watch {
		return o.watchStatus(cmd, pool, look, every)
	}
	status, view, err := look.once(cmd.Context())
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), view)
	}
	return writeStatus(cmd.OutOrStdout(), &status, view)
}

func checkEvery(cmd *cobra.Command, watch bool, every time.Duration) error {
	switch {
	case cmd.Flags().Changed("every") && !watch:
		return usagef("--every goes with --watch")
	case every < leastEvery:
		return usagef("--every: %s is too often, the least is %s", every, leastEvery)
	}
	return nil
}

// A statusView is a status as JSON shows it.
type statusView struct {
	At       time.Time          `json:"at"`
	Routes   []routeView        `json:"routes"`
	Targets  []targetView       `json:"targets"`
	Drills   []drillView        `json:"drills"`
	Workers  []workerView       `json:"workers"`
	Results  map[jobs.State]int `json:"results_last_minute"`
	Batches  []batchView        `json:"batches"`
	Outbox   int                `json:"outbox"`
	BehindMS int64              `json:"outbox_behind_ms"`
	// Unpriced are the targets of the configuration here without a price, and those
	// whose calls had none in the last minute.
	Unpriced []string `json:"targets_without_price"`
	// Budgets are those that are spent, or nearly.
	Budgets []budgetView `json:"budgets"`
	// Kept is how long what has ended is kept, and how far its removal is.
	Kept []keptView `json:"kept"`
}

type routeView struct {
	Route   string `json:"route"`
	State   string `json:"state"` // flows, holds, paused, retired or unserved
	Why     string `json:"why,omitempty"`
	Waiting int    `json:"waiting"` // no worker has them
	// CountedAt is when so many were counted, where very many wait: what has ended since is
	// taken off. Missing: now.
	CountedAt time.Time `json:"counted_at,omitzero"`
	// WaitingBy is who waits for fair admission; what was admitted is not among them.
	WaitingBy []waitingView `json:"waiting_by"`
	InHand    int           `json:"in_hand"` // in a worker: called, or waiting at the gate there
	Discarded int           `json:"discarded"`
	Paused    bool          `json:"paused"`
	// Pauses are who pauses it, and why.
	Pauses []pauseView `json:"pauses"`
	Since  time.Time   `json:"since,omitzero"` // of a state that is not flows
	Oldest time.Time   `json:"oldest,omitzero"`
	// Forecast is when what waits now, and is in hand, will be done; nil: nothing does.
	Forecast *forecastView `json:"forecast,omitempty"`
}

type targetView struct {
	Target        string            `json:"target"`
	Region        string            `json:"region,omitempty"`
	Circuit       jobs.CircuitState `json:"circuit"`
	Since         time.Time         `json:"since,omitzero"`
	Reason        string            `json:"reason,omitempty"`   // of the circuit's last change; empty: there was none
	Degraded      string            `json:"degraded,omitempty"` // how its answers have changed; empty: they have not
	CooldownUntil time.Time         `json:"cooldown_until,omitzero"`
	UntilClosed   bool              `json:"until_closed"` // it stays open until somebody closes it
	Calls         int               `json:"calls_last_minute"`
	Answered      int               `json:"answered_last_minute"`
	MedianMS      int64             `json:"median_ms"`
	CostMicroUSD  *jobs.MicroUSD    `json:"cost_micro_usd_last_minute"` // null: that of some calls is not known
	Unpriced      int               `json:"unpriced_last_minute"`       // calls whose cost is not known
	PriceUnknown  bool              `json:"price_unknown"`              // of the configuration here, or of a worker's in the last minute

	cost jobs.MicroUSD // what is known of it
}

// viewStatus shows a status. Which targets have no price the configuration knows, if it
// has targets.
func viewStatus(s store.Status, conf *config.Config) statusView {
	view := statusView{
		At: s.At, Results: s.Results, Drills: viewDrills(s.Drills, s.At), Workers: viewWorkers(s.Workers), Outbox: s.Outbox, BehindMS: s.Behind.Milliseconds(), Budgets: viewBudgets(tight(s.Budgets)),
		Kept:   viewKept(s.Kept, s.At),
		Routes: []routeView{}, Targets: []targetView{}, Batches: []batchView{}, // in JSON a list, also when it is empty
	}
	for i := range s.Routes {
		view.Routes = append(view.Routes, viewRoute(&s, &s.Routes[i]))
	}
	for i := range s.Batches { // as their events do
		view.Batches = append(view.Batches, batchView{BatchBody: publish.BodyOfBatch(&s.Batches[i])})
	}
	view.Unpriced = unpricedTargets(&s, conf)
	did := map[string]store.TargetStatus{}
	for _, t := range s.Targets {
		did[t.Target] = t
	}
	for _, c := range s.Circuits {
		t := did[c.Target]
		target := targetView{
			Target: c.Target, Region: c.Region, Circuit: c.State, Since: c.Since, Reason: c.Reason, Degraded: c.Degraded, UntilClosed: c.UntilClosed(s.At),
			Calls: t.Calls, Answered: t.Answered, MedianMS: t.Median.Milliseconds(), cost: t.Cost,
			Unpriced: t.Unpriced, PriceUnknown: slices.Contains(view.Unpriced, c.Target),
		}
		if t.Unpriced == 0 {
			target.CostMicroUSD = &t.Cost
		}
		if !target.UntilClosed {
			target.CooldownUntil = c.CooldownUntil
		}
		view.Targets = append(view.Targets, target)
	}
	return view
}

func writeStatus(w io.Writer, s *store.Status, view statusView) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ROUTE\tWAITING\tIN HAND\tOLDEST\tDONE BY\tSTATE\tSINCE\tWHY")
	for _, r := range view.Routes {
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", r.Route, r.Waiting, r.InHand, age(s.At, r.Oldest), r.Forecast.short(s.At.Local()), r.State, age(s.At, r.Since), cmp.Or(shorten(r.Why, 120), "-"))
	}
	writeWaiting(table, s.At, view.Routes)
	fmt.Fprintln(table, "\nTARGET\tREGION\tCIRCUIT\tSINCE\tCALLS/MIN\tANSWERED\tMEDIAN\tCOST/MIN\tWHY")
	for _, t := range view.Targets {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", t.Target, cmp.Or(t.Region, "-"), circuitState(s.At, t), age(s.At, t.Since), t.Calls, t.Answered,
			time.Duration(t.MedianMS)*time.Millisecond, jobs.CostText(t.cost, t.Unpriced > 0), why(s.At, t))
	}
	writeDrills(table, s.At, view.Drills)
	writeWorkers(table, s.At, view.Workers)
	if near := tight(s.Budgets); len(near) > 0 {
		fmt.Fprintln(table)
		writeBudgetTable(table, near)
	}
	writeBatches(table, s.At, view.Batches)
	if err := table.Flush(); err != nil {
		return err
	}
	if len(view.Unpriced) > 0 {
		fmt.Fprintf(w, "\nWarning: nobody knows what calls to %s cost; `tidegate prices` says why.\n", strings.Join(view.Unpriced, ", "))
	}
	fmt.Fprintf(w, "\nLast minute: %s. Owed to NATS: %s.\n", lastMinute(view.Results), owed(view, s.Behind))
	writeKept(w, s.At, view.Kept)
	return nil
}

// writeBatches writes a table of batches, if there are any.
func writeBatches(w io.Writer, now time.Time, batches []batchView) {
	if len(batches) == 0 {
		return
	}
	again := slices.ContainsFunc(batches, func(b batchView) bool { return b.RetryOf != "" })
	head := "\nBATCH\tSTATE\tANSWERED\tFAILED\tTOTAL\tAGE\tDONE BY"
	if again {
		head += "\tRETRY OF"
	}
	fmt.Fprintln(w, head)
	for _, b := range batches {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\t%s", b.BatchID, b.State, b.Completed, b.Failed, b.Total, age(now, b.CreatedAt), b.Forecast.short(now.Local()))
		if again {
			fmt.Fprintf(w, "\t%s", cmp.Or(b.RetryOf, "-"))
		}
		fmt.Fprintln(w)
	}
}

// unpricedTargets lists targets whose price nobody knows.
func unpricedTargets(s *store.Status, conf *config.Config) []string {
	names := []string{} // in JSON a list, also when it is empty
	for i := range conf.Targets {
		if t := &conf.Targets[i]; conf.Pricing(t, s.At).Unknown != "" {
			names = append(names, t.Name)
		}
	}
	for _, t := range s.Targets {
		if t.Unpriced > 0 && !slices.Contains(names, t.Target) {
			names = append(names, t.Target)
		}
	}
	return names
}

// why is the reason of what is not as it should be.
func why(now time.Time, t targetView) string {
	switch {
	case t.Circuit != jobs.CircuitClosed || t.CooldownUntil.After(now):
		return shorten(t.Reason, 60)
	case t.Degraded != "":
		return shorten("degraded: "+t.Degraded, 90)
	}
	return "-"
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// together is a number with its noun, and the verb that goes with it.
func together(n int, noun, one, many string) string {
	if n == 1 {
		return counted(n, noun) + " " + one
	}
	return counted(n, noun) + " " + many
}

// circuitState adds how long a cooldown still runs.
func circuitState(now time.Time, t targetView) string {
	if t.UntilClosed {
		return fmt.Sprintf("%s, %s", t.Circuit, untilClosed)
	}
	if wait := t.CooldownUntil.Sub(now); wait > 0 {
		return fmt.Sprintf("%s, %s left", t.Circuit, wait.Round(time.Second))
	}
	return string(t.Circuit)
}

func lastMinute(results map[jobs.State]int) string {
	var parts []string
	for _, state := range jobs.States() {
		if n := results[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	if len(parts) == 0 {
		return "no results"
	}
	return strings.Join(parts, ", ")
}

func owed(view statusView, behind time.Duration) string {
	if view.Outbox == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s, the oldest for %s", counted(view.Outbox, "event"), behind.Round(time.Second))
}

// age is how long ago t was, as a person says it.
func age(now, t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	switch ago := max(now.Sub(t), 0); {
	case ago < time.Minute:
		return ago.Round(time.Second).String()
	case ago < 48*time.Hour:
		return strings.TrimSuffix(ago.Round(time.Minute).String(), "0s")
	default:
		return fmt.Sprintf("%dd", int(ago.Hours()/24))
	}
}
