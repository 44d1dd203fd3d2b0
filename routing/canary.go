package routing

import (
	"cmp"
	"context"
	"strings"

	"tidegate/jobs"
	"tidegate/jobs/expect"
)

// Canary asks a target a canary prompt, until an answer is as expected, or so many
// were not that the target is degraded. It returns the calls as attempts of no
// request. A target that may not be called now, because its circuit is not closed, it
// is called as fast as it may be, or begin refuses, is not asked. begin is told of each
// call just before, as in Pass.Route. A call that is not answered tells nothing here.
func (r *Router) Canary(ctx context.Context, canary *jobs.Canary, name string, begin func(context.Context, jobs.Begun) error) (made []*jobs.Attempt) {
	t := r.plan.Load().byName[name]
	rules, err := r.rules.Compile(canary.Expect, canary.Body)
	if t == nil || err != nil || !t.Endpoints.Has(jobs.EndpointChat) {
		return nil
	}
	request := &jobs.Request{ID: jobs.NoRequest, Route: canary.Route, Body: canary.Body}
	for range cmp.Or(canary.Failures, jobs.DefaultCanaryFailures) {
		attempt, good := r.askCanary(ctx, t, request, rules, begin)
		if attempt == nil {
			return made
		}
		made = append(made, attempt)
		switch {
		case good:
			t.sings(canary)
			return made
		case attempt.Class != jobs.Invalid:
			return made
		}
	}
	last := made[len(made)-1]
	reason := canaryMark(canary) + last.Code + ": " + last.Message
	if r.spared(t) {
		t.circuit.degrade(reason)
	} else {
		t.circuit.mark(reason)
	}
	return made
}

// askCanary makes one call, if the target may be called.
func (r *Router) askCanary(
	ctx context.Context, t *target, request *jobs.Request, rules *expect.Rules, begin func(context.Context, jobs.Begun) error,
) (attempt *jobs.Attempt, good bool) {
	if ready, _ := t.circuit.readiness(); ready != Flowing || ctx.Err() != nil {
		return nil, false
	}
	p, _ := t.admit(newTry(r, []*target{t}, request, nil).tokens(t))
	if p.target == nil {
		return nil, false
	}
	if p.permit.Probe() { // it opened just now
		p.leave()
		return nil, false
	}
	lone := *t // what is asked for no route teaches nothing of the others
	lone.tokens, lone.statistics, lone.baselines = &calibration{}, &statistics{}, &baselines{}
	p.target = &lone
	try := newTry(r, []*target{&lone}, request, nil)
	try.expectation.rules[0] = rules
	walk := &Walk{try: try, place: p}
	if ready, _ := walk.prepare(ctx, begin); !ready {
		return nil, false
	}
	answer := walk.note(walk.complete(ctx))
	return try.trace[0].Attempt, answer != nil
}

func canaryMark(canary *jobs.Canary) string {
	return "the canary " + canary.Name + " is not answered as expected: "
}

// sings takes back what this canary has marked the target for.
func (t *target) sings(canary *jobs.Canary) {
	if at := t.circuit.Snapshot(); at.State == jobs.CircuitClosed && strings.HasPrefix(at.Degraded, canaryMark(canary)) {
		t.circuit.unmark()
	}
}
