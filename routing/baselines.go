package routing

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"tidegate/jobs"
)

// degraded is the code of an answer that was not taken, because it is of a target
// that is known to be degraded.
const degraded = "degraded"

const (
	// hearsay is the evidence at which a mark that another worker has made is given up,
	// where its cause is not seen here: some hundred good answers.
	hearsay = 60
	// doubtful is the evidence of the answer to a probe at which the circuit stays open.
	doubtful = -0.7
	// telling is the evidence of one answer at which it is not taken.
	telling = -2
)

// baselines are what answers of one target are like, by route and endpoint. Safe for concurrent
// use.
type baselines struct {
	accepted atomic.Bool // a person takes what comes: it is the habit

	mu sync.Mutex
	of map[string]*baseline
}

// lock returns the baseline of a route, to be unlocked.
func (h *baselines) lock(route string) *baseline {
	h.mu.Lock()
	if h.accepted.Swap(false) {
		clear(h.of)
	}
	if h.of == nil {
		h.of = map[string]*baseline{}
	}
	if h.of[route] == nil {
		h.of[route] = &baseline{}
	}
	return h.of[route]
}

// changes tells whether another route than this one sees a change. It requires mu.
func (h *baselines) changes(but string) bool {
	for route, b := range h.of {
		if route != but && b.change != nil {
			return true
		}
	}
	return false
}

// inspect makes a refusal of an answer that is not as expected, or that is clearly
// one of a degraded target, and has the baseline hear of it.
func (t *try) inspect(p *place, answer *jobs.Answer, latency time.Duration) *jobs.Error {
	err := t.judge(p.target, answer)
	why := t.hear(p, answer, latency, err != nil)
	switch {
	case err == nil && why != "":
		return invalid(answer, degraded, why)
	case err == nil:
		t.credit(p.target)
	}
	return err
}

// hear tells the baseline of an answer, and says why it is not taken; empty: it is.
func (t *try) hear(p *place, answer *jobs.Answer, latency time.Duration, unmet bool) (why string) {
	at := p.permit.standing()
	if t.route == nil || !t.request.Endpoint.Speaks() || t.request.Recorded != nil {
		return t.hearMinimal(p, answer, at)
	}
	s := replyOf(t.request.Body, answer, latency)
	s.judged, s.unmet, s.kind = t.expectation.exists(), unmet, kindOf(t.request)
	h := p.target.baselines
	b := h.lock(t.habit())
	var then func()
	switch {
	case at.mark == "":
		b.doubts = 0
		if b.change != nil && b.change.shut { // the fleet has closed it for good
			b.over()
		}
		then = t.notice(p.target, b, &s)
	case !at.current: // it began before the circuit changed
	case b.change != nil && b.change.marksOnly(): // whatever opened the circuit, it was not that
		then = t.notice(p.target, b, &s)
	case p.permit.Probe(), at.watched || !at.closed:
		why, then = t.watch(p, b, &s, at)
	default:
		if then = t.notice(p.target, b, &s); b.change == nil && then == nil {
			then = t.doubt(p.target, b, &s)
		}
	}
	h.mu.Unlock()
	if then != nil {
		then()
	}
	return why
}

// habit is of what a baseline is: a route, and an endpoint of it, at each of which
// answers are like something else.
func (t *try) habit() string {
	if of := t.request.Endpoint; of != jobs.EndpointChat {
		return t.route.Name + of.String()
	}
	return t.route.Name
}

// hearMinimal looks at the answer to a minimal call, at vectors, or at one of the past:
// of what it says, nothing but the model's name tells anything.
func (t *try) hearMinimal(p *place, answer *jobs.Answer, at standing) (why string) {
	if at.mark == "" {
		return ""
	}
	h := p.target.baselines
	h.mu.Lock()
	for _, b := range h.of {
		if why = b.strange(&reply{family: familyOf(answer.Model)}); why != "" {
			break
		}
	}
	h.mu.Unlock()
	if why != "" {
		p.permit.degrade(why)
	}
	return why
}

// watch weighs an answer of a target that is known to be degraded. It requires the
// lock of its baselines, and returns what is to be done without it.
func (t *try) watch(p *place, b *baseline, s *reply, at standing) (why string, then func()) {
	if b.change == nil {
		b.change = &change{signal: signals, reason: at.mark}
		b.freeze(true)
	}
	if p.permit.Probe() {
		b.change.shut, b.change.sum = true, 0
	}
	if !b.heard.known(&s.kind) {
		return "", t.watchBlind(p, b)
	}
	before := b.change.sum
	b.weigh(s)
	odds := b.change.sum - before
	if odds < 0 {
		p.target.circuit.shows()
	}
	reason := b.change.reason
	switch permit := &p.permit; {
	case permit.Probe() && odds < doubtful, at.watched && b.change.sum <= relapsed:
		b.change.shut = true
		return reason, func() { permit.degrade(reason) }
	case odds <= telling && at.watched:
		return reason, nil
	case !permit.Probe() && b.change.sum >= recovered:
		b.over()
		return "", p.target.circuit.unmark
	}
	return "", nil
}

