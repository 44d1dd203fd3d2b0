package replay

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

const (
	farWarns, farRefuses      = 0.10, 0.30 // share of the draws that are far away
	peakWarns                 = 1.5        // times the peak of the log
	selfLatency, selfFailures = 1.05, 1.5
	selfCost                  = 1.10
	fewRequests               = 100
	missingRefuses            = 0.001 // share of the calls
	movedUnexplored           = 0.05  // share of the calls that may move by a log in which nothing was explored
	movedToOne                = 0.10  // share of the calls that may move to one target that was hardly ever explored …
	exploredLeast             = 1.0   // … an hour
	chanceOfFailures          = 2.0   // deviations
)

// report says what came of it.
func (w *world) report(p *plan, all []Policy, g gathered, o Options) *Report {
	l := w.log
	span := max(l.End().Sub(l.Start()), time.Second)
	logged := w.logged(p)
	r := &Report{
		Requests: l.Requests(), Attempts: l.Attempts(), From: l.Start(), To: l.End(), Seed: o.Seed, Sampled: p.sampled,
		Logged: logged.read(nil, span), Shares: map[string]float64{}, Warnings: l.Warnings(),
	}
	delete(r.Logged, Tripped) // a log of calls does not tell
	if l.Attempts() == 0 {
		clear(r.Logged) // nor one without any what became of its requests
	}
	if r.Logged[Cost] == 0 {
		delete(r.Logged, Cost) // nobody wrote it down
	}
	r.Shape = w.shape(logged)
	for t, share := range sharesOf(logged.calls) {
		r.Shares[l.targets[t]] = share
	}
	for i := range o.Outages {
		r.Outages = append(r.Outages, o.Outages[i].String())
	}
	explored := l.explored()
	for _, n := range explored {
		r.Explored += n / float64(max(1, l.Attempts()))
	}
	if g.self != nil && l.Attempts() > 0 {
		r.Self = selfReplay(all[0].Name, logged, g.self, span)
	}
	for i := range o.Limits {
		r.Limits = append(r.Limits, o.Limits[i].String())
	}
	for i := range all {
		result := w.result(r, &all[i], g.bySide[i], g.beside[i], explored, span)
		if o.Against != nil && i > 0 {
			result.Change = w.changes(&g, i, r.Self, span)
		}
		r.Results = append(r.Results, result)
	}
	return r
}

func selfReplay(name string, logged, self *tally, span time.Duration) *SelfReplay {
	was, is := logged.read(nil, span), self.read(nil, span)
	s := &SelfReplay{Policy: name, Latency: ratio(is[Mean], was[Mean]), Failures: ratio(is[Failure], was[Failure]), Cost: ratio(is[Cost], was[Cost])}
	if was[Cost] == 0 {
		s.Cost = 0
	}
	n := 0.0
	for i := range self.blocks {
		n += self.blocks[i].requests
	}
	if a, b := is[Failure]*n, was[Failure]*n; math.Abs(a-b) <= chanceOfFailures*math.Sqrt(a+b) { // so few say nothing of a ratio
		s.Failures = 1
	}
	return s
}

// ratio is a part of b; of nothing, nothing is all.
func ratio(a, b float64) float64 {
	switch {
	case a == b:
		return 1
	case b == 0:
		return 1e3
	}
	return min(max(a/b, 1e-3), 1e3)
}

// explored counts the calls of each target that were made to learn of it, or by little
// chance.
func (l *Log) explored() []float64 {
	n := make([]float64, len(l.targets))
	for i, t := range l.attempts.target {
		if p := l.attempts.propensity[i]; l.attempts.flags[i]&flagExplored != 0 || p > 0 && p < mostPropensity/2 {
			n[t]++
		}
	}
	return n
}

// result says what is to be said of one policy, and how far it can be relied upon.
func (w *world) result(r *Report, policy *Policy, sides []*tally, beside *tally, explored []float64, span time.Duration) Result {
	targets := policy.targets()
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = t.Name
	}
	at := sides[0]
	made := Result{
		Policy: policy.Name, Metrics: ranges(sides, beside, r.Self, span, w.seed), Shares: shareRanges(names, sides, beside), Tripped: map[string]float64{},
	}
	for i, n := range at.tripped {
		if n > 0 {
			made.Tripped[names[i]] = n
		}
	}
	made.Shape = w.shape(at)
	made.Openings = w.openings(at, names)
	made.Drains = drainRanges(sides)
	made.Coverage = w.coverage(r, names, at)
	var no, but []string
	no, but = made.Coverage.says(no, but)
	if n := w.log.Requests(); n < fewRequests {
		but = append(but, fmt.Sprintf("the log has %d requests: so few say little", n))
	}
	if w.log.Attempts() == 0 {
		no = append(no, "the log has no call, and tells nothing of how targets do")
	} else {
		no, but = r.Self.says(no, but)
		no, but = w.unexplored(r, &made, explored, span, no, but)
	}
	made.Reasons = append(no, but...)
	switch {
	case len(no) > 0:
		made.Confidence = NoVerdict
	case len(but) > 0:
		made.Confidence = Doubtful
	default:
		made.Confidence = Confident
	}
	return made
}

