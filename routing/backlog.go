package routing

import (
	"cmp"
	"math"
	"sync"
	"time"

	"tidegate/jobs"
)

// A backlog is what waits on a route, in the whole fleet.
type backlog struct {
	n    int
	last time.Time // the deadline of who came last, by this machine's clock; zero: it has none, or is not known
	at   time.Time // when it was counted, by this machine's clock; zero: nobody counts it
}

const (
	// countedSoon is by when who has just come is counted.
	countedSoon = 15 * time.Second
	// acceptedFor is how long it takes at most to accept many together: they are counted
	// when all of them are there, and came when the first of them was.
	acceptedFor = time.Minute
)

// counts tells whether a request that came then is thought to be among those that were
// counted.
func (b *backlog) counts(came time.Time) bool {
	return b.at.After(came) && (b.n > 0 || b.at.After(came.Add(acceptedFor)))
}

// backlogs are those of all routes. Safe for concurrent use.
type backlogs struct {
	mu sync.Mutex
	of map[string]backlog
}

// Backlog tells the router how many requests wait on a route, and the deadline of
// the last of them, by this machine's clock (zero: it has none, or is not known): a
// request goes to a dearer target in time for those behind it, too.
func (r *Router) Backlog(route string, waiting int, last time.Time) {
	r.backlogs.mu.Lock()
	defer r.backlogs.mu.Unlock()
	if r.backlogs.of == nil {
		r.backlogs.of = map[string]backlog{}
	}
	r.backlogs.of[route] = backlog{waiting, last, r.now()}
}

func (r *Router) backlogOf(route string) backlog {
	r.backlogs.mu.Lock()
	defer r.backlogs.mu.Unlock()
	return r.backlogs.of[route]
}

// startsUsage is what a request is taken to use where none is at hand.
var startsUsage = jobs.Usage{Input: 1000, Output: expectedOutput}

// Starts says which of the requests that wait on a route, so many of them, may start
// now: all, or only those whose deadline is nearer than lead (zero: none). It asks
// what the route's own goal prefers; a request with a goal of its own is looked at
// again when it has started. Under `when_open: price` a request without a deadline
// counts as one with a day from its acceptance.
func (r *Router) Starts(route string, waiting int) (all bool, lead time.Duration) {
	known := r.plan.Load().routes[route]
	if known == nil || len(known.chain) == 0 {
		return true, 0 // Route refuses them
	}
	if n, _ := known.admits(); n == 0 {
		return false, 0
	} else if !known.WhenOpen.Waits() {
		return true, 0
	}
	ranked := r.ranked(known)
	next, rate := -1, drain{}
	for i, target := range ranked {
		if ready, _ := target.circuit.readiness(); ready == Flowing { // one that is probed takes a single call
			if rate.add(r.drains(target, startsUsage.Input+startsUsage.Output)); next < 0 {
				next = i
			}
		}
	}
	if next <= 0 {
		return true, 0
	}
	base := need(unknownCompletion, waiting, rate, asIfWithin)
	for _, preferred := range ranked[:next] {
		lead := base
		if known.WhenOpen == jobs.WhenOpenPrice {
			lead += preferred.impatient(ranked[next], asIfWithin)
		}
		if cost := preferred.extra(ranked[next]); cost > 0 {
			return false, lead
		}
	}
	return true, 0
}

// extra is what a usual request costs more at another target; where nobody knows,
// the least that is more.
func (t *target) extra(other *target) jobs.MicroUSD {
	if !t.Price.Known() || !other.Price.Known() {
		return 1
	}
	return other.Price.Cost(startsUsage) - t.Price.Cost(startsUsage)
}

// impatient is how long before the latest start a usual request does not wait any
// longer for a target.
func (t *target) impatient(next *target, most time.Duration) time.Duration {
	o := outlook{extra: t.extra(next), value: valueOf * next.Price.Cost(startsUsage), outage: t.circuit.outage()}
	low, high := time.Duration(0), most // it does not wait at low, and does at high
	for high-low > time.Second {
		if o.spare = low + (high-low)/2; o.patient() {
			high = o.spare
		} else {
			low = o.spare
		}
	}
	return low
}

func (o *outlook) patient() bool { _, waits := o.waits(); return waits }

// ranked is the chain of a route as its own goal prefers it, for a usual request,
// whatever may be called.
func (r *Router) ranked(known *route) []*target {
	try := newTry(r, known.chain, &jobs.Request{Route: known.Name, Endpoint: known.usual()}, nil)
	try.route = known
	goal, choosing := cmp.Or(known.Goal, Ordered), r.choosing.Load()
	if strategy := choosing.strategies[goal]; strategy != nil && goal != Ordered {
		try.choose(goal, strategy, choosing)
		if well := try.choice.well(try); well != nil {
			return well
		}
	}
	return try.ranked
}

// usual is what most requests of a route are taken to ask for: what its first target
// serves.
func (r *route) usual() jobs.Endpoint {
	for _, target := range r.chain {
		if list := target.Endpoints.List(); len(list) > 0 {
			return list[0]
		}
	}
	return jobs.EndpointChat
}

// drains is how fast a target is thought to work off a backlog of calls of so many tokens.
func (r *Router) drains(target *target, tokens int) drain {
	takes := target.pace.capacity(tokens)
	d := drain{takes: takes, answers: takes}
	if g := target.statistics.guess(r.choosing.Load(), r.now(), nil); g.tried && !math.IsInf(takes, 1) {
		d.answers *= 1 - g.failure
	}
	return d
}

// A drain is how fast targets work off a backlog, in calls a second of the fleet.
type drain struct {
	takes   float64 // that they let through; +Inf: no bound is known
	answers float64 // of these, that are answered as things stand
}

// troubled is for how long a target is thought to go on to fail as it does. A trouble that
// opens no circuit passes, too: held against all of a day's backlog it would have those
// in front pay for the dear target from the first hour on.
const troubled = time.Hour

// longestDrain bounds what a backlog needs at a rate that is next to nothing.
const longestDrain = 365 * 24 * time.Hour

func (d *drain) add(more drain) {
	d.takes += more.takes
	d.answers += more.answers
}

// lasts is how long a backlog of n needs; zero: no bound is known.
func (d drain) lasts(n int) time.Duration {
	if n <= 0 || d.takes <= 0 || math.IsInf(d.takes, 1) {
		return 0
	}
	seconds := troubled.Seconds() + (float64(n)-d.answers*troubled.Seconds())/d.takes
	if float64(n) <= d.answers*troubled.Seconds() {
		seconds = float64(n) / d.answers
	}
	return time.Duration(min(seconds, longestDrain.Seconds()) * float64(time.Second))
}

// capacity is how many calls a second a target is thought to take from the whole
// fleet, each of so many tokens (zero: nobody counts them); +Inf: no bound is known.
func (p *pace) capacity(tokens int) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	rate := p.law.limit
	switch {
	case p.law.ceiling > 0:
		rate = min(rate, p.law.ceiling)
	case !p.law.limited() && p.law.known() > 0:
		rate = p.law.known()
	}
	if tokens > 0 {
		rate = min(rate, p.tokens.rate/float64(tokens))
	}
	if math.IsInf(rate, 1) {
		return rate
	}
	return rate / p.share.get()
}
