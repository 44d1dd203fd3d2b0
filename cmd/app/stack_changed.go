package app

import (
	"context"
	"slices"
	"time"

	"tidegate/jobs"
)

// parkedLate is by when this worker has parked its last job by the configuration of
// before.
const parkedLate = 10 * time.Second

// replanned are routes whose plan a new configuration changed, as long as what waits
// there was not given back. Another worker may have said the plan already, and this
// one parked by the old one since.
type replanned struct {
	fresh []string  // to be given back
	late  []string  // to be given back once more, for what was parked just then
	due   time.Time // when
}

// replan notes the routes that another configuration changes.
func (t *tidings) replan(routes []jobs.Route) {
	t.mu.Lock()
	defer t.mu.Unlock()
	plans := make(map[string]string, len(t.routes))
	for i := range t.routes {
		plans[t.routes[i].Name] = t.routes[i].Plan()
	}
	for i := range routes {
		if plan, known := plans[routes[i].Name]; known && plan != routes[i].Plan() {
			t.plans.fresh = with(t.plans.fresh, routes[i].Name)
		}
	}
	t.routes = routes
}

// with is a list of names with others, each once.
func with(names []string, others ...string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(names, others))))
}

// dueAt lists the routes whose jobs are to be given back now.
func (t *tidings) dueAt(now time.Time) (fresh, late []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Before(t.plans.due) {
		return slices.Clone(t.plans.fresh), nil
	}
	return slices.Clone(t.plans.fresh), slices.Clone(t.plans.late)
}

// gaveBack notes that this was done, and tells whether it was the last of it.
func (t *tidings) gaveBack(fresh, late []string, now time.Time) (all bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	done := func(these []string) func(string) bool {
		return func(name string) bool { return slices.Contains(these, name) }
	}
	t.plans.fresh, t.plans.late = slices.DeleteFunc(t.plans.fresh, done(fresh)), slices.DeleteFunc(t.plans.late, done(late))
	if len(fresh) > 0 {
		t.plans.late, t.plans.due = with(t.plans.late, fresh...), now.Add(parkedLate)
	}
	return len(t.plans.fresh)+len(t.plans.late) == 0
}

// giveBackChanged gives back what waits on routes that a new configuration changed: at
// once, and once more when this worker has parked its last job by the one of before.
func (s *Stack) giveBackChanged(ctx context.Context) (all bool, err error) {
	now := time.Now()
	fresh, late := s.tidings.dueAt(now)
	if routes := with(fresh, late...); len(routes) > 0 {
		n, err := s.Store.UnparkRoutes(ctx, routes)
		if n > 0 {
			s.config.Log.Info().Strs("routes", routes).Int("jobs", n).Msg("the configuration changed routes: jobs that waited there are given back")
		}
		if err != nil {
			return false, err
		}
	}
	return s.tidings.gaveBack(fresh, late, now), nil
}
