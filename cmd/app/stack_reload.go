package app

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
	"tidegate/routing"
	"tidegate/store"
)

const (
	// routesEvery is how often a worker says what its routes are: one of an older
	// configuration may have started, and ended, after it.
	routesEvery = time.Minute
	// tellAgain is how soon it tries again what the fleet was not told of.
	tellAgain = 2 * time.Second
)

// tidings are what the fleet is to be told of the configuration.
type tidings struct {
	wake chan struct{} // tell them at once

	mu     sync.Mutex
	routes []jobs.Route
	said   []store.FileBudget // what the configuration says of budgets
	untold []store.FileBudget // what the fleet was not told of that yet
	moved  []string           // targets that are called in another way now, of which it was not told yet
	plans  replanned
}

// add says that targets are called in another way.
func (t *tidings) add(moved []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moved = slices.Compact(slices.Sorted(slices.Values(append(t.moved, moved...))))
}

// all are the routes as they are configured now.
func (t *tidings) all() []jobs.Route {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.routes
}

// budgets says that a configuration says something else of budgets.
func (t *tidings) budgets(fresh []store.FileBudget) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.untold = config.BudgetsAfter(slices.Concat(t.said, t.untold), fresh)
	t.said = fresh
}

// Reload takes what a new configuration says of the routes that the worker was
// made with, and of their targets: those may be others. Whatever begins from now
// on goes by it. It does not wait for the fleet, which is told until it has heard.
// Safe for concurrent use, but for another Reload.
func (s *Stack) Reload(routes []jobs.Route) {
	moved := s.Router.Reload(routes)
	s.provider.Keep(targetsOf(routes))
	s.know(routes)
	s.tidings.replan(routes)
	s.tidings.add(moved)
	s.Worker.Reloaded()
	select {
	case s.tidings.wake <- struct{}{}:
	default:
	}
}

// Take is Reload of a configuration, with what it says of budgets.
func (s *Stack) Take(conf *config.Config) {
	s.taken.Store(conf)
	_, routes := conf.Build()
	s.Router.Choose(conf.Choosing())
	s.tidings.budgets(conf.Budgets())
	weights := conf.Weights()
	s.weights.Store(&weights)
	s.Reload(routes)
}

// running says which configuration is in effect: the first, until another one is taken.
func (s *Stack) running(first *config.Config) func() *config.Config {
	return func() *config.Config { return cmp.Or(s.taken.Load(), first) }
}

// weight is a tenant's, by the configuration of now.
func (s *Stack) weight(tenant string) float64 {
	return cmp.Or((*s.weights.Load())[tenant], config.DefaultWeight)
}

// tell says now and then what the routes are, and what a new configuration has
// changed as soon as it has.
func (s *Stack) tell(ctx context.Context) {
	timer := time.NewTimer(routesEvery)
	defer timer.Stop()
	well := true
	for {
		select {
		case <-timer.C:
		case <-s.tidings.wake:
		case <-ctx.Done():
			return
		}
		all, err := s.tellOnce(ctx)
		if err != nil && ctx.Err() == nil && well {
			s.config.Log.Warn().Err(err).Msg("the fleet was not told of this worker's routes; it is repeated")
		}
		if well = err == nil; all {
			timer.Reset(routesEvery)
		} else {
			timer.Reset(tellAgain)
		}
	}
}

// tellOnce tells whether the fleet knows all of it now.
func (s *Stack) tellOnce(ctx context.Context) (all bool, err error) {
	s.tidings.mu.Lock()
	routes, moved, untold := s.tidings.routes, s.tidings.moved, s.tidings.untold
	s.tidings.moved = nil
	s.tidings.mu.Unlock()
	err = errors.Join(s.Store.KeepRoutes(ctx, routes), s.tellBudgets(ctx, untold))
	all, failed := s.giveBackChanged(ctx)
	err = errors.Join(err, failed)
	if len(moved) == 0 {
		return err == nil && all, err
	}
	retried, failed := s.Store.RetryCircuits(ctx, moved, routing.MovedReason)
	if failed == nil {
		moved = slices.DeleteFunc(moved, func(target string) bool { return slices.Contains(retried, target) || !s.unheard(target) })
	}
	s.tidings.add(moved)
	err = errors.Join(err, failed)
	return err == nil && all && len(moved) == 0, err
}

// tellBudgets says what a new configuration says of budgets, until the fleet has
// heard it.
func (s *Stack) tellBudgets(ctx context.Context, untold []store.FileBudget) error {
	if len(untold) == 0 {
		return nil
	}
	if err := s.Store.FileBudgets(ctx, untold); err != nil {
		return err
	}
	s.tidings.mu.Lock()
	defer s.tidings.mu.Unlock()
	if slices.Equal(s.tidings.untold, untold) { // or else it changed meanwhile
		s.tidings.untold = nil
	}
	return nil
}

func (s *Stack) now() time.Time {
	if s.config.Now != nil {
		return s.config.Now()
	}
	return time.Now()
}

// unheard tells whether this worker does not call a target for what the fleet has
// not heard of: it opened the circuit just before the new configuration came.
func (s *Stack) unheard(target string) bool {
	for _, c := range s.Router.Circuits() {
		if c.Target == target {
			flows := c.State == jobs.CircuitClosed && !c.CooldownUntil.After(s.now())
			return !flows && !c.Local && !c.Person
		}
	}
	return false
}
