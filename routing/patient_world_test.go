package routing

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

// A patientWorld is a few requests at the real router on a virtual clock, second by
// second, with targets that go down and come back as drawn. Every target answers
// within a second while it is up.
type patientWorld struct {
	t       *rapid.T
	clock   *clock
	router  *Router
	targets []*jobs.Target
	down    [][]span // by target
	all     []*patientRequest
}

type span struct{ from, to time.Duration }

type patientRequest struct {
	*jobs.Request
	history jobs.Trace
	rest    time.Time
	done    bool
	by      string
	missed  bool
	could   int // seconds near its deadline in which an affordable target would have taken its call
}

const worldStep = time.Second

func (w *patientWorld) isDown(target int, at time.Time) bool {
	since := at.Sub(newClock().at)
	for _, s := range w.down[target] {
		if since >= s.from && since < s.to {
			return true
		}
	}
	return false
}

func drawPatientWorld(t *rapid.T) *patientWorld {
	w := &patientWorld{t: t, clock: newClock()}
	n := rapid.IntRange(1, 4).Draw(t, "targets")
	for i := range n {
		price := jobs.MicroUSD(rapid.IntRange(1, 20).Draw(t, "price")) * 1_000_000
		target := &jobs.Target{Name: fmt.Sprintf("t%d", i), Provider: fmt.Sprintf("p%d", i), Price: jobs.Price{Input: price, Output: price}}
		if rapid.Bool().Draw(t, "paced") {
			target.Limits.RequestsPerMinute = rapid.SampledFrom([]int{1, 2, 6, 60, 600}).Draw(t, "limit")
		}
		w.targets = append(w.targets, target)
		var down []span
		for range rapid.IntRange(0, 3).Draw(t, "outages") {
			from := time.Duration(rapid.IntRange(-60, 1200).Draw(t, "from")) * time.Second
			down = append(down, span{from, from + time.Duration(rapid.IntRange(1, 1500).Draw(t, "length"))*time.Second})
		}
		w.down = append(w.down, down)
	}
	whenOpen := rapid.SampledFrom([]jobs.WhenOpen{"", jobs.WhenOpenReroute, jobs.WhenOpenWait, jobs.WhenOpenPrice, jobs.WhenOpenPrice}).Draw(t, "when_open")
	goal := rapid.SampledFrom([]string{Ordered, Cost}).Draw(t, "goal")
	w.router = New(Config{Routes: []jobs.Route{{Name: theRoute, Chain: w.targets, WhenOpen: whenOpen, Goal: goal}}, Provider: newScript(), Now: w.clock.now, Seed: 1})
	for i := range rapid.IntRange(1, 12).Draw(t, "requests") {
		r := &jobs.Request{
			ID: fmt.Sprint(i), Route: theRoute, CreatedAt: w.clock.now(),
			Body: []byte(`{"messages":[{"role":"user","content":"hello"}],"max_tokens":100}`),
		}
		if within := rapid.OneOf(rapid.Just(0), rapid.IntRange(60, 300), rapid.IntRange(1, 1200)).Draw(t, "within"); within > 0 {
			r.Deadline = r.CreatedAt.Add(time.Duration(within) * time.Second)
		}
		if rapid.Bool().Draw(t, "has a max_cost") {
			r.MaxCost = jobs.MicroUSD(rapid.IntRange(1, 2500).Draw(t, "max_cost"))
		}
		w.all = append(w.all, &patientRequest{Request: r})
	}
	return w
}

// tries has one request tried, as a worker does, and tells whether it held.
func (w *patientWorld) tries(r *patientRequest) (held bool) {
	now := w.clock.now()
	walk, no := w.router.Walk(r.Request, r.history)
	outcome := &no
	for walk != nil {
		ready, over := walk.Begin()
		if ready {
			over = walk.End(w.says(walk.Target()))
		}
		if over != nil {
			outcome, walk = over, nil
		}
	}
	for _, step := range outcome.Trace {
		switch {
		case step.Attempt != nil:
			r.history = append(r.history, step)
		case step.Wait != nil:
			w.checkWait(r, step.Wait)
		}
	}
	switch {
	case outcome.Verdict == jobs.Answered:
		r.done, r.by = true, outcome.Answer.Target
	case outcome.Verdict == jobs.Refused:
		r.done = true
	case !outcome.Held:
		if r.rest = outcome.Until; !r.rest.After(now) {
			r.rest = now.Add(worldStep)
		}
	}
	return outcome.Verdict == jobs.Blocked && outcome.Held
}

func (w *patientWorld) says(target *jobs.Target) (*jobs.Answer, *jobs.Error) {
	var i int
	_, _ = fmt.Sscanf(target.Name, "t%d", &i)
	if w.isDown(i, w.clock.now()) {
		return nil, &jobs.Error{Class: jobs.Overload, Status: 503, Said: true}
	}
	return &jobs.Answer{Body: []byte(`{}`), Usage: jobs.Usage{Input: 8, Output: 100}}, nil
}

// checkWait looks at the numbers of a wait.
func (w *patientWorld) checkWait(r *patientRequest, wait *jobs.Wait) {
	if wait.ExtraCost <= 0 || wait.Worth < 0 || wait.Worth >= wait.ExtraCost && w.router.plan.Load().routes[theRoute].WhenOpen == jobs.WhenOpenPrice {
		w.t.Fatalf("it waits with %+v", wait)
	}
	if !r.Deadline.IsZero() && (wait.Until.IsZero() || wait.Until.After(r.Deadline)) {
		w.t.Fatalf("it is wanted by %s and waits with %+v", r.Deadline, wait)
	}
	if wait.Reason == "" || wait.Target == wait.Next {
		w.t.Fatalf("nobody can explain %+v", wait)
	}
}

