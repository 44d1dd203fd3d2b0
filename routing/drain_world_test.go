package routing

import (
	"cmp"
	"math"
	"math/rand/v2"
	"time"

	"tidegate/jobs"
	"tidegate/routing/simulator"
)

// A drainScene is a provider that comes back, and a fleet with a backlog.
type drainScene struct {
	name     string
	capacity simulator.Capacity
	burst    float64       // in seconds, that it takes at once; zero: one
	window   time.Duration // it counts by windows, each with its whole limit; zero: it fills evenly
	slowNo   bool          // refusals take seconds, too
	workers  int
	backlog  int
	arrivals float64 // a second
	lastGood float64 // calls a second, from before
	limits   jobs.Limits
	tokens   int     // of one call
	slow     bool    // answers take some seconds, else milliseconds
	relapses bool    // so a circuit opens once more
	most     float64 // of the optimum
	limited  float64 // the share of 429s that is too much; zero: 0.04
}

// unheardOf is a last good rate that is not known.
const unheardOf = 1e-9

// drainSlots is how many jobs are in one worker at once.
const drainSlots = 400

func orElse[N int | float64](value, otherwise N) N { return cmp.Or(value, otherwise) }

// A drained is what became of it.
type drained struct {
	optimum  time.Duration // what is left over drains within, from the first success
	took     time.Duration
	calls    int
	refused  int // with a 429
	failed   int
	trips    int // of a closed circuit, in any worker by itself
	droughts int // taken for one that takes nothing, in any worker by itself
	lastGood float64
}

func (d drained) overOptimal() float64 { return d.took.Seconds() / d.optimum.Seconds() }
func (d drained) rateLimited() float64 { return float64(d.refused) / float64(max(1, d.calls)) }

// A drainWorld runs a scene: events on a virtual clock, one provider, the real
// pace and the real circuit of every worker.
type drainWorld struct {
	drainScene
	began    time.Time
	now      time.Time
	events   drainEvents
	order    int
	random   *rand.Rand
	provider drainProvider
	workers  []*drainWorker
	backlog  int
	success  time.Time // the first one
	drained
}

// A drainWorker is one process of the fleet.
type drainWorker struct {
	*drainWorld
	name      string
	pace      *pace
	circuit   *Circuit
	closed    bool
	running   int
	wake      time.Time // the next time that it looks by itself; zero: none
	accepted  float64   // as of its latest beat
	announced float64
}

// drainEvents are a heap, the earliest first; of one time, in the order in which
// they were made.
type drainEvents []drainEvent

type drainEvent struct {
	at    time.Time
	order int
	do    func()
}

func (e drainEvent) before(other drainEvent) bool {
	c := e.at.Compare(other.at)
	return c < 0 || c == 0 && e.order < other.order
}

func (e *drainEvents) push(event drainEvent) {
	*e = append(*e, event)
	all := *e
	i := len(all) - 1
	for up := (i - 1) / 2; i > 0 && event.before(all[up]); up = (i - 1) / 2 {
		all[i] = all[up]
		i = up
	}
	all[i] = event
}

func (e *drainEvents) pop() drainEvent {
	all := *e
	first, last := all[0], all[len(all)-1]
	*e = all[:len(all)-1]
	all = *e
	i := 0
	for down := 1; down < len(all); down = 2*i + 1 {
		if down+1 < len(all) && all[down+1].before(all[down]) {
			down++
		}
		if !all[down].before(last) {
			break
		}
		all[i] = all[down]
		i = down
	}
	if len(all) > 0 {
		all[i] = last
	}
	return first
}

func (w *drainWorld) after(d time.Duration, do func()) { w.at(w.now.Add(max(0, d)), do) }

func (w *drainWorld) at(t time.Time, do func()) {
	w.order++
	w.events.push(drainEvent{at: t, order: w.order, do: do})
}

