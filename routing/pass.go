package routing

import (
	"context"

	"tidegate/jobs"
)

// A pass is a request with a place at a target.
type pass struct {
	try   *try
	place place
}

// Admit gives a request a pass if a target of its chain may be called now, or
// says what becomes of it instead: Refused, or Blocked. A Blocked outcome that
// is Held holds for every request of the route: the gate holds, or the target is
// called as fast as it may be. history is what earlier tries of the same request
// added. It never waits.
func (r *Router) Admit(request *jobs.Request, history jobs.Trace) (jobs.Pass, jobs.Outcome) {
	try, no := r.begin(request, history)
	if no != nil {
		return nil, *no
	}
	p := &pass{try: try}
	if no := try.seek(&p.place); no != nil {
		return nil, *no
	}
	return p, jobs.Outcome{}
}

// Route calls targets, the best first, until one answers, the request is refused
// for good, or nobody is left who may be called at once.
func (p *pass) Route(ctx context.Context, begin func(context.Context, jobs.Begun) error) jobs.Outcome {
	t := p.try
	for {
		answer, no := p.call(ctx, begin)
		switch {
		case no != nil:
			return *no
		case answer != nil:
			return jobs.Outcome{Verdict: jobs.Answered, Answer: answer, Trace: t.trace}
		}
		if no := t.after(ctx); no != nil {
			return *no
		}
		if no := t.seek(&p.place); no != nil {
			return *no
		}
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
	case n >= blamedAtMost:
		no = refused(poison(t.last, n), t.trace)
	case ctx.Err() != nil:
		no = t.stopped(ctx)
	case t.limited: // a matter of the pace: not a reason to pay the next one
		no = jobs.Outcome{Verdict: jobs.Blocked, Held: true, Err: t.last, Until: t.router.now(), Reason: "it is called as fast as it takes calls: " + t.last.Gist(), Trace: t.trace}
	default:
		return nil
	}
	return &no
}

// Release gives the place back.
func (p *pass) Release() {
	p.place.leave()
	p.place = place{}
}

// call makes one call, unless begin or the circuit has something against it by
// now: what stood between the permit and this moment may have taken a while.
func (p *pass) call(ctx context.Context, begin func(context.Context, jobs.Begun) error) (*jobs.Answer, *jobs.Outcome) {
	t, target := p.try, p.place.target
	defer p.Release() // whatever happens; a call that was made leaves nothing to release
	if ctx.Err() != nil {
		outcome := t.stopped(ctx)
		return nil, &outcome
	}
	began := t.router.now()
	call := jobs.Begun{RequestID: t.request.ID, Target: target.Name, Route: t.request.Route, At: began, Within: target.Timeouts.Total}
	call.Estimate = func() (jobs.MicroUSD, bool) { return t.estimate(target) }
	if err := begin(ctx, call); err != nil {
		return nil, &jobs.Outcome{Verdict: jobs.Blocked, Until: t.router.now(), Reason: err.Error(), Trace: t.trace}
	}
	if !p.place.permit.renew() {
		call.RequestID = "" // never made
		_ = begin(ctx, call)
		no := target.shut()
		t.skip(target, no.reason, no.until)
		return nil, nil
	}
	return t.call(ctx, &p.place, began), nil
}
