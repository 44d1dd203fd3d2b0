package routing

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

// A world is a router with random targets, whose provider does random things,
// and the requests that are on their way through it.
type world struct {
	*story
	t       *rapid.T
	waiting []*traveller
	called  map[string]bool // in this try
	all     []*jobs.Target  // that were ever configured, as they were last
}

type traveller struct {
	request *jobs.Request
	history jobs.Trace
}

// aWorld draws targets that share accounts and keys, and have windows, prices
// and slots.
func aWorld(t *rapid.T) *world {
	var targets []*jobs.Target
	for i := range rapid.IntRange(1, 4).Draw(t, "targets") {
		targets = append(targets, &jobs.Target{
			Name:          fmt.Sprintf("t%d", i),
			Provider:      rapid.SampledFrom([]string{"one", "two"}).Draw(t, "provider"),
			Key:           rapid.SampledFrom([]jobs.Secret{"k1", "k2"}).Draw(t, "key"),
			ContextTokens: rapid.SampledFrom([]int{0, 1000, 2000}).Draw(t, "window"),
			Price:         jobs.Price{Output: rapid.SampledFrom([]jobs.MicroUSD{0, 1e6, 50e6}).Draw(t, "price")},
			Limits:        jobs.Limits{Concurrency: rapid.IntRange(0, 2).Draw(t, "slots")},
		})
	}
	w := &world{story: chainOf(nil, targets...), t: t, all: targets}
	w.provider.during = w.answer
	return w
}

// answer is any class at all, and looks whether the call was allowed.
func (w *world) answer(_ context.Context, target string, _ []byte) *jobs.Error {
	if w.called[target] {
		w.t.Fatalf("%s was called twice in one try", target)
	}
	w.called[target] = true
	circuit := w.targets[target].circuit.Snapshot()
	if circuit.CooldownUntil.After(w.clock.now()) || circuit.State == jobs.CircuitOpen {
		w.t.Fatalf("%s was called though %+v", target, circuit)
	}
	if rapid.IntRange(0, 9).Draw(w.t, "reload meanwhile") == 0 {
		var chain []*jobs.Target
		for _, t := range w.router.plan.Load().targets {
			chain = append(chain, w.redraw(w.t, t.Target))
		}
		w.router.Reload([]jobs.Route{{Name: theRoute, Chain: chain}})
	}
	w.clock.pass(time.Duration(rapid.IntRange(0, 3000).Draw(w.t, "latency")) * time.Millisecond)
	class := rapid.SampledFrom(jobs.Classes()).Draw(w.t, "class")
	if class == jobs.OK {
		return nil
	}
	return &jobs.Error{
		Class: class, Usage: jobs.Usage{Output: 10},
		RetryAfter: time.Duration(rapid.SampledFrom([]int{0, 0, 5, 100}).Draw(w.t, "retry after")) * time.Second,
	}
}

// try routes a request once, checks the outcome, and says whether it has ended.
func (w *world) try(t *rapid.T, tr *traveller) bool {
	w.called = map[string]bool{}
	o := w.router.Route(context.Background(), tr.request, tr.history)
	w.outcome = o
	tr.history = append(tr.history, o.Trace...)
	w.checkTrace(t, o.Trace)
	switch o.Verdict {
	case jobs.Answered:
		last := o.Trace[len(o.Trace)-1].Attempt
		if o.Answer == nil || o.Err != nil || last == nil || last.Class != jobs.OK || last.Target != o.Answer.Target {
			t.Fatalf("answered, and yet %s", w.told())
		}
	case jobs.Refused:
		if o.Err == nil || o.Answer != nil || o.Held {
			t.Fatalf("refused, and yet %s", w.told())
		}
	case jobs.Blocked:
		w.checkBlocked(t, o)
	default:
		t.Fatalf("no verdict: %+v", o)
	}
	w.checkFreed(t)
	return o.Verdict != jobs.Blocked
}

func (w *world) checkTrace(t *rapid.T, trace jobs.Trace) {
	seen, targets := 0, w.router.plan.Load().targets
	for _, step := range trace {
		var name string
		if step.Attempt != nil {
			name = step.Attempt.Target
		} else {
			name = step.Skip.Target
			if step.Skip.Reason == "" {
				t.Fatalf("a skip without a reason: %s", w.told())
			}
		}
		for seen < len(targets) && targets[seen].Name != name {
			seen++
		}
		if seen++; seen > len(targets) {
			t.Fatalf("the trace is out of order: %s", w.told())
		}
	}
}

