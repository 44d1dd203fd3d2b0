package routing

import (
	"context"
	"fmt"
	"time"

	"tidegate/jobs"
)

const (
	// longWait is how long a 429 asks for that makes it a cooldown, for which
	// requests go to the next target. What is shorter is a matter of the pace.
	longWait = 5 * time.Second
	// probedWait holds back a target whose probe met a 429: it is there again, but
	// not for everybody at once.
	probedWait = time.Second
)

// A try is one walk along the chain for one request.
type try struct {
	router  *Router
	route   *route // nil: a probe is for none
	request *jobs.Request
	ranked  []*target
	choice  *choice    // how they were ranked; nil: as the chain is written
	next    int        // of ranked: whom to ask
	history jobs.Trace // of earlier tries
	trace   jobs.Trace // of this one
	last    *jobs.Error
	fit     fit
	prompt  *counted // nil: nothing depended on it yet
	picky   bool     // a target was passed over, or will be, that others may be sent to
	limited bool     // the last call met a 429 that is a matter of the pace alone
	lenient bool     // other policies may be tried where content is refused

	explained bool // the first attempt says why its target was chosen

	expectation expectation
	whenOpen    jobs.WhenOpen
	passed      []*target // that may not be called, or failed, and that the strategy prefers
	turn        turn      // the first that there is, where the request goes on since its deadline comes near
}

// ends tells whether nobody else may be asked after a refusal.
func (t *try) ends(err *jobs.Error) bool {
	return err.Class.Final() && !err.Elsewhere && (!t.lenient || err.Class.Next() != jobs.OtherPolicy)
}

func newTry(router *Router, ranked []*target, request *jobs.Request, history jobs.Trace) *try {
	return &try{router: router, request: request, ranked: ranked, history: history, fit: newFit(ranked, history), picky: mixes(ranked, request.Endpoint)}
}

// seek takes a place at the next target of the chain that may be called now. It
// returns nil, or what becomes of the request if there is none.
func (t *try) seek(into *place) *jobs.Outcome {
	for t.next < len(t.ranked) {
		target := t.ranked[t.next]
		t.next++
		if reason := t.unfit(target); reason != "" {
			t.skip(target, reason, time.Time{})
			t.picky = true
			continue
		}
		if no := t.waits(target); no != nil {
			return no
		}
		found, no := target.admit(t.tokens(target))
		switch {
		case found.target != nil:
			*into = found
			return nil
		case no.paced:
			in := t.hurry()
			if in <= 0 {
				t.turn.earliest(target, no)
				t.skip(target, no.reason+", and the deadline comes near", no.until)
				continue
			}
			if in < endless { // its turn may come too late
				no.until = earlier(no.until, t.router.now().Add(max(in, againSoon)))
			}
			t.turn.earliest(target, no)
			t.skip(target, no.reason, no.until)
			return t.queue()
		}
		t.skip(target, no.reason, no.until)
		t.passed = append(t.passed, target)
	}
	if t.turn.target != nil {
		return t.queue()
	}
	outcome := t.leftOver()
	return &outcome
}

func (t *try) skip(target *target, reason string, until time.Time) {
	t.trace = append(t.trace, jobs.Step{Skip: &jobs.Skip{At: t.router.now(), Target: target.Name, Reason: reason, Until: until}})
}

// queue is the outcome of a request that waits for its turn, the first that there is,
// at a target that is in order: not a reason to pay the next one. It holds for others
// of the route, too, unless they may be sent elsewhere before.
func (t *try) queue() *jobs.Outcome {
	no := t.turn.no
	switch now := t.router.now(); {
	case t.picky && no.until.IsZero():
		no.until = now.Add(againMin)
	case t.picky: // a pace that is found to be higher brings its turn forward, and nobody tells
		no.until = earlier(no.until, now.Add(t.againPaced(now)))
	}
	return &jobs.Outcome{Verdict: jobs.Blocked, Held: !t.picky, Paced: true, Err: t.last, Until: no.until, Reason: t.turn.target.Name + ": " + no.reason, Trace: t.trace}
}

// againPaced bounds the wait for a turn of a request that cannot wait at the gate: the
// nearer its deadline, the sooner it asks again.
func (t *try) againPaced(now time.Time) time.Duration {
	if t.request.Deadline.IsZero() {
		return againPaced
	}
	return min(againPaced, max(againMin, t.request.Deadline.Sub(now)/4))
}