// newDrainWorld puts a fleet before a provider that has just come back. All know
// that it was down; the next probe is due within a second.
func newDrainWorld(scene drainScene, seed uint64) *drainWorld {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	w := &drainWorld{drainScene: scene, began: began, now: began, random: rand.New(rand.NewPCG(seed, 1)), backlog: scene.backlog}
	w.drained.lastGood = scene.lastGood
	w.provider = drainProvider{Capacity: scene.capacity, burst: cmp.Or(scene.burst, 1), window: scene.window, level: 1, at: began.Add(-time.Minute)}
	clock := func() time.Time { return w.now }
	probe := began.Add(time.Duration(w.random.Float64() * float64(time.Second)))
	for i := range scene.workers {
		worker := &drainWorker{drainWorld: w, name: string(rune('a' + i))}
		config := Config{Fleet: true, Now: clock, Seed: seed, OnChange: func(said jobs.Circuit) {
			w.after(2*time.Millisecond, func() { w.tell(worker, said) })
		}}
		worker.circuit = newCircuit(&jobs.Target{Name: "t"}, config)
		worker.circuit.follow(tripped{until: probe}, "it was down")
		worker.pace = newPace(scene.limits, clock, rand.New(rand.NewPCG(seed, uint64(i))))
		w.workers = append(w.workers, worker)
	}
	for _, worker := range w.workers {
		w.after(0, worker.beat)
		w.at(probe, worker.look)
	}
	w.at(probe.Add(-time.Nanosecond), w.lendProbe)
	w.after(0, w.arrive)
	return w
}

func (w *drainWorld) run() drained {
	for w.took == 0 && w.now.Sub(w.began) < 4*time.Hour {
		next := w.events.pop()
		w.now = next.at
		next.do()
	}
	w.optimum = w.best()
	return w.drained
}

// best is how long a fleet would take that used all of the capacity from the
// first success on.
func (w *drainWorld) best() time.Duration {
	const step = 10 * time.Millisecond
	since, left := w.success.Sub(w.began), float64(w.drainScene.backlog)+w.arrivals*w.success.Sub(w.began).Seconds()
	t := time.Duration(0)
	for ; left > 0; t += step {
		left += (w.arrivals - w.capacity.At(since+t)) * step.Seconds()
	}
	return t
}

func (w *drainWorld) arrive() {
	w.backlog++
	w.workers[w.random.IntN(len(w.workers))].look()
	w.after(time.Duration(w.random.ExpFloat64()/w.arrivals*float64(time.Second)), w.arrive)
}

// tell gives the others what one worker says of its circuit.
func (w *drainWorld) tell(from *drainWorker, said jobs.Circuit) {
	for _, worker := range w.workers {
		if worker != from && worker.circuit.adopt(said) {
			worker.turned()
		}
	}
	if said.State == jobs.CircuitOpen {
		w.at(said.CooldownUntil, w.lendProbe)
	}
}

// lendProbe gives the fleet's probe to the first worker that has use for it.
func (w *drainWorld) lendProbe() {
	for _, worker := range w.workers {
		said := worker.circuit.Snapshot()
		if said.State == jobs.CircuitOpen && !said.CooldownUntil.After(w.now) && worker.circuit.grant(said.Generation) {
			worker.look()
			return
		}
	}
}

// look makes every call that may be made now.
func (w *drainWorker) look() {
	if !w.wake.After(w.now) {
		w.wake = time.Time{}
	}
	for w.backlog > 0 && w.running < drainSlots {
		ready, until := w.circuit.readiness()
		if ready == Shut {
			w.lookAt(until)
			return
		}
		if ready == Flowing {
			if ok, again, _ := w.pace.take(w.tokens); !ok {
				w.lookAt(again)
				return
			}
		}
		permit, ok := w.circuit.Acquire()
		if !ok {
			w.pace.refund(w.tokens)
			return
		}
		w.call(permit, ready == Flowing)
	}
}

func (w *drainWorker) lookAt(t time.Time) {
	if t.IsZero() || !w.wake.IsZero() && !t.Before(w.wake) {
		return
	}
	w.wake = t
	w.at(t, w.look)
}

func (w *drainWorker) call(permit Permit, paced bool) {
	w.running++
	w.backlog--
	w.calls++
	end, latency := w.provider.answer(w.now, w.now.Sub(w.began))
	if end.class == jobs.OK {
		latency = time.Millisecond + time.Duration(w.random.ExpFloat64()*float64(2*time.Millisecond))
		end.usage = jobs.Usage{Input: w.tokens}
		if w.slow {
			latency = time.Duration(6 * math.Exp(0.6*w.random.NormFloat64()) * float64(time.Second))
		}
	} else if w.slowNo {
		latency = time.Duration((2 + 2*w.random.Float64()) * float64(time.Second))
	} else if w.slow {
		latency = time.Duration((0.15 + 0.2*w.random.Float64()) * float64(time.Second))
	}
	end.tokens, end.latency = w.tokens, latency
	if left := w.backlog; end.class == jobs.OK && left <= 5 && w.took == 0 && w.now.Sub(w.began) > 5*time.Second {
		w.took = w.now.Sub(w.success)
	}
	w.after(latency, func() { w.ended(permit, paced, end) })
}