// affordable tells whether a target may take the request within its max_cost, after
// all that it has spent.
func (w *patientWorld) affordable(r *patientRequest, target *jobs.Target) bool {
	try := newTry(w.router, nil, r.Request, r.history)
	return try.dear(w.router.plan.Load().byName[target.Name]) == ""
}

// callable tells whether any affordable target would take a call now: its circuit is
// closed, it is up, and there is room in its pace.
func (w *patientWorld) callable(r *patientRequest) bool {
	for i, target := range w.targets {
		t := w.router.plan.Load().byName[target.Name]
		if ready, _ := t.circuit.readiness(); ready != Flowing || w.isDown(i, w.clock.now()) || !w.affordable(r, target) {
			continue
		}
		if ok, _, _ := t.pace.take(0); ok {
			t.pace.refund(0)
			return true
		}
	}
	return false
}

// steps lives through one second: the requests go in their order, each once.
func (w *patientWorld) steps() {
	now := w.clock.now()
	held := false
	for _, r := range w.all {
		if r.done {
			continue
		}
		if !r.Deadline.IsZero() && !now.Before(r.Deadline) {
			r.done, r.missed = true, true
			continue
		}
		for _, circuit := range w.router.Circuits() { // one that closed wakes who waits
			if circuit.State == jobs.CircuitClosed && circuit.Since.Equal(now) {
				r.rest = time.Time{}
			}
		}
		behind := held // whoever is behind one that holds is not asked
		if !held && !r.rest.After(now) {
			held = w.tries(r)
		}
		// In the tenth before its deadline that the law keeps for it, after its turn.
		if !r.done && !r.Deadline.IsZero() && r.Deadline.Sub(now) < r.Deadline.Sub(r.CreatedAt)/20 && !behind && w.callable(r) && failures(r.history) == 0 {
			r.could++
		}
	}
	for _, target := range w.targets { // as a prober does
		t := w.router.plan.Load().byName[target.Name]
		if ready, _ := t.circuit.readiness(); ready == ProbeReady {
			if permit, ok := t.circuit.Acquire(); ok {
				if _, err := w.says(target); err != nil {
					permit.Done(Failure, "503")
				} else {
					permit.Done(Success, "")
				}
			}
		}
	}
	w.clock.pass(worldStep)
}

// No deadline is missed that could have been met within max_cost, and nothing is spent
// above it: near its deadline no request waits while an affordable target would
// take its call. And a target that is cheaper is not passed over once it is back.
func TestNoDeadlineIsMissedThatCouldBeMet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawPatientWorld(t)
		for range 1300 {
			w.steps()
		}
		for _, r := range w.all {
			if r.MaxCost > 0 && r.history.Cost() > r.MaxCost {
				t.Fatalf("it spent %s of %s", r.history.Cost(), r.MaxCost)
			}
			if r.missed && r.could > 0 {
				t.Fatalf("request %s missed its deadline of %s, and could have been called in %d of its last seconds", r.ID, r.Deadline.Sub(r.CreatedAt), r.could)
			}
		}
	})
}

// A request that waits takes the cheap target when it is back, if that is before its
// latest start, and the dear one in time otherwise, whatever the numbers.
func TestWaitEndsWithWhoIsCheapOrInTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cheap := jobs.MicroUSD(rapid.IntRange(1, 10).Draw(t, "cheap")) * 1_000_000
		prices := map[string]jobs.MicroUSD{"cheap": cheap, "dear": cheap + 1_000_000*jobs.MicroUSD(rapid.IntRange(1, 50).Draw(t, "more"))}
		whenOpen := rapid.SampledFrom([]jobs.WhenOpen{jobs.WhenOpenWait, jobs.WhenOpenPrice}).Draw(t, "when_open")
		s := waiting(nil, whenOpen, prices, "cheap", "dear")
		w := &patientWorld{t: t, clock: s.clock, router: s.router}
		for _, target := range []string{"cheap", "dear"} {
			w.targets = append(w.targets, s.targets[target].Target)
		}
		r := &patientRequest{Request: &jobs.Request{
			Route: theRoute, CreatedAt: s.clock.now(), Deadline: s.clock.now().Add(time.Duration(rapid.IntRange(60, 86400).Draw(t, "within")) * time.Second),
			Body: []byte(`{"messages":[{"role":"user","content":"hello"}],"max_tokens":100}`),
		}}
		s.targets["cheap"].circuit.openNow()
		_, no := s.router.Walk(r.Request, nil)
		if no.Verdict != jobs.Blocked { // it went at once: there was too little time
			return
		}
		wait := no.Trace[len(no.Trace)-1].Wait
		if wait == nil || wait.Until.IsZero() || !wait.Until.Before(r.Deadline) {
			t.Fatalf("it waits with %+v", no)
		}
		if rapid.Bool().Draw(t, "it comes back") {
			s.clock.pass(time.Duration(rapid.Int64Range(0, int64(wait.Until.Sub(s.clock.now()))-1).Draw(t, "after")))
			s.targets["cheap"].circuit.closeNow()
			if walk, no := s.router.Walk(r.Request, nil); walk == nil || walk.Target().Name != "cheap" {
				t.Fatalf("it does not go to who is cheap and back: %+v", no)
			}
			return
		}
		s.clock.pass(wait.Until.Sub(s.clock.now()))
		s.targets["cheap"].circuit.Cool(s.clock.now().Add(time.Minute), "")
		if walk, no := s.router.Walk(r.Request, nil); walk == nil || walk.Target().Name != "dear" {
			t.Fatalf("it does not go to who is dear in time: %+v", no)
		}
	})
}

func (c *Circuit) openNow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open(time.Second, true, "a test")
}

func (c *Circuit) closeNow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cooldown.Store(noCooldown)
	c.close("a test")
}
