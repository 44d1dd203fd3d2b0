package routing

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

// A paceModel says in the plainest way what no pace may do, whatever its law: pass
// the account's limits, the places or a pause. It counts time by what passed, so
// it knows nothing of a clock that jumps.
type paceModel struct {
	limits   jobs.Limits
	share    float64
	calls    modelBucket
	tokens   modelBucket
	passed   time.Duration
	paused   time.Duration // until then
	inFlight []int         // the tokens of each call that is out
}

// A modelBucket holds one at first, and fills with its whole limit all the time.
type modelBucket struct {
	perMinute int // zero: no limit
	level     float64
}

func (b *modelBucket) rate(share float64) float64 { return share * float64(b.perMinute) / 60 }
func (b *modelBucket) most(share float64) float64 { return max(1, b.rate(share)/2) }

// add lets it fill, or gives back; a negative amount is taken. It may go into debt.
func (b *modelBucket) add(amount, share float64) {
	if b.perMinute > 0 {
		b.level = min(b.level+amount, b.most(share))
	}
}

type paceMachine struct {
	clock *clock
	pace  *pace
	model paceModel
}

func TestPaceAgainstItsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limits := jobs.Limits{
			RequestsPerMinute: rapid.SampledFrom([]int{0, 1, 30, 600, 30_000}).Draw(t, "rpm"),
			TokensPerMinute:   rapid.SampledFrom([]int{0, 100, 60_000}).Draw(t, "tpm"),
			Concurrency:       rapid.SampledFrom([]int{0, 1, 5}).Draw(t, "concurrency"),
		}
		m := &paceMachine{clock: newClock(), model: paceModel{
			limits: limits, share: 1, paused: -1,
			calls:  modelBucket{perMinute: limits.RequestsPerMinute, level: 1},
			tokens: modelBucket{perMinute: limits.TokensPerMinute, level: 1},
		}}
		m.model.add(0)
		m.pace = newPace(limits, m.clock.now, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)))
		t.Repeat(rapid.StateMachineActions(m))
		m.callsInTheEnd(t)
	})
}

// add lets both buckets fill for d.
func (m *paceModel) add(d time.Duration) {
	m.passed += d
	m.calls.add(d.Seconds()*m.calls.rate(m.share), m.share)
	m.tokens.add(d.Seconds()*m.tokens.rate(m.share), m.share)
}

// Take asks for calls, some at once.
func (m *paceMachine) Take(t *rapid.T) {
	tokens := rapid.IntRange(0, 5000).Draw(t, "tokens")
	for range rapid.IntRange(1, 40).Draw(t, "n") {
		ok, again, reason := m.pace.take(tokens)
		if !ok {
			if reason == "" || !again.IsZero() && !again.After(m.clock.now()) {
				t.Fatalf("refused with the reason %q, and again in %s", reason, again.Sub(m.clock.now()))
			}
			return
		}
		m.took(t, tokens)
	}
}

func (m *paceMachine) took(t *rapid.T, tokens int) {
	const slop = 1e-6 // of rounding
	switch model := &m.model; {
	case model.passed < model.paused:
		t.Fatalf("a call in a pause, %s before its end", model.paused-model.passed)
	case model.limits.Concurrency > 0 && len(model.inFlight) >= model.limits.Concurrency:
		t.Fatalf("a call beyond %d at once", model.limits.Concurrency)
	case model.calls.perMinute > 0 && model.calls.level < 1-slop:
		t.Fatalf("a call with only %v of its share of the limit left", model.calls.level)
	case model.tokens.perMinute > 0 && model.tokens.level <= 0:
		t.Fatalf("a call with %v tokens left", model.tokens.level)
	}
	m.model.calls.add(-1, m.model.share)
	m.model.tokens.add(-float64(tokens), m.model.share)
	m.model.inFlight = append(m.model.inFlight, tokens)
}

// ends picks a call that is out, if one is.
func (m *paceMachine) ends(t *rapid.T) (tokens int, ok bool) {
	out := m.model.inFlight
	if len(out) == 0 {
		return 0, false
	}
	i := rapid.IntRange(0, len(out)-1).Draw(t, "call")
	tokens = out[i]
	m.model.inFlight = slices.Delete(out, i, i+1)
	return tokens, true
}

// Refund gives a call back that was not made.
func (m *paceMachine) Refund(t *rapid.T) {
	if tokens, ok := m.ends(t); ok {
		m.pace.refund(tokens)
		m.model.calls.add(1, m.model.share)
		m.model.tokens.add(float64(tokens), m.model.share)
	}
}

