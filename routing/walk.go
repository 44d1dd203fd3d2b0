package routing

import (
	"context"
	"time"

	"tidegate/jobs"
)

// A Walk is a request on its way along its chain, with a place at the target that
// it is to call now. Whoever makes the calls himself drives it step by step, as a
// replay does on a clock of its own; Route does all of it.
//
//	walk, outcome := router.Walk(request, history) // nil: the outcome says why
//	for {
//		ready, no := walk.Begin()
//		if ready {
//			answer, err := call(walk.Target()) // this may take a while
//			no = walk.End(answer, err)
//		}
//		if no != nil {
//			return *no
//		}
//	}
//
// Between Begin and End, other walks of the same router may begin and end. It
// belongs to one goroutine at a time.
type Walk struct {
	try   *try
	place place
	began time.Time // the call; zero: it has not
}

// Walk gives a request a place at the best target of its chain that may be called
// now, or says what becomes of it instead, as Admit does.
func (r *Router) Walk(request *jobs.Request, history jobs.Trace) (*Walk, jobs.Outcome) {
	try, no := r.begin(request, history)
	if no != nil {
		return nil, *no
	}
	w := &Walk{try: try}
	if no := try.seek(&w.place); no != nil {
		return nil, *no
	}
	return w, jobs.Outcome{}
}

// Target is whom to call now.
func (w *Walk) Target() *jobs.Target { return w.place.target.Target }

// Call is what is about to be called. Its time is that of the attempt.
func (w *Walk) Call() jobs.Begun {
	w.began = w.try.router.now()
	target := w.place.target
	return jobs.Begun{
		RequestID: w.try.request.ID, Target: target.Name, Route: w.try.request.Route, At: w.began, Within: target.Timeouts.Total,
		Estimate: func(counted bool) (jobs.MicroUSD, bool) { return w.try.mayCost(target, counted) },
	}
}

// Begin is to be asked just before each call: its target may have been shut since
// the place was taken. Then there is no call, and either another Target or an
// outcome. What was begun must be ended.
func (w *Walk) Begin() (ready bool, no *jobs.Outcome) {
	if w.began.IsZero() {
		w.began = w.try.router.now()
	}
	if w.renew() {
		return true, nil
	}
	w.Release()
	w.began = time.Time{}
	return false, w.onward(context.Background())
}

// renew tells whether the place still stands. Where it does not, that is a skip.
func (w *Walk) renew() bool {
	if w.place.permit.renew() {
		return true
	}
	no := w.place.target.shut()
	w.try.skip(w.place.target, no.reason, no.until)
	w.try.passed = append(w.try.passed, w.place.target)
	return false
}

// End hears how the call ended: with an answer or an error, one of them nil. It
// returns what becomes of the request, or nil when there is another Target to be
// called.
func (w *Walk) End(answer *jobs.Answer, err *jobs.Error) *jobs.Outcome {
	return w.end(context.Background(), answer, err)
}

func (w *Walk) end(ctx context.Context, answer *jobs.Answer, err *jobs.Error) *jobs.Outcome {
	if answer = w.note(answer, err); answer != nil {
		return &jobs.Outcome{Verdict: jobs.Answered, Answer: answer, Trace: w.try.trace}
	}
	return w.onward(ctx)
}

// onward takes a place at the next target after a call that was not answered, or
// not made.
func (w *Walk) onward(ctx context.Context) *jobs.Outcome {
	return w.try.onward(ctx, &w.place)
}

// note tells the circuit and the pace how the call ended, and writes it down.
func (w *Walk) note(answer *jobs.Answer, err *jobs.Error) *jobs.Answer {
	end := paceEnd{class: jobs.Lost}
	defer func() {
		w.place.called(end)
		w.Release()
		w.began = time.Time{}
	}()
	answer, end = w.try.note(&w.place, w.began, answer, err)
	return answer
}

// broken ends a call of which nobody will ever hear.
func (w *Walk) broken(reason string) {
	w.place.called(paceEnd{class: jobs.Lost})
	if w.place.permit.Probe() { // the next one would be called at once, and the next …
		w.place.permit.end(Failure, ending{reason: reason})
	}
	w.Release()
}

// Release gives the place back.
func (w *Walk) Release() {
	w.place.leave() // says nothing of a call that was ended
	w.place = place{}
}
