package worker

import (
	"maps"
	"sync"
	"time"

	"tidegate/jobs"
)

const (
	// shortRest is how long a request waits whose money others have reserved who are
	// being called.
	shortRest = time.Second
	// parkLonger is how much longer a job is parked than until the next day: the
	// supervisor gives it back to its old place then, and River, which would put it
	// behind all others, is the net below.
	parkLonger = 10 * time.Minute
	// amplePart is the part of what is left of a budget that a call may cost at most for
	// its prompt not to be counted: the calls of a whole fleet that reserve too much do
	// not come near its limit then.
	amplePart = 1000
	// parkForGood is how long a job is parked that no day helps.
	parkForGood = 365 * 24 * time.Hour
)

// budgets is what this worker knows of who may spend. What may be spent, and what
// is left, the database alone knows. Safe for concurrent use.
type budgets struct {
	mu    sync.RWMutex
	known map[jobs.BudgetKey]*jobs.Budget // those with limits; a budget is not changed
	young map[jobs.BudgetKey]time.Time    // those that were met before the fleet spoke of them: until when they are remembered without it
}

// youngFor is by when the fleet has surely spoken of a budget.
const youngFor = 10 * time.Second

// Look takes in what the fleet says.
func (b *budgets) Look(fleet *jobs.Fleet, now time.Time) {
	known := make(map[jobs.BudgetKey]*jobs.Budget, len(fleet.Budgets))
	for i := range fleet.Budgets {
		if one := fleet.Budgets[i]; !one.None() {
			known[one.BudgetKey] = &one
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, until := range b.young {
		if _, told := known[key]; told || now.After(until) {
			delete(b.young, key)
		} else if one := b.known[key]; one != nil { // what the fleet said was read before
			known[key] = one
		}
	}
	b.known = known
}

// Meet takes in a budget that came with a request, if the fleet has not yet spoken of
// it.
func (b *budgets) Meet(budget *jobs.Budget, now time.Time) {
	if budget == nil || budget.None() {
		return
	}
	b.mu.RLock()
	_, told := b.known[budget.BudgetKey]
	b.mu.RUnlock()
	if told {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known[budget.BudgetKey] != nil {
		return
	}
	known := maps.Clone(b.known)
	if known == nil {
		known = map[jobs.BudgetKey]*jobs.Budget{}
	}
	known[budget.BudgetKey] = budget
	if b.young == nil {
		b.young = map[jobs.BudgetKey]time.Time{}
	}
	b.known, b.young[budget.BudgetKey] = known, now.Add(youngFor)
}

// Note takes in that a budget is spent, before the fleet says so.
func (b *budgets) Note(budget jobs.Budget) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := maps.Clone(b.known)
	known[budget.BudgetKey] = &budget
	b.known = known
}

// keys name the budgets that a request may be under.
func keys(r *jobs.Request) [3]jobs.BudgetKey {
	return [3]jobs.BudgetKey{{Scope: jobs.BudgetTenant, Name: r.Tenant}, {Scope: jobs.BudgetRoute, Name: r.Route}, {Scope: jobs.BudgetBatch, Name: r.BatchID}}
}

// Of are the budgets that a request is under, and whether there is any.
func (b *budgets) Of(r *jobs.Request) (ids jobs.BudgetIDs, any bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if len(b.known) == 0 {
		return ids, false
	}
	for i, key := range keys(r) {
		if one := b.known[key]; one != nil {
			ids[i], any = one.ID, true
		}
	}
	return ids, any
}

// Least is the least of the limits of the budgets that a request is under; zero:
// there is none.
func (b *budgets) Least(r *jobs.Request) (least jobs.MicroUSD) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if len(b.known) == 0 {
		return 0
	}
	for _, key := range keys(r) {
		one := b.known[key]
		if one == nil {
			continue
		}
		for _, limit := range []jobs.MicroUSD{one.PerDay, one.Total} {
			if limit > 0 && (least == 0 || limit < least) {
				least = limit
			}
		}
	}
	return least
}

// Ample tells whether all budgets of a request have so much left that nothing hangs on
// what one call costs.
func (b *budgets) Ample(r *jobs.Request, cost jobs.MicroUSD) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, key := range keys(r) {
		one := b.known[key]
		if one == nil {
			continue
		}
		today, all := (one.PerDay-one.SpentToday)/amplePart, (one.Total-one.Spent)/amplePart
		if one.PerDay > 0 && cost > today || one.Total > 0 && cost > all {
			return false
		}
	}
	return true
}