// Done ends a call in any way.
func (m *paceMachine) Done(t *rapid.T) {
	tokens, ok := m.ends(t)
	if !ok {
		return
	}
	end := m.end(t)
	end.tokens = tokens
	end.usage.Output = rapid.IntRange(0, 5000).Draw(t, "used")
	m.pace.done(end)
	switch {
	case end.class == jobs.Rate:
		m.model.tokens.add(float64(tokens), m.model.share)
	case end.usage.Output > 0:
		m.model.tokens.add(float64(tokens-end.usage.Output), m.model.share)
	}
	if end.class == jobs.Rate && end.retryAfter < 5*time.Second && end.retryAfter > 0 {
		m.model.paused = max(m.model.paused, m.model.passed+end.retryAfter)
	}
	m.hears(end)
}

// Heard ends a probe.
func (m *paceMachine) Heard(t *rapid.T) {
	end := m.end(t)
	m.pace.heard(end)
	m.hears(end)
}

func (m *paceMachine) end(t *rapid.T) paceEnd {
	return paceEnd{
		class:      rapid.SampledFrom(append(jobs.Classes(), jobs.OK, jobs.OK, jobs.OK, jobs.Rate)).Draw(t, "class"),
		latency:    time.Duration(rapid.SampledFrom([]int{0, 5, 3000}).Draw(t, "latency")) * time.Millisecond,
		retryAfter: time.Duration(rapid.SampledFrom([]int{0, 0, 5, 1000, 60_000}).Draw(t, "wait")) * time.Millisecond,
		allowance: jobs.Allowance{
			RequestsPerMinute: rapid.SampledFrom([]int{0, 0, 0, 120, 6000}).Draw(t, "announced"),
			TokensPerMinute:   rapid.SampledFrom([]int{0, 0, 0, 1000, 90_000}).Draw(t, "tokens announced"),
		},
	}
}

// hears is how an announced limit changes the model: the lower one holds.
func (m *paceMachine) hears(end paceEnd) {
	lower := func(b *modelBucket, configured, announced int) {
		unknown := b.perMinute == 0
		switch {
		case announced == 0:
			return
		case configured == 0:
			b.perMinute = announced
		default:
			b.perMinute = min(configured, announced)
		}
		b.add(0, m.model.share)
		if unknown { // something may have been saved up at the rate of before
			b.level = b.most(m.model.share)
		}
	}
	lower(&m.model.calls, m.model.limits.RequestsPerMinute, end.allowance.RequestsPerMinute)
	lower(&m.model.tokens, m.model.limits.TokensPerMinute, end.allowance.TokensPerMinute)
}

// Trip opens the circuit, Recover closes it.
func (m *paceMachine) Trip(*rapid.T) { m.pace.tripped() }

// Recover closes the circuit.
func (m *paceMachine) Recover(*rapid.T) { m.pace.recovered() }

// Follow changes the share. What was said last is the most that it may be.
func (m *paceMachine) Follow(t *rapid.T) {
	m.model.share = rapid.SampledFrom([]float64{0.05, 0.25, 0.5, 1}).Draw(t, "share")
	m.pace.follow(paceShare{
		Share: m.model.share, Workers: 2,
		LastGood: rapid.SampledFrom([]float64{0, 0.5, 50, 1000}).Draw(t, "last good"),
	})
	m.model.add(0)
}

// Pass lets time pass.
func (m *paceMachine) Pass(t *rapid.T) {
	d := time.Duration(rapid.SampledFrom([]int{1, 30, 500, 1000, 3000, 3_600_000}).Draw(t, "ms")) * time.Millisecond
	m.clock.pass(d)
	m.model.add(d)
}

// Jump sets the clock back, and somebody looks at it.
func (m *paceMachine) Jump(t *rapid.T) {
	m.clock.pass(-time.Duration(rapid.IntRange(1, 3600).Draw(t, "seconds")) * time.Second)
	m.pace.report()
}

// Check looks at what holds at any time.
func (m *paceMachine) Check(t *rapid.T) {
	s := m.pace.snapshot()
	if s.InFlight != len(m.model.inFlight) {
		t.Fatalf("%d calls are out, want %d", s.InFlight, len(m.model.inFlight))
	}
	if !(s.Rate > 0) || s.Rate > s.Limit || s.Accepted < 0 || s.Share > m.model.share {
		t.Fatalf("what it shows is wrong: %+v", s)
	}
}

// callsInTheEnd: whatever was, who asks when he is told to gets his call.
func (m *paceMachine) callsInTheEnd(t *rapid.T) {
	for len(m.model.inFlight) > 0 {
		tokens, _ := m.ends(t)
		m.pace.done(paceEnd{class: jobs.Lost, tokens: tokens})
	}
	for range 1000 {
		ok, again, reason := m.pace.take(1)
		if ok {
			return
		}
		if again.IsZero() {
			t.Fatalf("nothing is out, and it wants to be told something: %s", reason)
		}
		m.clock.pass(again.Sub(m.clock.now()))
	}
	t.Fatal("it does not call any more")
}
