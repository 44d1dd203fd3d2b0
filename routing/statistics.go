package routing

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"tidegate/jobs"
)

// sums are what an estimator keeps of a target: numbers that add up. What two
// workers know together is the sum of what each knows.
type sums [8]float64

func (s *sums) add(other *sums) {
	for i := range s {
		s[i] += other[i]
	}
}

// A sample is a call that ended, as far as it says something of its target.
type sample struct {
	failed  bool
	seconds float64 // that it took to the answer
	output  float64 // tokens of the answer
}

// A guess is how a target does.
type guess struct {
	known   bool    // there is a sample of an answer
	tried   bool    // there is any sample
	fixed   float64 // seconds of a call …
	each    float64 // … and of each token of its answer
	failure float64 // the chance that a call fails, 0 to 1
	// slower is how many times longer a call takes than that, 1 or more, if the target
	// is still as it was when it was heard of last: only a few calls at once find out.
	slower float64
	// again is what a failure costs: so many seconds, and such a part of the call.
	again, part float64
	crowds      bool // calls that are out make others slower
}

// An estimator is a law by which samples become sums, and sums a guess. Its funcs
// keep no state.
type estimator struct {
	// hear adds a sample that is so old to what this worker knows; all is what the
	// fleet knows.
	hear func(own *sums, all sums, s sample, ago time.Duration)
	// fade says what some time does to sums, and age does it to those of a target: what
	// is the same for all of them is found out once.
	fade func(by time.Duration) fading
	age  func(s *sums, by fading)
	// guess says what follows from what the fleet knows.
	guess func(all sums) guess
}

// A fading is by what sums are multiplied that so much time passes for.
type fading struct {
	by               time.Duration
	fast, fail, slow float64
}

// estimators is the registry, by name. It is filled while the package is
// initialised, by the files of the estimators themselves, and only read afterwards.
// An estimator that a configuration can tune is made anew for each.
var estimators = map[string]func(Choosing) estimator{}

// enlist puts an estimator into the registry, as register does with strategies.
func enlist(name string, e func(Choosing) estimator) func(Choosing) estimator {
	if _, taken := estimators[name]; taken || jobs.CheckName(name) != nil {
		panic(fmt.Sprintf("estimator %q: its name is taken already, or cannot be one", name))
	}
	estimators[name] = e
	return e
}

// Estimators lists the names of all estimators, sorted.
func Estimators() []string { return slices.Sorted(maps.Keys(estimators)) }

// statistics are what is known of one target: by this worker, and by the others of
// its fleet. Safe for concurrent use.
type statistics struct {
	mu     sync.Mutex
	law    string // the estimator whose sums they are
	own    sums
	others sums
	at     time.Time // as of which they are
}

// note takes a call that ended at a time, as far as it says something of its target:
// an answer, one that was not taken, or a failure that was not the request's own
// fault. A 429 is a matter of the pace.
func (s *statistics) note(by *choosing, ended time.Time, a *jobs.Attempt) {
	switch {
	case a.Class == jobs.OK:
		s.hear(by, ended, sample{seconds: a.Latency.Seconds(), output: float64(a.Usage.Output)})
	case a.Class.Trips() && !a.Blamed, a.Class == jobs.Invalid: // an answer that was bad is none
		s.hear(by, ended, sample{failed: true})
	}
}

// hear takes a sample of a time, which may be past.
func (s *statistics) hear(by *choosing, at time.Time, of sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(by, at, nil)
	all := s.own
	all.add(&s.others)
	by.law.hear(&s.own, all, of, max(s.at.Sub(at), 0))
}

// guess says how the target does. What fades by the same time as of another target of
// late is not found out again; last may be nil.
func (s *statistics) guess(by *choosing, at time.Time, last *fading) guess {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(by, at, last)
	if at.Before(s.at) { // the clock was set back
		s.at = at
	}
	all := s.own
	all.add(&s.others)
	return by.law.guess(all)
}

// advance brings the sums up to a time, if that is not past. What another estimator
// kept is nothing to this one. It requires mu.
func (s *statistics) advance(by *choosing, to time.Time, last *fading) {
	if s.law != by.estimator {
		s.law, s.own, s.others, s.at = by.estimator, sums{}, sums{}, to
	}
	passed := to.Sub(s.at)
	if passed <= 0 {
		return
	}
	if last == nil {
		last = &fading{}
	}
	if last.by != passed {
		*last = by.law.fade(passed)
	}
	by.law.age(&s.own, *last)
	if s.others != (sums{}) {
		by.law.age(&s.others, *last)
	}
	s.at = to
}
