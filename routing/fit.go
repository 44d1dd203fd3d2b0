package routing

import (
	"fmt"
	"slices"
	"strings"

	"tidegate/jobs"
)

// A fit is what is known of where a request may be sent at all, however long it
// waits.
type fit struct {
	refusedBy []string      // targets that its prompt did not fit
	window    int           // the largest of their context windows, in tokens; zero: none is known
	filtered  []string      // policies by which its content was refused
	why       *jobs.Error   // what the last of these said; nil: there is none
	dear      bool          // a target was passed over for max_cost
	least     jobs.MicroUSD // that an answer of one of these would cost in all; zero: nobody knows
	unpriced  string        // a target that was passed over, since the request is under a budget and it has no price; empty: none was
	cramped   *target       // the one with the largest window of those passed over by an estimate; nil: none was
	mute      []muteness    // targets whose dialect cannot say what is asked, or whose model cannot do it
}

// A muteness is why a target's dialect cannot say what a request asks for.
type muteness struct{ target, why string }

// newFit remembers what earlier tries have met. What a target said before it was
// configured to be another one says nothing of it.
func newFit(chain []*target, history jobs.Trace) fit {
	var f fit
	f.remember(chain, history)
	return f
}

// remember notes what earlier tries have met at some targets.
func (f *fit) remember(targets []*target, history jobs.Trace) {
	for _, step := range history {
		a := step.Attempt
		if a == nil {
			continue
		}
		err := &jobs.Error{Class: a.Class, Status: a.Status, Code: a.Code, Message: a.Message}
		for _, target := range targets {
			if target.Name == a.Target && !a.At.Before(target.since) {
				f.met(target, err)
			}
		}
	}
}

// met notes what a refusal says of where else the request may be sent.
func (f *fit) met(target *target, err *jobs.Error) {
	switch {
	case err.Class.Next() == jobs.LargerWindow:
		f.tooLong(target, err)
	case err.Class.Next() == jobs.OtherPolicy:
		f.filtered = append(f.filtered, target.ContentPolicy())
		f.why = err
	case err.Class == jobs.BadRequest: // and yet it goes on: its model is not made for it
		f.mute = append(f.mute, muteness{target.Name, strings.TrimSpace("cannot do what is asked: " + jobs.CleanCode(err.Code))})
		f.why = err
	}
}

// tooLong notes that the prompt does not fit a target's context window. Only
// larger windows are asked after that, and those that nobody knows.
func (f *fit) tooLong(target *target, err *jobs.Error) {
	f.refusedBy = append(f.refusedBy, target.Name)
	f.window = max(f.window, target.ContextTokens)
	f.why = err
}

// unfit says why a request is not sent to a target, however long it waits; empty: it
// may be.
func (t *try) unfit(target *target) string {
	if why := t.unable(target); why != "" {
		return why
	}
	return t.askedEnough(target)
}

// unable is unfit, but for what the target has answered before.
func (t *try) unable(target *target) string {
	if why := t.barred(target); why != "" {
		return why
	}
	return t.crampedAt(target)
}

// barred is unfit, but for what is estimated of the context window.
func (t *try) barred(target *target) string {
	if why := t.absent(target); why != "" {
		return why
	}
	if slices.Contains(t.fit.refusedBy, target.Name) {
		return "the prompt did not fit here before"
	}
	if target.ContextTokens > 0 && target.ContextTokens <= t.fit.window {
		return fmt.Sprintf("the prompt did not fit %d tokens, and here is room for %d", t.fit.window, target.ContextTokens)
	}
	if policy := target.ContentPolicy(); slices.Contains(t.fit.filtered, policy) {
		return fmt.Sprintf("the content policy of %s refused it before", policy)
	}
	if why := t.mute(target); why != "" {
		return why
	}
	if t.request.Budgeted && !target.Price.Known() {
		t.fit.unpriced = target.Name
		return "has no price, and the request is under a budget"
	}
	if why := t.overBudget(target); why != "" {
		return why
	}
	return t.dear(target)
}

// overBudget says why a target is passed over that could never be called: one call
// costs more than a whole budget of the request. It waits for others then that it may
// call. Where there are none it is for whoever keeps the budget to say so.
func (t *try) overBudget(target *target) string {
	limit := t.request.CallLimit
	if limit == 0 || !t.beyond(target, limit) {
		return ""
	}
	for _, other := range t.ranked {
		if other != target && !t.beyond(other, limit) && t.unable(other) == "" {
			cost, _ := t.estimate(target)
			return fmt.Sprintf("would cost about %s, more than the whole of a budget, %s", cost, limit)
		}
	}
	return ""
}

