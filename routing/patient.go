package routing

import (
	"fmt"
	"math"
	"slices"
	"time"

	"tidegate/jobs"
)

const (
	// patientFor is how often a target may fail one request, in order as it is, until
	// the next one is asked however dear: it may be the request.
	patientFor = 3
	// unknownCompletion is how long an answer is thought to take of which nothing is
	// known, and at most this share of the time that the request has.
	unknownCompletion = 10 * time.Second
	unknownShare      = 10
	// localWait is how long a request waits for a target that only this host cannot
	// reach: nobody else will say that it is back.
	localWait = 30 * time.Second
)

// deadline is when the request has to be answered, by this machine's clock; zero:
// there is none.
func (t *try) deadline() time.Time {
	if t.request.Deadline.IsZero() {
		return time.Time{}
	}
	return t.request.Deadline.Add(-time.Duration(t.router.ahead.Load()))
}

// wanted is the deadline, and where waiting has a price, a day from the acceptance if
// there is none.
func (t *try) wanted() time.Time {
	deadline := t.deadline()
	if deadline.IsZero() && t.whenOpen == jobs.WhenOpenPrice && !t.request.CreatedAt.IsZero() {
		return t.request.CreatedAt.Add(asIfWithin - time.Duration(t.router.ahead.Load()))
	}
	return deadline
}

// spare is how long it is to the latest start at a target that may be called,
// when those who may be called share the backlog; endless: there is no deadline.
func (t *try) spare(next *target, rate drain) time.Duration {
	wanted := t.wanted()
	if wanted.IsZero() {
		return endless
	}
	now := t.router.now()
	window := wanted.Sub(t.request.CreatedAt)
	completion := t.completion(next, window)
	spare := wanted.Sub(now) - need(completion, 0, drain{}, window)
	if waiting := t.router.backlogOf(t.request.Route); waiting.n > 0 && !waiting.last.IsZero() {
		// Whoever is last in the queue has to be answered in time, too.
		spare = min(spare, waiting.last.Sub(now)-need(completion, waiting.n, rate, window))
	}
	return spare
}

// completion is how long an answer of a target is thought to take, where the request
// has so much time.
func (t *try) completion(target *target, window time.Duration) time.Duration {
	_, output := t.expected()
	if g := target.statistics.guess(t.router.choosing.Load(), t.router.now(), nil); g.known {
		return inSeconds(g.completion(g.fixed+g.each*output, load{}))
	}
	return min(unknownCompletion, max(0, window/unknownShare))
}

// rate is how fast the first n targets, as they are ranked, work off a backlog
// together: those of them that fit the request and may be called.
func (t *try) rate(n int) (sum drain) {
	for _, target := range t.ranked[:n] {
		if ready, _ := target.circuit.readiness(); ready == Flowing && t.unfit(target) == "" {
			sum.add(t.router.drains(target, t.tokens(target)))
		}
	}
	return sum
}

// waits says what becomes of a request that may be sent to next, if it waits for one
// of those that the walk has passed over instead, which costs less; nil: it does
// not.
func (t *try) waits(next *target) *jobs.Outcome {
	if !t.whenOpen.Waits() {
		return nil
	}
	preferred := t.preferred(next)
	if len(preferred) == 0 {
		return nil
	}
	now, rate := t.router.now(), t.rate(t.next)
	spare := t.spare(next, rate)
	if ready, _ := next.circuit.readiness(); ready == Shut {
		return nil // the gate is where it waits
	}
	var best *jobs.Wait
	var until time.Time
	for _, target := range preferred {
		o, is := t.outlook(target, next, spare)
		if !is {
			continue
		}
		worth, waits := t.patient(&o)
		if waits {
			w := &jobs.Wait{Since: now, Target: target.Name, Next: next.Name, ExtraCost: max(0, o.extra), Worth: worth}
			if best == nil || w.ExtraCost > best.ExtraCost {
				best, until = w, now.Add(min(t.lasts(&o, target), t.uncounted(rate)))
				if last := t.atMost(&o); last != endless {
					w.Until = now.Add(last)
				}
			}
			continue
		}
		t.unwaited(target, &o, worth, next)
	}
	if best == nil {
		return nil
	}
	best.Reason = t.words(best)
	t.trace = append(t.trace, jobs.Step{Wait: best})
	return &jobs.Outcome{Verdict: jobs.Blocked, Err: t.last, Until: until, Reason: best.Reason, Trace: t.trace}
}