// Holds tells whether the budget of a route is spent: its requests wait here, as
// they do while its gate holds, and its queue is paused.
func (b *budgets) Holds(route string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	one := b.known[jobs.BudgetKey{Scope: jobs.BudgetRoute, Name: route}]
	return one != nil && one.Out()
}

// Spent is a budget that a request is under and that is spent, so that it waits
// elsewhere: its tenant's or its batch's, and its route's, too, if it is alone, since
// others of other routes come behind it. Nil: there is none.
func (b *budgets) Spent(r *jobs.Request, alone bool) *jobs.Budget {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, key := range keys(r) {
		if one := b.known[key]; one != nil && one.Out() && (alone || key.Scope != jobs.BudgetRoute) {
			return one
		}
	}
	return nil
}

// A shortage is why a call did not begin.
type shortage struct{ *jobs.Shortage }

func (s shortage) Error() string { return s.Reason }

// price says what a call that is about to begin may cost, and of whose money. Where
// there is plenty, the prompt is not counted for it: that takes longer than all else
// that is done for the call.
func (c *completion) price(r *run, call *jobs.Begun) error {
	ids, under := c.budgets.Of(&r.request)
	if !under {
		return nil
	}
	r.request.Budgeted = true
	cost, rough, known := c.estimate(r, call)
	if !known { // it came under a budget just now: the router chooses again
		return shortage{&jobs.Shortage{Kind: jobs.ShortNow, Reason: call.Target + " has no price, and the request is under a budget"}}
	}
	routed := r.request.CallLimit
	if r.request.CallLimit = c.budgets.Least(&r.request); cost > r.request.CallLimit && routed != r.request.CallLimit {
		return shortage{&jobs.Shortage{Kind: jobs.ShortNow, Reason: "a budget changed just now, and others of the chain may be cheaper than " + call.Target}}
	}
	call.Budgets, call.Cost, call.Rough = ids, cost, rough
	return nil
}

// estimate is what a call may cost, and whether it is a rough one.
func (c *completion) estimate(r *run, call *jobs.Begun) (cost jobs.MicroUSD, rough, known bool) {
	if call.Estimate == nil {
		return 0, false, false
	}
	if call.Rough { // and there was not enough money for it
		cost, known = call.Estimate(true)
		return cost, false, known
	}
	cost, known = call.Estimate(false)
	if !known || c.budgets.Ample(&r.request, cost) {
		return cost, known, known
	}
	cost, known = call.Estimate(true)
	return cost, false, known
}

// unaffordable is what becomes of a request that found no money: nil, and it waits
// here and asks again.
func (c *completion) unaffordable(r *run, no shortage) error {
	if no.Kind == jobs.ShortAll {
		c.budgets.Note(no.Budget)
	}
	r.waitsFor(jobs.WaitedForBudget)
	switch {
	case no.Kind == jobs.ShortNow:
		r.rest, r.short = c.now().Add(shortRest), no.Reason
		return nil
	case no.Kind == jobs.ShortAll && no.Budget.Scope == jobs.BudgetRoute && !r.alone:
		return nil // the room holds for all of them
	default:
		return parkedFor(&no.Budget, no.Reason, no.Until)
	}
}

// lacks is the reason why a request that is in hand waits for money; empty: it does not.
func (c *completion) lacks(r *run) string {
	if budget := c.budgets.Spent(&r.request, true); budget != nil {
		return budget.Reason()
	}
	return r.short
}

// parkedFor parks a request until its budget is raised, and at most until then.
func parkedFor(budget *jobs.Budget, reason string, until time.Duration) *parked {
	p := &parked{wait: parkForGood, budget: jobs.BudgetWait{Budget: budget.String(), Why: reason}, reason: reason}
	if until > 0 {
		p.wait = until + parkLonger
	}
	return p
}

// spent parks a request whose budget is known to be spent, before it waits for
// anything; nil: there is none.
func (c *completion) spent(r *jobs.Request, alone bool) *parked {
	budget := c.budgets.Spent(r, alone)
	if budget == nil {
		return nil
	}
	until := budget.DayLeft
	if budget.OutOfTotal {
		until = 0
	}
	return parkedFor(budget, budget.Reason(), until)
}