// watchBlind counts an answer of a target that is known to be degraded to a request of a
// kind of which it has no habit: it says nothing. Where there are no others, the target
// learns anew. It requires the lock of its baselines.
func (t *try) watchBlind(p *place, b *baseline) (then func()) {
	if b.change.blind++; p.permit.Probe() || b.change.blind < lately {
		return nil
	}
	b.relearn()
	return p.target.circuit.unmark
}

// doubt weighs a mark that another worker has made, or this one for another route,
// where nothing is seen here of its cause. It requires the lock of its baselines.
func (t *try) doubt(target *target, b *baseline, s *reply) (then func()) {
	if !b.heard.known(&s.kind) {
		return nil
	}
	strange := b.strange(s) != ""
	if strange {
		target.circuit.shows()
	}
	if b.doubts += oddsOfStrange(strange); b.doubts < 0 {
		b.doubts = 0
	}
	if b.doubts < hearsay || target.baselines.changes(t.habit()) {
		return nil
	}
	b.doubts = 0
	return target.circuit.unmark
}

// notice tells a baseline of an answer of a target that is in order, or at least was
// not shut for it. It requires the lock of its baselines, and returns what is to be done
// without it.
func (t *try) notice(target *target, b *baseline, s *reply) (then func()) {
	before := b.change
	c := b.observe(s)
	if c != nil {
		target.circuit.shows()
	}
	switch {
	case c != nil && c.after == 0:
		seen := *c
		return func() { t.suspect(target, &seen) }
	case c != nil && !c.marksOnly() && !c.shut:
		if !t.router.spared(target) {
			return nil
		}
		b.opened()
		reason := c.reason
		return func() { target.circuit.degrade(reason) }
	case c == nil && before != nil && b.change == nil && !target.baselines.changes(t.habit()):
		return target.circuit.unmark
	}
	return nil
}

// suspect marks a target whose answers have changed, unless another target of the
// route has changed in the same way: then it is the requests.
func (t *try) suspect(target *target, seen *change) {
	for _, other := range t.route.chain {
		if other == target {
			continue
		}
		b := other.baselines.lock(t.habit())
		same := seen.alike(b.change)
		if same {
			b.relearn()
		}
		other.baselines.mu.Unlock()
		if !same {
			continue
		}
		b = target.baselines.lock(t.habit())
		b.relearn()
		target.baselines.mu.Unlock()
		const reason = "others answer in the same way now: it is the requests that have changed"
		other.circuit.acquit(reason)
		target.circuit.acquit(reason)
		return
	}
	target.circuit.mark(seen.reason)
}

// spared tells whether every route that asks a target has another one that may be
// called, and is not degraded, for all that it serves: bad answers are better than
// none, and an expectation can still tell them.
func (r *Router) spared(target *target) bool {
	for _, route := range r.plan.Load().routes {
		asked, others := jobs.EndpointSetOf(), jobs.EndpointSetOf()
		for _, other := range route.chain {
			if other.circuit == target.circuit {
				asked = other.Endpoints
				continue
			}
			if ready, _ := other.circuit.readiness(); ready == Flowing && other.circuit.trust() == 1 {
				others = others.With(other.Endpoints)
			}
		}
		if others.With(asked) != others {
			return false
		}
	}
	return true
}

// credit tells the baselines who answered as expected, and who did not where that
// was possible: an expectation that nobody keeps is held against nobody.
func (t *try) credit(target *target) {
	if !t.expectation.exists() || t.route == nil {
		return
	}
	asked := kindOf(t.request)
	target.baselines.lock(t.habit()).missed(false, &asked)
	target.baselines.mu.Unlock()
	for _, trace := range []jobs.Trace{t.history, t.trace} {
		for _, step := range trace {
			a := step.Attempt
			if a == nil || a.Class != jobs.Invalid || a.Code == degraded || a.Target == target.Name {
				continue
			}
			if other := t.router.plan.Load().byName[a.Target]; other != nil {
				other.baselines.lock(t.habit()).missed(true, &asked)
				other.baselines.mu.Unlock()
				t.heed(other, sample{failed: true})
			}
		}
	}
}

// oddsOfStrange are the odds of an answer where nothing is known of the change but
// that there is one.
func oddsOfStrange(strange bool) float64 {
	if strange {
		return math.Log(0.05 / 0.5)
	}
	return math.Log(0.95 / 0.5)
}
