package simulator

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// A Step is a fault at a time of the script.
type Step struct {
	// At is counted from Listen, or from StartScript.
	At    time.Duration `yaml:"at"`
	Fault `yaml:",inline"`
}

// A schedule knows which fault holds when. It is safe for concurrent use.
type schedule struct {
	mu        sync.Mutex
	steps     []Step // by At
	origin    time.Time
	command   Fault
	commanded time.Time // zero: nothing was
}

func newSchedule(steps []Step, origin time.Time) *schedule {
	sorted := slices.Clone(steps)
	slices.SortStableFunc(sorted, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	return &schedule{steps: sorted, origin: origin}
}

// restart counts the script from now and forgets what was commanded.
func (s *schedule) restart(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.origin, s.command, s.commanded = now, Fault{}, time.Time{}
}

// set makes fault the one that began last.
func (s *schedule) set(fault Fault, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.command, s.commanded = fault, now
}

// at returns the fault that holds at now, and since when; OK and a zero time
// when there is none.
func (s *schedule) at(now time.Time) (Fault, time.Time) {
	fault, since := s.latest(now)
	if fault.isOver(since, now) {
		return Fault{}.filled(), time.Time{}
	}
	return fault, since
}

// wellSince returns when the last fault ended, or when time began to count if
// there was none. While a fault holds it is when that began.
func (s *schedule) wellSince(now time.Time) time.Time {
	fault, since := s.latest(now)
	if !fault.isNothing() && fault.isOver(since, now) {
		return since.Add(fault.For)
	}
	return since
}

// isOver tells whether nothing is wrong any more at now, of a fault that began at
// since.
func (f Fault) isOver(since, now time.Time) bool {
	return f.isNothing() || f.For > 0 && !now.Before(since.Add(f.For))
}

func (f Fault) isNothing() bool { return f.Mode == OK && f.Delay == 0 }

// latest returns the fault that began last, as it counts, also if it is over;
// without one, a fault of nothing since the origin.
func (s *schedule) latest(now time.Time) (Fault, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fault, since := s.command, s.commanded
	if since.IsZero() {
		since = s.origin
	}
	for _, step := range s.steps {
		begins := s.origin.Add(step.At)
		if begins.After(now) {
			break
		}
		if !begins.Before(since) {
			fault, since = step.Fault, begins
		}
	}
	return fault.filled(), since
}
