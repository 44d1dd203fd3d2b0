package app

import (
	"slices"
	"testing"
	"time"

	"tidegate/jobs"
)

// What waits on a route that changes is given back at once, and once more when nothing
// is parked by the old configuration any more, however often it changes meanwhile.
func TestChangedRoutesAreGivenBackTwice(t *testing.T) {
	t.Parallel()
	routes := func(waits ...jobs.WhenOpen) []jobs.Route {
		all := []jobs.Route{{Name: "a"}, {Name: "b"}}
		for i := range waits {
			all[i].WhenOpen = waits[i]
		}
		return all
	}
	told := tidings{routes: routes()}
	began := time.Now()
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	for _, step := range []struct {
		at          int
		take        []jobs.Route
		fresh, late []string
		all         bool
	}{
		{at: 0, all: true},
		{at: 1, take: routes(), all: true},
		{at: 2, take: routes(jobs.WhenOpenWait), fresh: []string{"a"}},
		{at: 4},
		{at: 6, take: routes(jobs.WhenOpenWait, jobs.WhenOpenWait), fresh: []string{"b"}},
		{at: 13},
		{at: 16, late: []string{"a", "b"}, all: true},
		{at: 30, all: true},
	} {
		if step.take != nil {
			told.replan(step.take)
		}
		fresh, late := told.dueAt(at(step.at))
		if !slices.Equal(fresh, step.fresh) || !slices.Equal(late, step.late) {
			t.Errorf("after %d s %v and %v are given back, want %v and %v", step.at, fresh, late, step.fresh, step.late)
		}
		if all := told.gaveBack(fresh, late, at(step.at)); all != step.all {
			t.Errorf("after %d s all is done: %v", step.at, all)
		}
	}
}