// preferred lists the targets that the request's goal prefers to next, but that may
// not be called, or have just failed it. How a target does that is down is no part
// of that: it is what the wait is for.
func (t *try) preferred(next *target) []*target {
	preferred := t.passed
	if t.choice == nil || !slices.Contains(t.route.chain, next) { // a stronger model is asked before the rest of the chain
		return preferred
	}
	for _, target := range t.choice.well(t) {
		if target == next {
			break
		}
		if ready, _ := target.circuit.readiness(); ready == Shut && !slices.Contains(preferred, target) && t.unfit(target) == "" {
			preferred = append(preferred[:len(preferred):len(preferred)], target)
		}
	}
	return preferred
}

// well is how the chain would be ranked if those that are shut were not.
func (c *choice) well(t *try) []*target {
	shut := false
	order, candidates := make([]int, len(c.order)), slices.Clone(c.candidates)
	for i := range candidates {
		order[i] = i
		if is := &candidates[i]; is.Shut {
			shut = true
			is.Shut, is.Wait, is.Success, is.Latency = false, 0, 1, t.whenWell(t.byName(is.Target.Name), is.Latency)
		}
	}
	if !shut {
		return nil
	}
	c.strategy(order, make([]jobs.Score, len(order)), candidates)
	ranked := make([]*target, len(order))
	for i, index := range order {
		ranked[i] = t.byName(candidates[index].Target.Name)
	}
	return ranked
}

// whenWell is how long an answer of a target takes that does not fail; otherwise where
// nothing is known.
func (t *try) whenWell(target *target, otherwise time.Duration) time.Duration {
	g := target.statistics.guess(t.router.choosing.Load(), t.router.now(), nil)
	if !g.known {
		return otherwise
	}
	_, output := t.expected()
	return inSeconds(g.fixed + g.each*output)
}

// byName finds a target of the chain.
func (t *try) byName(name string) *target {
	return t.ranked[slices.IndexFunc(t.ranked, func(is *target) bool { return is.Name == name })]
}

// outlook is what there is to know of a wait for a target, beside the next one;
// false: there is nothing to wait for.
func (t *try) outlook(target, next *target, spare time.Duration) (outlook, bool) {
	o := outlook{spare: spare, value: t.request.MaxCost}
	if target.Price.Known() && next.Price.Known() {
		use := t.usage(next) // at both: what was learned of one alone would make that one cheaper
		cost := next.Price.Cost(use)
		o.extra = cost - target.Price.Cost(use)
		if o.value == 0 {
			o.value = valueOf * min(cost, math.MaxInt64/valueOf)
		}
		if o.extra <= 0 {
			return o, false
		}
	} else if t.whenOpen == jobs.WhenOpenPrice {
		return o, false // nobody can say what is saved
	}
	if ready, _ := target.circuit.readiness(); ready == Shut {
		o.outage = target.circuit.outage()
		return o, o.outage.known < jobs.LongestCooldown // else a person shut it, and no time will open it
	}
	failed := t.failedAt(target)
	if failed == 0 || failed >= patientFor {
		return o, false
	}
	o.outage = outage{known: againMin << failed, ends: true}
	return o, true
}

// patient tells whether the request waits, and what not to wait is worth.
func (t *try) patient(o *outlook) (worth jobs.MicroUSD, waits bool) {
	if worth, waits = o.waits(); t.whenOpen == jobs.WhenOpenWait {
		waits = o.spare > 0 && o.outage.known < o.spare
	}
	return worth, waits
}

// lasts is when to look again, if nobody says before that the target is back: at the
// end of what the provider said, or when the next one is to be asked.
func (t *try) lasts(o *outlook, target *target) time.Duration {
	most := t.atMost(o)
	switch {
	case o.outage.ends:
		most = min(most, max(o.outage.known, againSoon))
	case target.circuit.Snapshot().Local:
		most = min(most, localWait)
	}
	return min(most, longestWaitForPrice)
}

