package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"tidegate/jobs"
	"tidegate/jobs/queue"
	"tidegate/store"
)

// aboutQuarantine is what pause and resume say of the one queue that is no
// route's.
const aboutQuarantine = `Requests that were under way when workers died run alone, in the queue
` + jobs.QuarantineQueue + `: it is paused and resumed under this name as a route is.`

func newPauseCommand(o *options) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:     "pause ROUTE",
		GroupID: groupUse,
		Short:   "Stop working a route until somebody resumes it",
		Long: `pause pauses the queue of a route in the whole fleet: workers fetch nothing more
from it. What they have in hand goes on, and producers enqueue as before. It is
a person's pause: no worker undoes it, whatever the circuits do; resume does.
Pausing in River's own UI is the same.

` + aboutQuarantine,
		Example: `  tidegate pause summaries
  tidegate pause summaries --reason "the prompt is wrong, wait for version 3"`,
		Args:    arguments(1, 1, "the name of one route, or "+jobs.QuarantineQueue),
		PreRunE: func(*cobra.Command, []string) error { return checkReason(reason) },
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.onRoute(cmd, args[0], func(ctx context.Context, s *store.Store, q *queue.Queue) error {
				return s.PauseByPerson(ctx, args[0], reason, func(ctx context.Context, tx pgx.Tx) error { return q.PauseTx(ctx, tx, args[0]) })
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", `why, as everybody sees it (default: "paused by a person")`)
	return cmd
}

func newResumeCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "resume ROUTE",
		GroupID: groupUse,
		Short:   "Work a route again that was paused",
		Long: `resume ends every pause of a route: a person's, the circuits' and its budget's.
While no target of its chain may be called, or its budget is spent, the supervisor
pauses it again after some seconds; ` + "`tidegate budgets set`" + ` raises a budget.

` + aboutQuarantine,
		Example: `  tidegate resume summaries
  tidegate resume ` + jobs.QuarantineQueue + ` # after "pause all" in River's UI`,
		Args: arguments(1, 1, "the name of one route, or "+jobs.QuarantineQueue),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.onRoute(cmd, args[0], func(ctx context.Context, s *store.Store, q *queue.Queue) error {
				return s.ResumeByPerson(ctx, args[0], func(ctx context.Context, tx pgx.Tx) error { return q.ResumeTx(ctx, tx, args[0]) })
			})
		},
	}
}

// onRoute pauses or resumes a route and shows how it stands then.
func (o *options) onRoute(cmd *cobra.Command, route string, do func(context.Context, *store.Store, *queue.Queue) error) error {
	ctx := cmd.Context()
	pool, err := o.connect(ctx, 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	q, err := queue.New(pool)
	if err != nil {
		return err
	}
	s := store.New(pool)
	if err := do(ctx, s, q); errors.Is(err, store.ErrNotFound) {
		return unknownRoute(ctx, pool, route)
	} else if err != nil {
		return err
	}
	pauses, err := s.Pauses(ctx)
	if err != nil {
		return err
	}
	view := pausedView{Route: route, Pauses: viewPauses(pauses, route)}
	view.Paused = len(view.Pauses) > 0
	if o.json {
		return printJSON(cmd.OutOrStdout(), view)
	}
	return view.write(cmd.OutOrStdout())
}

// unknownRoute names the routes that there are, and the quarantine.
func unknownRoute(ctx context.Context, pool *pgxpool.Pool, route string) error {
	routes, err := store.Routes(ctx, pool)
	if err != nil {
		return err
	}
	names := make([]string, len(routes))
	for i, r := range routes {
		names[i] = r.Name
	}
	return fmt.Errorf("there is no route %q; %s", route, jobs.DidYouMean(route, append(names, jobs.QuarantineQueue)))
}

// A pausedView is whether a route is paused, as JSON shows it.
type pausedView struct {
	Route  string      `json:"route"`
	Paused bool        `json:"paused"`
	Pauses []pauseView `json:"pauses"`
}

type pauseView struct {
	Owner  jobs.Owner `json:"owner"`
	Reason string     `json:"reason"`
	Since  time.Time  `json:"since"`
}

// viewPauses are the pauses of one route.
func viewPauses(pauses []jobs.Pause, route string) []pauseView {
	views := []pauseView{}
	for _, p := range pauses {
		if p.Route == route {
			views = append(views, pauseView{p.Owner, p.Reason, p.Since})
		}
	}
	return views
}

func (v *pausedView) write(w io.Writer) error {
	if !v.Paused {
		_, err := fmt.Fprintf(w, "%s is not paused any more.\n", v.Route)
		return err
	}
	for _, p := range v.Pauses {
		fmt.Fprintf(w, "%s is paused by %s, since %s: %s\n", v.Route, ownerName(p.Owner), p.Since.Local().Format("15:04:05"), oneLine(p.Reason))
	}
	_, err := fmt.Fprintf(w, "`tidegate resume %s` ends it.\n", v.Route)
	return err
}

// ownerName is who pauses, in a sentence.
func ownerName(owner jobs.Owner) string {
	switch owner {
	case jobs.OwnerCircuit:
		return "its circuits"
	case jobs.OwnerBudget:
		return "its budget"
	}
	return "a " + string(owner)
}