func (w *world) checkBlocked(t *rapid.T, o jobs.Outcome) {
	n, _ := w.router.Admits(theRoute)
	if o.Held != (n == 0) && !w.paced(o) {
		t.Fatalf("the gate admits %d, and yet %s", n, w.told())
	}
	if !o.Held && !o.Until.After(w.clock.now()) { // it would come back at once, for ever
		t.Fatalf("asked again at once: %s", w.told())
	}
	if o.Reason == "" || o.Answer != nil {
		t.Fatalf("blocked, and yet %s", w.told())
	}
}

// paced tells whether a request waits for its turn at a target that is in order.
func (w *world) paced(o jobs.Outcome) bool {
	last := o.Trace[len(o.Trace)-1]
	if last.Attempt != nil {
		return last.Attempt.Class == jobs.Rate
	}
	ready, _, _ := w.targets[last.Skip.Target].circuit.Ready()
	return ready == Flowing
}

// redraw configures a target in another way.
func (w *world) redraw(t *rapid.T, target *jobs.Target) *jobs.Target {
	next := *target
	next.Key = rapid.SampledFrom([]jobs.Secret{"k1", "k2", "k3"}).Draw(t, "new key")
	next.Limits.Concurrency = rapid.IntRange(0, 2).Draw(t, "new slots")
	next.Circuit.Window = rapid.IntRange(0, 10).Draw(t, "new window")
	next.Circuit.FailuresInARow = rapid.IntRange(0, 3).Draw(t, "new row")
	return &next
}

// reload configures some of all targets anew, in any order.
func (w *world) reload(t *rapid.T) {
	chain := rapid.Permutation(w.all).Draw(t, "order")
	chain = append([]*jobs.Target{}, chain[:rapid.IntRange(1, len(chain)).Draw(t, "how many")]...)
	for i, target := range chain {
		chain[i] = w.redraw(t, target)
	}
	w.router.Reload([]jobs.Route{{Name: theRoute, Chain: chain}})
}

// checkFreed looks that nothing is left in anybody's hands.
func (w *world) checkFreed(t *rapid.T) {
	for _, target := range w.targets {
		if n := target.pace.snapshot().InFlight; n != 0 {
			t.Fatalf("%d places of %s have leaked", n, target.Name)
		}
		if target.circuit.probeOut {
			t.Fatalf("the probe of %s has leaked", target.Name)
		}
	}
}

func TestRouterInAnyWorld(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := aWorld(t)
		t.Repeat(map[string]func(*rapid.T){
			"new": func(t *rapid.T) {
				w.t = t
				request := &jobs.Request{Route: theRoute, MaxCost: rapid.SampledFrom([]jobs.MicroUSD{0, 0, 1000}).Draw(t, "max_cost")}
				tr := &traveller{request: request}
				if !w.try(t, tr) {
					w.waiting = append(w.waiting, tr)
				}
			},
			"again": func(t *rapid.T) {
				w.t = t
				if len(w.waiting) == 0 {
					return
				}
				i := rapid.IntRange(0, len(w.waiting)-1).Draw(t, "who")
				if w.try(t, w.waiting[i]) {
					w.waiting = append(w.waiting[:i], w.waiting[i+1:]...)
				}
			},
			"reload": w.reload,
			"pass": func(t *rapid.T) {
				w.clock.pass(time.Duration(rapid.SampledFrom([]int{10, 1000, 60_000}).Draw(t, "ms")) * time.Millisecond)
			},
		})
		w.drains(t)
	})
}

// drains lets the providers recover and looks that everybody who waits ends,
// within the longest wait that there is.
func (w *world) drains(t *rapid.T) {
	w.provider.during = nil
	until := w.clock.now().Add(2 * tripWaitMax)
	for len(w.waiting) > 0 {
		if w.clock.now().After(until) {
			t.Fatalf("%d requests are stuck; the first: %s", len(w.waiting), w.told())
		}
		still := w.waiting[:0]
		for _, tr := range w.waiting {
			if !w.try(t, tr) {
				still = append(still, tr)
			}
		}
		w.waiting = still
		w.clock.pass(10 * time.Second)
	}
}
