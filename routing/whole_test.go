package routing

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

// A phase is how a provider behaves for a while.
type phase struct {
	lasts      time.Duration
	class      jobs.Class    // of what fails
	share      float64       // of the calls that fail
	retryAfter time.Duration // that it asks for
}

func aPhase(t *rapid.T) phase {
	return phase{
		lasts:      time.Duration(rapid.IntRange(1, 120).Draw(t, "lasts")) * time.Second,
		class:      rapid.SampledFrom([]jobs.Class{jobs.OK, jobs.Overload, jobs.Transient, jobs.Timeout, jobs.Rate, jobs.Quota}).Draw(t, "class"),
		share:      rapid.SampledFrom([]float64{0.25, 0.5, 1}).Draw(t, "share"),
		retryAfter: time.Duration(rapid.SampledFrom([]int{0, 0, 1, 7, 90}).Draw(t, "retry after")) * time.Second,
	}
}

// A town is a router under callers that come all at once, on the clock of a
// bubble, and providers that go through their phases. It knows what must never
// happen.
type town struct {
	t      *rapid.T
	router *Router
	phases []phase // and well after them
	began  time.Time

	mu       sync.Mutex
	calls    int
	probes   map[string]int
	answered int
	wrong    string // what should not have happened
}

func (w *town) phase() phase {
	passed := time.Since(w.began)
	for _, p := range w.phases {
		if passed < p.lasts {
			return p
		}
		passed -= p.lasts
	}
	return phase{class: jobs.OK}
}

func (w *town) Check(*jobs.Target, jobs.Endpoint, []byte) error { return nil }

// Complete takes its time, and looks whether the call was allowed.
func (w *town) Complete(_ context.Context, target *jobs.Target, _ jobs.Endpoint, _ []byte) (*jobs.Answer, *jobs.Error) {
	probe := w.begin(target.Name)
	p := w.phase()
	w.mu.Lock()
	w.calls++
	n := w.calls
	w.mu.Unlock()
	fails := p.class != jobs.OK && float64(n%4) < 4*p.share
	<-time.After(time.Duration(50+37*(n%11)) * time.Millisecond)
	w.mu.Lock()
	defer w.mu.Unlock()
	if probe {
		w.probes[target.Name]--
	}
	if fails {
		return nil, &jobs.Error{Class: p.class, Said: true, RetryAfter: p.retryAfter}
	}
	w.answered++
	return &jobs.Answer{Body: []byte(`{}`)}, nil
}

// begin tells whether the call is a probe.
func (w *town) begin(name string) bool {
	c := w.router.plan.Load().byName[name].circuit.Snapshot()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch probe := c.State != jobs.CircuitClosed; {
	case c.CooldownUntil.After(time.Now()):
		w.wrong = name + " was called in its cooldown"
		return false
	case c.State == jobs.CircuitOpen:
		w.wrong = name + " was called though its circuit is open"
		return false
	case probe && w.probes[name] > 0:
		w.wrong = name + " has two probes at once"
		return false
	case probe:
		w.probes[name]++
		return true
	default:
		return false
	}
}

// see sees one request through, as a worker does.
func (w *town) see(request *jobs.Request) {
	var history jobs.Trace
	for {
		o := w.router.Route(context.Background(), request, history)
		history = append(history, o.Trace...)
		if o.Verdict != jobs.Blocked {
			return
		}
		wait := time.Second // and then somebody looks again, when nobody knows when
		if !o.Until.IsZero() {
			wait = max(time.Until(o.Until), 10*time.Millisecond)
		}
		<-time.After(wait)
	}
}

// Whatever providers do: never two probes at once, never a call while a cooldown
// runs or a circuit is open, never a request lost, and once they are well again
// everything drains.
func TestCircuitGateAndPaceTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ testing.TB }{t}, func(rt *rapid.T) { // without its deadline, which a bubble has not
			w := &town{t: rt, began: time.Now(), probes: map[string]int{}}
			var chain []*jobs.Target
			var longest time.Duration
			for i := range rapid.IntRange(1, 3).Draw(rt, "targets") {
				chain = append(chain, &jobs.Target{
					Name: string(rune('a' + i)), Provider: string(rune('a' + i)),
					Limits: jobs.Limits{Concurrency: rapid.IntRange(0, 5).Draw(rt, "slots"), RequestsPerMinute: rapid.SampledFrom([]int{0, 0, 600, 6000}).Draw(rt, "limit")},
				})
			}
			for range rapid.IntRange(1, 5).Draw(rt, "phases") {
				w.phases = append(w.phases, aPhase(rt))
				longest += w.phases[len(w.phases)-1].lasts
			}
			w.router = New(Config{Routes: []jobs.Route{{Name: theRoute, Chain: chain}}, Provider: w, Seed: rapid.Uint64().Draw(rt, "seed")})
			const callers = 40
			inParallel(callers, func() { w.see(&jobs.Request{Route: theRoute}) })
			if w.wrong != "" {
				rt.Fatal(w.wrong)
			}
			if w.answered != callers {
				rt.Fatalf("%d of %d were answered", w.answered, callers)
			}
			// The longest wait is that of a trip, which doubles with the outage.
			if took := time.Since(w.began); took > 3*longest+5*time.Minute {
				rt.Fatalf("it took %s to drain, with %s of trouble", took, longest)
			}
		})
	})
}