// note tells the circuit what a call means for it, and writes it down. It returns
// the answer or sets last, and what the pace is to hear.
func (t *try) note(p *place, began time.Time, answer *jobs.Answer, err *jobs.Error) (*jobs.Answer, paceEnd) {
	target, permit := p.target, &p.permit
	attempt := jobs.Attempt{
		At: began, Target: target.Name, Class: jobs.OK, Status: 200, Latency: t.router.now().Sub(began),
		Probe: permit.Probe(), Propensity: 1,
	}
	t.explain(&attempt)
	if err == nil && answer == nil {
		err = &jobs.Error{Class: jobs.Garbled, Message: "the provider gave neither an answer nor an error"}
	}
	if err == nil && t.lenient && answer.FinishReason == takenAway {
		err = filtered(answer)
	}
	if err == nil {
		err = t.inspect(p, answer, attempt.Latency)
	}
	var end paceEnd
	if err == nil {
		attempt.FirstByte, attempt.Usage, attempt.Cost = answer.FirstByte, answer.Usage, target.Price.Cost(answer.Usage)
		answer.Target = target.Name
		end = paceEnd{class: jobs.OK, usage: answer.Usage, latency: attempt.Latency, allowance: answer.Allowance}
		permit.Done(Success, "")
		t.learn(target, answer.Usage)
		t.heed(target, sample{seconds: attempt.Latency.Seconds(), output: float64(answer.Usage.Output)})
	} else {
		answer, t.last, t.limited = nil, err, false
		attempt.Class, attempt.Status, attempt.Code, attempt.Message = err.Class, err.Status, err.Code, err.Message
		attempt.Usage, attempt.Cost = err.Usage, target.Price.Cost(err.Usage)
		attempt.Blamed = t.blames(target, err)
		end = paceEnd{class: err.Class, usage: err.Usage, latency: attempt.Latency, retryAfter: err.RetryAfter, allowance: err.Allowance}
		t.report(target, permit, err, attempt.Blamed)
		t.heedRefusal(target, &attempt)
	}
	attempt.Unpriced = target.Price.Unpriced(attempt.Usage)
	t.trace = append(t.trace, jobs.Step{Attempt: &attempt})
	return answer, end
}

// heed adds a call that has just ended to what is known of its target. One that was a
// minimal probe is too short to tell.
func (t *try) heed(target *target, s sample) {
	if t.route != nil {
		target.statistics.hear(t.router.choosing.Load(), t.router.now(), s)
	}
}

// heedRefusal is heed for a call that was not answered, or badly. A bad answer that
// may be the request's own fault is held against nobody yet: see credit.
func (t *try) heedRefusal(target *target, a *jobs.Attempt) {
	switch {
	case a.Class != jobs.Invalid:
		t.passed = append(t.passed, target)
		if a.Class.Trips() && !a.Blamed {
			t.heed(target, sample{failed: true})
		}
	case a.Code == degraded:
		t.heed(target, sample{failed: true})
	}
}

// explain adds to the first attempt why its target was chosen. Those after it went to
// the next ones of the same order.
func (t *try) explain(attempt *jobs.Attempt) {
	if t.choice == nil || t.explained {
		return
	}
	t.explained = true
	if t.request.Recorded == nil { // else nobody writes it down
		attempt.Decision = t.choice.decision()
	}
	if c := t.choice; c.chosen >= 0 && c.candidates[c.chosen].Target.Name == attempt.Target {
		attempt.Propensity = float32(c.propensity)
	}
}

// after looks at a call that was not answered: nil, and the next target is asked.
func (t *try) after(ctx context.Context) *jobs.Outcome {
	var no jobs.Outcome
	switch n := t.blamed(); {
	case t.last == nil: // there was no call
		return nil
	case t.ends(t.last):
		no = refused(t.last, t.trace)
	case t.last.Class == jobs.Invalid && t.exhausted() != nil:
		no = *t.exhausted()
	case n >= blamedAtMost:
		no = refused(poison(t.last, n), t.trace)
	case ctx.Err() != nil:
		no = t.stopped(ctx)
	case t.limited: // a matter of the pace: not a reason to pay the next one
		no = jobs.Outcome{Verdict: jobs.Blocked, Held: !mixes(t.ranked, t.request.Endpoint), Paced: true, Err: t.last, Until: t.router.now(), Reason: "it is called as fast as it takes calls: " + t.last.Gist(), Trace: t.trace}
	default:
		return nil
	}
	return &no
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
		t.cool(target, permit, err)
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
	t.fit.met(target, err)
	if err.Code == jobs.CodeNotServed && err.Elsewhere {
		target.absences.found(t.request.Endpoint, t.router.now())
	}
	if class == jobs.Invalid && err.Code != degraded {
		t.disappointed()
	}
}

// cool is what a 429 means for a circuit: nothing, unless it asks for long, or there
// was nothing else for long. To a probe it is an answer, too.
func (t *try) cool(target *target, permit *Permit, err *jobs.Error) {
	wait := target.circuit.limited(err.RetryAfter)
	t.limited = wait == 0
	if permit.Probe() {
		wait = max(wait, err.RetryAfter, probedWait)
	}
	if wait > 0 {
		target.circuit.Cool(t.router.now().Add(wait), err.Gist())
	}
	if permit.Probe() {
		permit.Done(Success, "a probe was answered, though with "+err.Gist())
	}
}

// trip opens every circuit that the refusal of an account or a key reaches.
func (t *try) trip(target *target, permit *Permit, err *jobs.Error) {
	tripped, first := permit.trip(err)
	if !first {
		return
	}
	for _, other := range t.router.plan.Load().targets {
		if other.circuit != target.circuit && target.shares(other, err.Scope()) { // a probe's target is a copy
			other.circuit.follow(tripped, fmt.Sprintf("%s (at %s)", err.Gist(), target.Name))
		}
	}
}