func (w *world) coverage(r *Report, names []string, t *tally) Coverage {
	c := Coverage{Far: t.far / max(t.draws, 1e-9), Missing: map[string]float64{}, Peaks: map[string]float64{}}
	known := map[string]float64{}
	for i, share := range sharesOf(t.calls) {
		known[names[i]] = share
		if n := t.missing[i]; n > 0 {
			c.Missing[names[i]] = n / max(t.draws, 1e-9)
		}
		if number := w.log.number(names[i]); number >= 0 {
			if peak := w.pools[number].peak; t.peaks[i] > peakWarns*peak {
				c.Peaks[names[i]] = t.peaks[i] / peak
			}
		}
		c.Moved += math.Abs(share-r.Shares[names[i]]) / 2
	}
	for _, name := range sorted(r.Shares) { // in an order: sums of numbers depend on it
		if _, is := known[name]; !is {
			c.Moved += r.Shares[name] / 2
		}
	}
	return c
}

// says lists why there is no verdict, and what else makes one doubtful.
func (c *Coverage) says(no, but []string) ([]string, []string) {
	for _, name := range sorted(c.Missing) {
		if c.Missing[name] > missingRefuses {
			no = append(no, fmt.Sprintf("%.1f%% of the calls go to %s, which the log has no call of: explore it first", 100*c.Missing[name], name))
		}
	}
	switch far := fmt.Sprintf("%.0f%% of the calls were drawn from records that are more than %.0f minutes away", 100*c.Far, farAway.Minutes()); {
	case c.Far > farRefuses:
		no = append(no, far+": the log has too few calls of the targets that the policy prefers")
	case c.Far > farWarns:
		but = append(but, far)
	}
	for _, name := range sorted(c.Peaks) {
		but = append(but, fmt.Sprintf("%s would have %.1f times the calls of its busiest minute in the log: nobody knows how it does then", name, c.Peaks[name]))
	}
	return no, but
}

func (s *SelfReplay) says(no, but []string) ([]string, []string) {
	if s == nil {
		return no, append(but, "the policy that made the log is not known, so that nobody can say how far a replay is off: name its configuration")
	}
	if s.Cost == 0 {
		but = append(but, "the log has no costs, so that nobody can say how far those of a replay are off")
	}
	if s.Latency > selfLatency || s.Latency < 1/selfLatency {
		no = append(no, fmt.Sprintf("%s, replayed against its own log, takes %.3f times as long as it did: by more than 5%%", s.Policy, s.Latency))
	}
	if s.Failures > selfFailures || s.Failures < 1/selfFailures {
		no = append(no, fmt.Sprintf("%s, replayed against its own log, fails %.2f times as often as it did: by more than half", s.Policy, s.Failures))
	}
	if s.Cost > selfCost || s.Cost > 0 && s.Cost < 1/selfCost {
		no = append(no, fmt.Sprintf("%s, replayed against its own log, costs %.3f times as much as it did: by more than 10%%", s.Policy, s.Cost))
	}
	return no, but
}

// unexplored looks whether the log can tell of what the policy would do otherwise.
func (w *world) unexplored(r *Report, made *Result, explored []float64, span time.Duration, no, but []string) ([]string, []string) {
	if r.Explored == 0 {
		said := "no call of the log was made to learn of a target (its propensities are all 1), so that targets are known only from when they were preferred: set estimator.explore"
		if made.Coverage.Moved > movedUnexplored {
			return append(no, fmt.Sprintf("%s; %.0f%% of the calls would go elsewhere", said, 100*made.Coverage.Moved)), but
		}
		return no, append(but, said)
	}
	for _, name := range sorted(made.Shares) {
		number := w.log.number(name)
		if number < 0 || made.Shares[name].At-r.Shares[name] <= movedToOne {
			continue
		}
		if hourly := explored[number] / max(span.Hours(), 1); hourly < exploredLeast {
			but = append(but, fmt.Sprintf("%.0f%% of the calls go to %s, which had %.0f%% of them, and was explored %.1f times an hour only", 100*made.Shares[name].At, name, 100*r.Shares[name], hourly))
		}
	}
	return no, but
}

func sorted[V any](of map[string]V) []string {
	names := make([]string, 0, len(of))
	for name := range of {
		names = append(names, name)
	}
	slices.SortFunc(names, strings.Compare)
	return names
}
