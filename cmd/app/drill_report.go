package app

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tidegate/jobs"
	"tidegate/routing/provider"
)

// A drillReport is what a drill ends with. A time that is absent was not seen.
type drillReport struct {
	Target         string         `json:"target"`
	Mode           jobs.DrillMode `json:"mode"`
	Rate           float64        `json:"rate"`
	Began          time.Time      `json:"began"`
	Ended          time.Time      `json:"ended"`
	Calls          int            `json:"calls"`  // to the target while it was on, probes apart
	Probes         int            `json:"probes"` // to the target while it was on
	Failed         int            `json:"failed"` // of both, by the drill
	Answered       int            `json:"answered"`
	Rerouted       int            `json:"rerouted"`
	Openings       int            `json:"openings"`                 // how often the circuit opened
	OpenedAfterS   *float64       `json:"opened_after_s,omitempty"` // the first time
	NoticedAfterS  *float64       `json:"noticed_after_s,omitempty"`
	DrainedAfterS  *float64       `json:"drained_after_s,omitempty"`
	Routes         []drilledRoute `json:"routes"`
	AttemptsBurned int            `json:"attempts_burned"`
	Lost           int            `json:"lost"`
}

type drilledRoute struct {
	Route   string  `json:"route"`
	HeldS   float64 `json:"held_s"`   // no target of its chain could be called
	Pauses  int     `json:"pauses"`   // of its queue, for its circuits
	PausedS float64 `json:"paused_s"` // in all
}

// report counts what became of the drill, also when it was interrupted.
func (d *drill) report(ctx context.Context) (*drillReport, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	counts, err := d.store.Drilled(ctx, d.flags.target, provider.DrillCode, time.Since(d.began), time.Since(d.ended))
	if err != nil {
		return nil, err
	}
	burned, err := d.store.AttemptsBurned(ctx)
	if err != nil {
		return nil, err
	}
	r := &drillReport{
		Target: d.flags.target, Mode: jobs.DrillMode(d.flags.mode), Rate: d.flags.rate, Began: d.began, Ended: d.ended,
		Calls: counts.Calls, Probes: counts.Probes, Failed: counts.Failed, Answered: counts.Answered, Rerouted: counts.Rerouted,
		Openings: d.watch.openings, OpenedAfterS: after(d.began, d.watch.opened), NoticedAfterS: d.noticed(), DrainedAfterS: after(d.ended, d.drained),
		AttemptsBurned: max(0, burned-d.burned), Lost: counts.Lost,
	}
	for _, name := range slices.Sorted(maps.Keys(d.watch.routes)) {
		route := d.watch.routes[name]
		r.Routes = append(r.Routes, drilledRoute{Route: name, HeldS: seconds(route.held), Pauses: route.pauses, PausedS: seconds(route.still)})
	}
	return r, nil
}

// noticed is how long after the end the circuit closed, in seconds; nil: that was
// not seen. A probe may go between the end and the look that saw it.
func (d *drill) noticed() *float64 {
	if d.watch.open || !d.watch.closed.After(d.seen) {
		return nil
	}
	return after(d.ended, d.watch.closed)
}

// after is how long t came after from, in seconds; nil: it did not come.
func after(from, t time.Time) *float64 {
	if t.IsZero() {
		return nil
	}
	s := seconds(max(0, t.Sub(from)))
	return &s
}

func seconds(d time.Duration) float64 { return d.Round(10 * time.Millisecond).Seconds() }

// verdict fails the command if the drill cost a job anything.
func (r *drillReport) verdict() error {
	if r.Lost == 0 && r.AttemptsBurned == 0 {
		return nil
	}
	return fmt.Errorf("the drill cost something: %s ended without a result, and River burned %s", counted(r.Lost, "job"), counted(r.AttemptsBurned, "attempt"))
}

func (r *drillReport) write(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("drill", "%s, mode %s, %g%% of its calls, for %s", r.Target, r.Mode, 100*r.Rate, r.Ended.Sub(r.Began).Round(100*time.Millisecond))
	row("calls meanwhile", "%d, and %s; %d of them failed by the drill", r.Calls, counted(r.Probes, "probe"), r.Failed)
	row("answered since", "%d, of them re-routed %d", r.Answered, r.Rerouted)
	row("circuit opened", "%s", told(r.OpenedAfterS, "after %.1f s", "it did not"))
	if r.Openings > 1 {
		row("and again", "%d times", r.Openings-1)
	}
	if r.Openings > 0 {
		row("end noticed", "%s", told(r.NoticedAfterS, "after %.1f s", "not seen"))
	}
	row("drained", "%s", told(r.DrainedAfterS, "%.1f s after the end", "not seen"))
	for _, route := range r.Routes {
		row(route.Route, "held for %.1f s, paused for %.1f s (%s)", route.HeldS, route.PausedS, counted(route.Pauses, "pause"))
	}
	row("River attempts burned", "%d", r.AttemptsBurned)
	row("lost", "%d", r.Lost)
	if err := table.Flush(); err != nil {
		return err
	}
	if r.Calls+r.Probes == 0 {
		var names []string
		for _, route := range r.Routes {
			names = append(names, route.Route)
		}
		fmt.Fprintf(w, "\nNobody called %s meanwhile: there was no work on %s, or no worker.\n", r.Target, strings.Join(names, ", "))
	}
	return nil
}

// told is a number of seconds in words; without one, what else there is to say.
func told(s *float64, format, otherwise string) string {
	if s == nil {
		return otherwise
	}
	return fmt.Sprintf(format, *s)
}
