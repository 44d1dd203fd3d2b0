package routing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"tidegate/jobs"
)

// rateWait holds back a target that sent a 429 without saying for how long.
const rateWait = time.Second

// A try is one walk along the chain for one request.
type try struct {
	router  *Router
	request *jobs.Request
	history jobs.Trace // of earlier tries
	trace   jobs.Trace // of this one
	last    *jobs.Error
	fit     fit
}

func newTry(router *Router, chain []*target, request *jobs.Request, history jobs.Trace) *try {
	return &try{router: router, request: request, history: history, fit: newFit(chain, request, history)}
}

// walk asks the targets in turn.
func (t *try) walk(ctx context.Context, ranked []*target) jobs.Outcome {
	for _, target := range ranked {
		if reason := t.unfit(target); reason != "" {
			t.skip(target, reason, time.Time{})
			continue
		}
		permit, err := target.admit(ctx)
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			if errors.Is(err, errBusy) { // not a reason to pay the next one
				return t.busy(target)
			}
			_, until, reason := target.circuit.Ready()
			t.skip(target, cmp.Or(reason, "another call took its place"), until)
			continue
		}
		if answer := t.call(ctx, target, &permit); answer != nil {
			return jobs.Outcome{Verdict: jobs.Answered, Answer: answer, Trace: t.trace}
		}
		if t.last.Class.Final() {
			return refused(t.last, t.trace)
		}
		if n := t.blamed(); n >= blamedAtMost {
			return refused(poison(t.last, n), t.trace)
		}
	}
	return t.leftOver(ctx, ranked)
}

func (t *try) skip(target *target, reason string, until time.Time) {
	t.trace = append(t.trace, jobs.Step{Skip: &jobs.Skip{At: t.router.now(), Target: target.Name, Reason: reason, Until: until}})
}

// call makes one call and tells the circuit. It returns the answer or sets last.
func (t *try) call(ctx context.Context, target *target, permit *Permit) *jobs.Answer {
	defer target.release()
	defer permit.Done(Neutral, "") // for a panic, and for what says nothing of the target
	began := t.router.now()
	answer, err := t.router.provider.Complete(ctx, target.Target, t.request.Body)
	attempt := jobs.Attempt{
		At: began, Target: target.Name, Class: jobs.OK, Status: 200, Latency: t.router.now().Sub(began),
		Probe: permit.Probe(), Propensity: 1,
	}
	if err == nil && answer == nil {
		err = &jobs.Error{Class: jobs.Garbled, Message: "the provider gave neither an answer nor an error"}
	}
	if err == nil {
		attempt.FirstByte, attempt.Usage, attempt.Cost = answer.FirstByte, answer.Usage, target.Price.Cost(answer.Usage)
		answer.Target = target.Name
		permit.Done(Success, "")
	} else {
		answer, t.last = nil, err
		attempt.Class, attempt.Status, attempt.Code, attempt.Message = err.Class, err.Status, err.Code, err.Message
		attempt.Usage, attempt.Cost = err.Usage, target.Price.Cost(err.Usage)
		attempt.Blamed = t.blames(target, err)
		t.report(target, permit, err, attempt.Blamed)
	}
	t.trace = append(t.trace, jobs.Step{Attempt: &attempt})
	return answer
}

// report tells the circuit, and those that share its account or key, what a
// failed call means for them. A cooldown is set before the permit is done: a
// circuit that closes or opens first would let calls through in between.
func (t *try) report(target *target, permit *Permit, err *jobs.Error, blamed bool) {
	class := err.Class
	switch {
	case class.Opens():
		t.trip(target, permit, err)
	case class.Cools():
		target.circuit.Cool(t.router.now().Add(max(err.RetryAfter, rateWait)), err.Gist())
		if permit.Probe() { // a 429 is an answer, too
			permit.Done(Success, "a probe was answered, though with "+err.Gist())
		}
	case class.Trips() && blamed:
		permit.Done(Neutral, "")
	case class.Trips():
		if err.RetryAfter > 0 {
			target.circuit.Cool(t.router.now().Add(err.RetryAfter), err.Gist())
		}
		permit.end(Failure, ending{said: err.Said, reason: err.Gist()})
	case class.Answered():
		permit.Done(Success, "")
	}
	if class == jobs.Context {
		t.fit.tooLong(target, err)
	}
}

// trip opens every circuit that the refusal of an account or a key reaches.
func (t *try) trip(target *target, permit *Permit, err *jobs.Error) {
	tripped, first := permit.trip(err.RetryAfter, err.Gist())
	if !first {
		return
	}
	for _, other := range t.router.targets {
		if other != target && target.shares(other, err.Scope()) {
			other.circuit.follow(tripped, fmt.Sprintf("%s (at %s)", err.Gist(), target.Name))
		}
	}
}

// busy is the outcome of a request that its target has no slot for: it is asked
// again at once, if the caller has nothing against it.
func (t *try) busy(target *target) jobs.Outcome {
	reason := fmt.Sprintf("all of its %d calls at once are out", target.Limits.Concurrency)
	t.skip(target, reason, time.Time{})
	return jobs.Outcome{Verdict: jobs.Blocked, Err: t.last, Until: t.router.now(), Reason: target.Name + ": " + reason, Trace: t.trace}
}