// beyond tells whether a call would cost more than a limit, or nobody knows.
func (t *try) beyond(target *target, limit jobs.MicroUSD) bool {
	if !target.Price.Known() {
		return true
	}
	if target.Price.Most(t.usageAtMost(target)) <= limit { // most are, and nobody need count
		return false
	}
	cost, _ := t.estimate(target)
	return cost > limit
}

// mute says why a target's dialect cannot say what the request asks for; empty: it
// can.
func (t *try) mute(target *target) string {
	for _, known := range t.fit.mute {
		if known.target == target.Name {
			return known.why
		}
	}
	why := t.asked(target)
	if why != "" {
		t.fit.mute = append(t.fit.mute, muteness{target.Name, why})
	}
	return why
}

// asked asks a dialect. That takes it milliseconds for a long body, and whoever waits
// for a place is looked at again and again: so of those it is asked once.
func (t *try) asked(target *target) string {
	ask := func() string {
		if err := t.router.provider.Check(target.Target, t.request.Endpoint, t.request.Body); err != nil {
			return "cannot be asked for " + err.Error()
		}
		return ""
	}
	if len(t.request.Body) < dearToRead {
		return ask()
	}
	return t.counted().once(target.Target, ask)
}

// dear says why a target is too dear for a request; empty: it is not.
func (t *try) dear(target *target) string {
	limit := t.request.MaxCost
	if limit == 0 {
		return ""
	}
	if !target.Price.Known() {
		t.fit.dear = true
		return fmt.Sprintf("has no price, so that nobody can say whether it keeps the request's max_cost of %s", limit)
	}
	before := t.history.Cost() + t.trace.Cost()
	if target.Price.Most(t.usageAtMost(target))+before <= limit {
		return ""
	}
	if cost := target.Price.Cost(t.usage(target)) + before; cost > limit {
		if t.fit.dear = true; t.fit.least == 0 || cost < t.fit.least {
			t.fit.least = cost
		}
		return fmt.Sprintf("would cost about %s in all, over the request's max_cost of %s", cost, limit)
	}
	return ""
}

// estimate is what a call may cost at most, as far as the request says how long an
// answer may be, and else what one of the usual length does; not ok where nobody
// knows the price.
func (t *try) estimate(target *target) (cost jobs.MicroUSD, ok bool) {
	if !target.Price.Known() {
		return 0, false
	}
	return target.Price.Cost(t.usage(target)), true
}

// mayCost is estimate, or no less than that where nobody has counted the prompt and
// nobody is to.
func (t *try) mayCost(target *target, count bool) (cost jobs.MicroUSD, ok bool) {
	if by, _ := encodingOf(target.Target); count || t.counted().known(by) || !target.Price.Known() {
		return t.estimate(target)
	}
	return target.Price.Most(t.usageAtMost(target)), true
}

// tooDearForAll says what max_cost an answer would take, as far as that is known.
func (t *try) tooDearForAll() *jobs.Error {
	said := fmt.Sprintf("no target of the chain could answer within max_cost %s", t.request.MaxCost)
	if t.fit.least > 0 {
		said += fmt.Sprintf(": the cheapest would cost about %s in all", t.fit.least)
	}
	return badRequest("max_cost_exceeded", "%s", said)
}

// hopeless is why a request that fits no target of its chain is refused.
func (t *try) hopeless() *jobs.Error {
	served := jobs.EndpointSetOf()
	for _, target := range t.ranked {
		served = served.With(target.Endpoints)
	}
	switch {
	case len(t.ranked) > 0 && !served.Has(t.request.Endpoint):
		return badRequest(jobs.CodeNotServed, "%v", served.Refuses(t.request.Route, t.request.Endpoint))
	case t.last != nil && t.last.Class == jobs.Invalid:
		return t.unmet()
	case t.fit.dear && (t.last == nil || t.last.Class.Scope() != jobs.OnRequest):
		return t.tooDearForAll()
	case t.fit.why != nil:
		return t.fit.why
	case t.fit.cramped != nil:
		return t.tooLongForAll()
	case len(t.fit.mute) > 0:
		return badRequest("unsupported_field", "no target of the chain takes it: %s %s", t.fit.mute[0].target, t.fit.mute[0].why)
	default:
		return badRequest("empty_chain", "the route %q has no target", t.request.Route)
	}
}
