package worker

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// A raise is a budget that changed, as far as a supervisor saw to it.
type raise struct {
	changed int
	again   time.Time // when those are given back that were parked late
}

// budgets sees to what budgets mean for routes and for jobs that wait: a route whose
// budget is spent is paused, and resumed when it no longer is; and what is parked
// for a budget is given back when that is raised or unset, or a day begins.
func (s *supervisor) budgets(ctx context.Context, fleet *jobs.Fleet) error {
	if s.fleet.Budgets == nil {
		return nil
	}
	return s.briefly(ctx, func(ctx context.Context) error {
		return errors.Join(s.beginDay(ctx, fleet), s.pauseSpent(ctx, fleet), s.giveBackRaised(ctx, fleet))
	})
}

func (s *supervisor) beginDay(ctx context.Context, fleet *jobs.Fleet) error {
	for i := range fleet.Budgets {
		if !fleet.Budgets[i].DayOver {
			continue
		}
		n, err := s.fleet.Budgets.BeginDay(ctx, s.held)
		if err == nil && n > 0 {
			s.log.Info().Int("budgets", n).Msg("a day begins: what waited for it goes on")
			s.told()
			s.Wake() // to give it back at once
		}
		return err
	}
	return nil
}

// pauseSpent pauses routes whose budget is spent, and resumes the others.
func (s *supervisor) pauseSpent(ctx context.Context, fleet *jobs.Fleet) error {
	paused, spent := map[string]bool{}, map[string]*jobs.Budget{}
	for _, p := range fleet.Pauses {
		if p.Owner == jobs.OwnerBudget {
			paused[p.Route] = true
		}
	}
	for i := range fleet.Budgets {
		if b := &fleet.Budgets[i]; b.Scope == jobs.BudgetRoute && b.Out() && !b.None() {
			spent[b.Name] = b
		}
	}
	var failed error
	for route, budget := range spent {
		if _, known := fleet.Chains[route]; known && !paused[route] {
			failed = errors.Join(failed, s.pauseFor(ctx, budget))
		}
	}
	for route := range paused {
		if spent[route] == nil {
			failed = errors.Join(failed, s.resumeFor(ctx, route))
		}
	}
	return failed
}

func (s *supervisor) pauseFor(ctx context.Context, budget *jobs.Budget) error {
	route := budget.Name
	_, err := s.fleet.Budgets.PauseForBudget(ctx, s.held, route, budget.Reason(), func(ctx context.Context, tx pgx.Tx) error { return s.queues.Pause(ctx, tx, route) })
	if err != nil {
		return err
	}
	s.log.Warn().Str("route", route).Str("reason", budget.Reason()).Msg("route paused: its budget is spent")
	s.told()
	return nil
}

func (s *supervisor) resumeFor(ctx context.Context, route string) error {
	changed, err := s.fleet.Budgets.ResumeForBudget(ctx, s.held, route, func(ctx context.Context, tx pgx.Tx) error { return s.queues.Resume(ctx, tx, route) })
	if err != nil {
		return err
	}
	s.log.Warn().Str("route", route).Bool("stays_paused_by_others", !changed).Msg("route resumed: its budget is not spent any more")
	s.told()
	return nil
}

// giveBackRaised gives back what is parked for budgets that changed: at once, and
// once more when every worker has parked its last job for what was so before. What
// a round has no time for, the next one does.
func (s *supervisor) giveBackRaised(ctx context.Context, fleet *jobs.Fleet) error {
	for i := range fleet.Budgets {
		b := &fleet.Budgets[i]
		if b.Changed == b.Served && !b.None() {
			delete(s.raised, b.ID)
			continue
		}
		seen, known := s.raised[b.ID]
		switch {
		case b.None() && b.InFile && b.Changed == b.Served: // a command unset what a file sets
			continue
		case !known || seen.changed != b.Changed:
			seen = raise{b.Changed, s.now().Add(parkedLate)}
		case s.now().Before(seen.again):
			continue
		}
		if err := s.giveBackAll(ctx, b, known && seen == s.raised[b.ID]); err != nil {
			return err
		}
		s.raised[b.ID] = seen
	}
	return nil
}

func (s *supervisor) giveBackAll(ctx context.Context, budget *jobs.Budget, last bool) error {
	for all := 0; ; {
		n, err := s.fleet.Budgets.GiveBack(ctx, s.held, budget, last)
		if all += n; n == 0 || err != nil {
			if all > 0 {
				s.log.Info().Stringer("budget", budget.BudgetKey).Int("jobs", all).Msg("a budget changed: jobs that waited for it are given back")
			}
			return err
		}
	}
}
