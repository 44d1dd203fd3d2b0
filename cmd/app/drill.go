package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidegate/jobs"
	"tidegate/store"
)

const (
	// watchEvery is how often a drill looks at the fleet.
	watchEvery = 250 * time.Millisecond
	// endWithin is how long a drill that is stopped may take to end.
	endWithin       = 10 * time.Second
	defaultDrillFor = 2 * time.Minute
	// maxDrillFor bounds a drill whose command was killed: nobody else ends it
	// before its time.
	maxDrillFor     = 24 * time.Hour
	defaultDrainFor = 10 * time.Minute
)

type drillFlags struct {
	target, mode, end string
	lasts, drain      time.Duration
	rate              float64
}

func newDrillCommand(o *options) *cobra.Command {
	f := &drillFlags{}
	cmd := &cobra.Command{
		Use:     "drill",
		GroupID: groupUse,
		Short:   "Stage an outage of a target, and report how it went",
		Long: `drill makes the calls to a target fail in every worker for a while, as they would
in an outage; no call leaves a worker for those that fail. It follows what
happens until the backlog of the outage is drained, and then reports. Ctrl-C ends
the drill at once, and so do the end of its terminal and --end in another shell; a
drill whose command was killed ends when its time is over.

Modes: 503 (overloaded), 500, 429 (rate limit), hang (no answer until the
target's own timeout), refused (no connection), quota (out of money, which is so
for every target of the same provider). With --rate less than 1 the others of
the calls go through: a brown-out.

It fails if a job ended without a result or River burned an attempt meanwhile.`,
		Example: `  tidegate drill --target gpt-5-mini --mode 503 --for 2m
  tidegate drill --target gpt-5-mini --mode 500 --rate 0.25 --for 10m
  tidegate drill --target gpt-5-mini --for 30s --json | jq .noticed_after_s
  tidegate drill --end gpt-5-mini`,
		Args:    noArguments,
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.check(cmd.Flags().Changed) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.end != "" {
				return o.endDrill(cmd, f.end)
			}
			return o.drill(cmd, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.target, "target", "", "the target whose calls fail")
	flags.StringVar(&f.mode, "mode", string(jobs.Drill503), "how they fail: "+drillModes())
	spanVar(flags, &f.lasts, "for", defaultDrillFor, "how long the outage lasts, at most 24h")
	flags.Float64Var(&f.rate, "rate", 1, "share of the calls that fail, up to 1")
	spanVar(flags, &f.drain, "drain", defaultDrainFor, "how long to follow the backlog afterwards, at most, as in 10m or 1d; 0: report at once")
	flags.StringVar(&f.end, "end", "", "end the drill of this target")
	return cmd
}

func drillModes() string {
	var names []string
	for _, mode := range jobs.DrillModes() {
		names = append(names, string(mode))
	}
	return strings.Join(names, ", ")
}

func (f *drillFlags) check(changed func(string) bool) error {
	if f.end != "" {
		if other := chosen(changed, "target", "mode", "for", "rate", "drain"); other != "" {
			return usagef("%s does not go with --end", other)
		}
		return nil
	}
	switch {
	case f.target == "":
		return usagef("--target: name the target whose calls shall fail")
	case !slices.Contains(jobs.DrillModes(), jobs.DrillMode(f.mode)):
		return usagef("--mode: %q is not a mode; use one of %s", f.mode, drillModes())
	case f.lasts <= 0:
		return usagef("--for: use a time like 30s or 2m")
	case f.lasts > maxDrillFor:
		return usagef("--for: %s is more than 24h; use less: if its command is killed, a drill goes on until its time is over", f.lasts)
	case !(f.rate > 0 && f.rate <= 1):
		return usagef("--rate: %v is not a share of calls; use more than 0, and at most 1", f.rate)
	}
	return checkSpan("--drain", f.drain, "10m")
}

func (o *options) endDrill(cmd *cobra.Command, target string) error {
	pool, err := o.connect(cmd.Context(), 1)
	if err != nil {
		return err
	}
	defer pool.Close()
	was, err := store.New(pool).EndDrill(cmd.Context(), target)
	if err != nil {
		return err
	}
	if !was {
		return fmt.Errorf("no drill of %q is on", target)
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), map[string]string{"ended": target})
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "The drill of %s is over.\n", target)
	return err
}