// uncounted is when to look again because the request came after the backlog was counted
// last, and may be one of so many that the next target must begin much sooner to answer
// them all in time. Endless: it is counted, or that makes no difference.
func (t *try) uncounted(rate drain) time.Duration {
	if t.request.Deadline.IsZero() || math.IsInf(rate.takes, 1) {
		return endless
	}
	waiting := t.router.backlogOf(t.request.Route)
	if waiting.at.IsZero() || waiting.counts(t.request.CreatedAt.Add(-time.Duration(t.router.ahead.Load()))) {
		return endless
	}
	return countedSoon
}

// atMost is how long it waits however long the outage lasts; endless: there is no
// deadline.
func (t *try) atMost(o *outlook) time.Duration {
	if t.whenOpen == jobs.WhenOpenPrice {
		return o.lasts()
	}
	return o.spare
}

// longestWaitForPrice bounds a wait of which nobody says that it is over.
const longestWaitForPrice = 24 * time.Hour

// failedAt counts how often a target failed the request.
func (t *try) failedAt(target *target) int {
	n := 0
	for _, trace := range []jobs.Trace{t.history, t.trace} {
		for _, step := range trace {
			if a := step.Attempt; a != nil && a.Target == target.Name && a.Class.Trips() {
				n++
			}
		}
	}
	return n
}

// words says why a request waits, as a person reads it.
func (t *try) words(w *jobs.Wait) string {
	said := fmt.Sprintf("waits for %s: %s", w.Target, dearer(w.Next, "would cost", w.ExtraCost))
	if t.whenOpen != jobs.WhenOpenWait {
		said += fmt.Sprintf(", and not to wait is worth %s", w.Worth)
	}
	if w.Until.IsZero() {
		return said + ", and there is no deadline"
	}
	return said + ", until " + w.Until.UTC().Format("2006-01-02 15:04:05Z") + " at the latest"
}

// dearer says what the next target costs more: zero where one of both has no price.
func dearer(next, costs string, extra jobs.MicroUSD) string {
	if extra == 0 {
		return "nobody knows what " + next + " " + costs + " more"
	}
	return fmt.Sprintf("%s %s %s more", next, costs, extra)
}

// unwaited says at the skip of a target that was not waited for why it was not.
func (t *try) unwaited(target *target, o *outlook, worth jobs.MicroUSD, next *target) {
	why := "; not waited for: " + dearer(next.Name, "costs", o.extra) + fmt.Sprintf(", and not to wait is worth %s", worth)
	if worth == mostWorth {
		why = "; not waited for: it would not be back in time for the deadline, " + dearer(next.Name, "costs", o.extra)
	}
	for i := len(t.trace) - 1; i >= 0; i-- {
		if skip := t.trace[i].Skip; skip != nil && skip.Target == target.Name {
			if skip.Worth == 0 && skip.ExtraCost == 0 { // the first that it was compared with is the cheapest
				skip.Reason += why
			}
			skip.ExtraCost, skip.Worth = o.extra, worth
			return
		}
	}
	t.trace = append(t.trace, jobs.Step{Skip: &jobs.Skip{
		At: t.router.now(), Target: target.Name, Reason: "it has just failed" + why, ExtraCost: o.extra, Worth: worth,
	}})
}

// hurry is how long a request whose target is called as fast as it may be has until it
// goes on to another one: when its deadline comes near, or those behind it would miss
// theirs if only this target, and those that are preferred to it, went on. Endless: it
// never does, as things stand.
func (t *try) hurry() time.Duration {
	if t.request.Deadline.IsZero() {
		return endless
	}
	for _, other := range t.ranked[t.next:] {
		if ready, _ := other.circuit.readiness(); ready != Shut && t.unfit(other) == "" {
			return t.spare(other, t.rate(t.next))
		}
	}
	return endless
}

// earliest is the first of two waits for a turn.
func (w *turn) earliest(target *target, no wait) {
	if w.target == nil || !no.until.IsZero() && (w.no.until.IsZero() || no.until.Before(w.no.until)) {
		w.target, w.no = target, no
	}
}

// A turn is one that a request waits for, at a target that is in order.
type turn struct {
	target *target
	no     wait
}