func (w *drainWorker) ended(permit Permit, paced bool, end paceEnd) {
	w.running--
	if end.class == jobs.OK && w.success.IsZero() {
		w.success = w.now
	}
	if paced {
		w.pace.done(end)
	} else {
		w.pace.heard(end)
	}
	switch end.class {
	case jobs.OK:
		permit.Done(Success, "")
		if permit.Probe() {
			w.turned()
		}
	case jobs.Rate:
		w.refused++
		w.backlog++
		if wait := w.circuit.limited(end.retryAfter); wait > 0 {
			if end.retryAfter < pauseBelow {
				w.droughts++
			}
			w.circuit.Cool(w.now.Add(wait), "429")
		}
		if !permit.Probe() {
			permit.Done(Neutral, "")
			break
		}
		w.circuit.Cool(w.now.Add(time.Second), "429")
		permit.Done(Success, "")
		w.turned()
	default:
		w.failed++
		w.backlog++
		permit.Done(Failure, string(end.class))
		if w.turned() {
			w.trips++
		}
	}
	w.look()
}

// turned tells the pace what became of the circuit, and whether it opened.
func (w *drainWorker) turned() bool {
	closed := w.circuit.Snapshot().State == jobs.CircuitClosed
	if closed == w.closed {
		return false
	}
	w.closed = closed
	if !closed {
		w.pace.tripped()
		return true
	}
	w.pace.recovered()
	w.look()
	return false
}

// beat is what a worker and its fleet tell each other, each second.
func (w *drainWorker) beat() {
	w.accepted, w.announced = w.pace.report()
	demand, sum := map[string]int{}, 0.0
	said := paceShare{Workers: len(w.workers)}
	for _, other := range w.workers {
		demand[other.name] = other.running + min(drainSlots, w.backlog/len(w.workers))
		sum += other.accepted
		said.Announced = max(said.Announced, other.announced)
	}
	w.drained.lastGood = max(w.drained.lastGood, sum, said.Announced)
	said.LastGood, said.Share = w.drained.lastGood, sharesOf(demand)[w.name]
	if said.LastGood <= unheardOf {
		said.LastGood = 0
	}
	w.pace.follow(said)
	w.look()
	w.after(time.Second-time.Duration(w.random.IntN(20))*time.Millisecond, w.beat)
}

// A drainProvider keeps a capacity as package simulator does.
type drainProvider struct {
	simulator.Capacity
	burst     float64
	window    time.Duration
	level     float64
	at        time.Time
	offered   float64
	offeredAt time.Time
}

func (p *drainProvider) answer(now time.Time, since time.Duration) (paceEnd, time.Duration) {
	rate := p.At(since)
	if p.window == 0 {
		p.level = min(max(1, rate*p.burst), p.level+now.Sub(p.at).Seconds()*rate)
	} else if !now.Truncate(p.window).Equal(p.at.Truncate(p.window)) {
		p.level = rate * p.window.Seconds()
	}
	p.offered = p.offered*math.Exp(-max(0, now.Sub(p.offeredAt).Seconds())/2) + 0.5
	p.at, p.offeredAt = now, now
	end := paceEnd{class: jobs.OK}
	if p.Announces {
		end.allowance.RequestsPerMinute = int(math.Round(p.PerSecond * 60))
	}
	switch {
	case rate == 0:
		return paceEnd{class: jobs.Overload}, time.Millisecond
	case p.Melts && p.offered > 2*rate:
		p.level = max(0, p.level-1)
		end.class = jobs.Overload
	case p.level < 1:
		end.class = jobs.Rate
		end.retryAfter = p.wait(time.Duration(math.Ceil((1 - p.level) / rate * float64(time.Second))))
		if p.window > 0 {
			end.retryAfter = p.wait(now.Truncate(p.window).Add(p.window).Sub(now))
		}
	default:
		p.level--
	}
	return end, time.Millisecond
}

// wait is how the provider tells how long to wait.
func (p *drainProvider) wait(d time.Duration) time.Duration {
	switch p.RetryAfter {
	case simulator.RetryNone:
		return 0
	case simulator.RetrySeconds:
		return (d + time.Second - 1).Truncate(time.Second)
	default:
		return d
	}
}