func (o *options) drill(cmd *cobra.Command, f *drillFlags) error {
	ctx := cmd.Context()
	pool, err := o.connect(ctx, 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	d := &drill{flags: f, store: store.New(pool)}
	if err := d.prepare(ctx); err != nil {
		return err
	}
	shown := newProgress(cmd.ErrOrStderr(), "drill of "+f.target+", seconds", int(f.lasts.Seconds()))
	d.watch.say = shown.Say
	err = d.run(ctx, shown.Set)
	shown.Done()
	if err != nil {
		return err
	}
	report, err := d.report(ctx)
	if err != nil {
		return err
	}
	if o.json {
		err = printJSON(cmd.OutOrStdout(), report)
	} else {
		err = report.write(cmd.OutOrStdout())
	}
	return cmp.Or(err, report.verdict())
}

// A drill is one that this command stages.
type drill struct {
	flags   *drillFlags
	store   *store.Store
	watch   drillWatch
	routes  []string // those whose chain has the target
	backlog int      // when it began
	last    int64    // the last job that was enqueued before it ended
	burned  int      // when it began
	began   time.Time
	seen    time.Time // last when it was on; it may have ended a moment after that
	ended   time.Time
	drained time.Time // zero: not seen
}

// prepare finds out what the drill will touch, and how it stands before it.
func (d *drill) prepare(ctx context.Context) error {
	status, err := d.store.Status(ctx)
	if err != nil {
		return err
	}
	var targets []string
	d.watch = drillWatch{target: d.flags.target, routes: map[string]*routeWatch{}}
	for _, route := range status.Routes {
		targets = append(targets, route.Chain...)
		if slices.Contains(route.Chain, d.flags.target) {
			d.routes = append(d.routes, route.Route)
			d.watch.routes[route.Route] = &routeWatch{chain: route.Chain}
			d.backlog += route.Waiting + route.InHand
		}
	}
	if len(d.routes) == 0 {
		slices.Sort(targets)
		return fmt.Errorf("no route has a target %q in its chain; %s", d.flags.target, jobs.DidYouMean(d.flags.target, slices.Compact(targets)))
	}
	if d.burned, err = d.store.AttemptsBurned(ctx); err != nil {
		return err
	}
	fleet, err := d.store.Fleet(ctx)
	if err != nil {
		return err
	}
	if on, was := d.on(fleet); was {
		return fmt.Errorf("a drill of %s is on already, mode %s, for another %s: end it with --end %[1]s", on.Target, on.Mode, time.Until(on.Until).Round(time.Second))
	}
	d.watch.begin(fleet)
	return nil
}

func (d *drill) on(fleet jobs.Fleet) (jobs.Drill, bool) {
	i := slices.IndexFunc(fleet.Drills, func(on jobs.Drill) bool { return on.Target == d.flags.target })
	if i < 0 {
		return jobs.Drill{}, false
	}
	return fleet.Drills[i], true
}

// run stages the outage and follows it to its end and, if nobody interrupts,
// until the backlog is drained. Once it began, it ends the drill whatever
// happens.
func (d *drill) run(ctx context.Context, progress func(int)) error {
	d.began = time.Now()
	planned := jobs.Drill{Target: d.flags.target, Mode: jobs.DrillMode(d.flags.mode), Rate: d.flags.rate, Until: d.began.Add(d.flags.lasts)}
	if err := d.start(ctx, planned); err != nil {
		return err
	}
	d.watch.say("%s fails now: mode %s, %g%% of its calls, for %s", planned.Target, planned.Mode, 100*planned.Rate, d.flags.lasts)
	d.follow(ctx, func(fleet jobs.Fleet) (bool, error) {
		progress(int(time.Since(d.began).Seconds()))
		_, on := d.on(fleet)
		if on {
			d.seen = d.watch.seen
		}
		return !on, nil
	})
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	_, err := d.store.EndDrill(last, planned.Target)
	d.ended = time.Now()
	if planned.Until.Before(d.ended) { // it ended by itself, a moment before that was seen
		d.ended = planned.Until
	}
	if err != nil {
		return err
	}
	d.watch.say("the outage is over")
	if d.last, err = d.store.LastJob(last); err != nil || d.flags.drain == 0 {
		return err
	}
	waiting, stop := context.WithTimeout(ctx, d.flags.drain)
	defer stop()
	d.follow(waiting, func(jobs.Fleet) (bool, error) { return d.isDrained(waiting) })
	return nil
}

// start begins the drill. An interrupt does not reach into it: else nobody would
// know whether there is a drill to end.
func (d *drill) start(ctx context.Context, planned jobs.Drill) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	return d.store.StartDrill(whole, planned)
}

// isDrained tells whether the target is called again, and of the jobs that were
// there when the outage ended no more are left than there were when it began:
// what has come since is not its backlog.
func (d *drill) isDrained(ctx context.Context) (bool, error) {
	if d.watch.open {
		return false, nil
	}
	left, err := d.store.Backlog(ctx, d.routes, d.last)
	if err != nil || left > d.backlog {
		return false, err
	}
	d.drained = time.Now()
	d.watch.say("drained")
	return true, nil
}

// follow looks at the fleet until done says so, or ctx ends. While Postgres is
// away it looks again.
func (d *drill) follow(ctx context.Context, done func(jobs.Fleet) (bool, error)) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		fleet, err := d.store.Fleet(ctx)
		if err == nil {
			d.watch.look(fleet, time.Now())
			var over bool
			if over, err = done(fleet); over {
				return
			}
		}
		if err != nil && ctx.Err() == nil {
			d.watch.say("%v; it is repeated", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
