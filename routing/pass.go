package routing

import (
	"context"

	"tidegate/jobs"
)

// Admit gives a request a pass if a target of its chain may be called now, or
// says what becomes of it instead: Refused, or Blocked. A Blocked outcome that
// is Held holds for every request of the route: the gate holds, or the target is
// called as fast as it may be. history is what earlier tries of the same request
// added. It never waits.
func (r *Router) Admit(request *jobs.Request, history jobs.Trace) (jobs.Pass, jobs.Outcome) {
	w, no := r.Walk(request, history)
	if w == nil {
		return nil, no
	}
	return w, jobs.Outcome{}
}

// Route calls targets, the best first, until one answers, the request is refused
// for good, or nobody is left who may be called at once.
func (w *Walk) Route(ctx context.Context, begin func(context.Context, jobs.Begun) error) jobs.Outcome {
	for {
		ready, no := w.prepare(ctx, begin)
		switch {
		case ready:
			answer, err := w.complete(ctx)
			no = w.end(ctx, answer, err)
		case no == nil:
			no = w.onward(ctx)
		}
		if no != nil {
			return *no
		}
	}
}

// prepare asks all who may have something against the call by now: what stood
// between the permit and this moment may have taken a while. Where it is not ready,
// the place is given back, also if begin panics.
func (w *Walk) prepare(ctx context.Context, begin func(context.Context, jobs.Begun) error) (ready bool, no *jobs.Outcome) {
	t := w.try
	defer func() {
		if !ready {
			w.Release()
		}
	}()
	if ctx.Err() != nil {
		outcome := t.stopped(ctx)
		return false, &outcome
	}
	call := w.Call()
	if err := begin(ctx, call); err != nil {
		return false, &jobs.Outcome{Verdict: jobs.Blocked, Until: t.router.now(), Reason: err.Error(), Trace: t.trace}
	}
	if w.renew() {
		return true, nil
	}
	call.RequestID = "" // never made
	_ = begin(ctx, call)
	return false, nil
}

// complete makes the call. A panic of the provider leaves nothing taken. Where an answer
// may turn out not to be taken, nobody is handed pieces of it.
func (w *Walk) complete(ctx context.Context) (answer *jobs.Answer, err *jobs.Error) {
	panics := true
	defer func() {
		if panics {
			w.broken("the trial call ended in a panic")
		}
	}()
	if jobs.PiecesOf(ctx) != nil && (w.try.judges() || w.place.permit.Probe()) {
		ctx = jobs.WithPieces(ctx, nil)
	}
	answer, err = w.try.router.provider.Complete(ctx, w.place.target.Target, w.try.request.Endpoint, w.try.request.Body)
	panics = false
	return answer, err
}
