package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"tidegate/integration/bench"
	"tidegate/jobs"
	"tidegate/routing"
)

const (
	lookEvery = 5 * time.Second // as a supervisor does
	beatEvery = 2 * time.Second
	longest   = 24 * time.Hour
	settling  = 5 * time.Minute // work before what is measured
	observer  = "somebody who asks"
)

// A world lives through a scene: a worker around the real router, and beside it a
// supervisor that looks, and somebody who asks for forecasts.
type world struct {
	bench.Agenda

	scene  *scene
	usual  time.Duration // that the drain takes if nothing happens
	began  time.Time
	random *rand.Rand
	router *routing.Router
	asks   *routing.Router
	queues []*queue
	takes  []bucket
	good   map[string]float64
	turned []jobs.Circuit
	made   []made
}

// A queue is what waits on a route: those that are measured, and others before and
// behind them.
type queue struct {
	*load
	name                 string
	before, ours, behind int // that wait
	running              int
	left                 int // of ours
	ended, seen          int // now, and at the last look
	lookAt               time.Time
	progress             jobs.Progress
	doneAt               time.Time
	came                 int
}

// A made forecast is one, and whose.
type made struct {
	queue int
	at    time.Time
	said  jobs.Forecast
}

type bucket struct {
	level float64
	at    time.Time
}

func newWorld(s *scene, usual time.Duration, seed uint64) *world {
	w := &world{scene: s, usual: usual, began: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), random: rand.New(rand.NewPCG(seed, 3)), good: map[string]float64{}}
	w.Now = w.began
	targets := make([]*jobs.Target, len(s.targets))
	for i, p := range s.targets {
		targets[i] = &jobs.Target{Name: fmt.Sprint("t", i), Provider: fmt.Sprint("p", i), Model: "m", Price: jobs.Price{}, Limits: p.limits, Timeouts: jobs.DefaultTimeouts}
	}
	w.takes = make([]bucket, len(targets))
	var routes []jobs.Route
	for i := range s.routes {
		l := &s.routes[i]
		q := &queue{load: l, name: fmt.Sprint("route", i), ours: l.jobs, left: l.jobs}
		if l.settled {
			q.before = 1 << 30
		}
		q.progress.Route = q.name
		w.queues = append(w.queues, q)
		route := jobs.Route{Name: q.name}
		for _, at := range l.chain {
			route.Chain = append(route.Chain, targets[at])
		}
		routes = append(routes, route)
	}
	clock := func() time.Time { return w.Now }
	w.router = routing.New(routing.Config{Routes: routes, Provider: w, Now: clock, Seed: seed, OnChange: func(c jobs.Circuit) { w.turned = append(w.turned, c) }})
	w.asks = routing.New(routing.Config{Routes: routes, Provider: w, Now: clock, Seed: seed, Fleet: true})
	return w
}

// run lives until all that is measured is done, and returns the forecasts.
func (w *world) run() []made {
	w.After(0, w.beat)
	w.After(0, w.look)
	for _, q := range w.queues {
		if q.comes > 0 {
			w.After(0, func() { w.arrive(q) })
		}
		if q.settled {
			w.After(settling, func() { q.before = 0; w.began = w.Now })
		}
		w.After(0, func() { w.pump(q) })
	}
	for w.Now.Sub(w.began) < longest && !w.done() && w.Next(time.Time{}) {
		w.turn()
	}
	return w.made
}

func (w *world) done() bool {
	for _, q := range w.queues {
		if q.doneAt.IsZero() {
			return false
		}
	}
	return true
}

func (w *world) arrive(q *queue) {
	q.behind++
	w.After(time.Duration(w.random.ExpFloat64()/q.comes*float64(time.Second)), func() { w.arrive(q) })
	w.pump(q)
}

func (w *world) beat() {
	said := w.router.Beat(w.inHand())
	for target, rate := range said.Accepted {
		w.good[target] = max(w.good[target], rate)
	}
	w.After(beatEvery, w.beat)
}

func (w *world) inHand() map[string]int {
	all := map[string]int{}
	for _, q := range w.queues {
		all[q.name] = q.running + min(q.atOnce, q.before+q.ours+q.behind)
	}
	return all
}

// look is what a supervisor does: it measures, counts, and somebody asks.
func (w *world) look() {
	w.After(lookEvery, w.look)
	circuits := w.router.Circuits()
	fleet := jobs.Fleet{Circuits: circuits, LastGood: w.good, Peers: []jobs.Peer{{Beat: w.router.Beat(w.inHand()), At: w.Now}}}
	fleet.Peers[0].Worker = "w"
	for _, q := range w.queues {
		did := jobs.Idle
		switch {
		case jobs.Hold(w.chain(q), circuits, w.Now).Holds:
			did = jobs.Stalled
		case q.before+q.ours+q.behind > 0:
			did = jobs.Busy
		}
		q.progress.Speed.See(w.Now, lookEvery, q.ended-q.seen, did)
		q.seen = q.ended
		q.progress.At, q.progress.CountedAt, q.progress.Served = w.Now, w.Now, true
		q.progress.InHand = q.running
		q.progress.Strata = []jobs.Stratum{{Jobs: q.ours + q.behind}}
	}
	w.ask(&fleet)
}

func (w *world) chain(q *queue) []string {
	var names []string
	for _, at := range q.chain {
		names = append(names, fmt.Sprint("t", at))
	}
	return names
}

// ask makes forecasts as `status` does.
func (w *world) ask(fleet *jobs.Fleet) {
	w.asks.Follow(fleet, observer)
	var seen []jobs.Progress
	for _, q := range w.queues {
		seen = append(seen, q.progress)
	}
	forecasts := w.asks.Forecasts(fleet, seen)
	for i, q := range w.queues {
		if q.doneAt.IsZero() && q.before == 0 {
			w.made = append(w.made, made{i, w.Now, forecasts.Until(q.name, float64(q.left), float64(q.left), float64(q.left))})
		}
	}
}

// turn sees to what circuits have done: one that opened is probed.
func (w *world) turn() {
	for len(w.turned) > 0 {
		turned := w.turned
		w.turned = nil
		for _, c := range turned {
			if c.State == jobs.CircuitOpen {
				w.After(c.CooldownUntil.Sub(w.Now), func() { w.router.Probe(context.Background(), c.Target) })
			}
		}
		w.pumpAll()
	}
}

// pumpAll lets go who may, of one route after the other: each begins now and then.
func (w *world) pumpAll() {
	first := w.random.IntN(len(w.queues))
	for i := range w.queues {
		w.pump(w.queues[(first+i)%len(w.queues)])
	}
}

// pump lets go who may of a route.
func (w *world) pump(q *queue) {
	for q.running < q.atOnce && q.before+q.ours+q.behind > 0 {
		q.came++
		request := &jobs.Request{ID: fmt.Sprint(q.came), Route: q.name, CreatedAt: w.Now, Body: []byte(`{"messages":[{"role":"user","content":"Why?"}]}`)}
		walk, outcome := w.router.Walk(request, nil)
		if walk == nil {
			w.again(q, outcome.Until)
			return
		}
		ours := q.before == 0 && q.ours > 0
		switch {
		case q.before > 0:
			q.before--
		case ours:
			q.ours--
		default:
			q.behind--
		}
		q.running++
		w.step(q, walk, ours)
	}
}

// again looks a while later.
func (w *world) again(q *queue, until time.Time) {
	wait := time.Second
	if !until.IsZero() {
		wait = min(wait, max(until.Sub(w.Now), 5*time.Millisecond))
	}
	at := w.Now.Add(wait)
	if q.lookAt.After(w.Now) && !q.lookAt.After(at) {
		return
	}
	q.lookAt = at
	w.After(wait, func() {
		if q.lookAt.Equal(w.Now) {
			w.pumpAll()
		}
	})
}

func (w *world) step(q *queue, walk *routing.Walk, ours bool) {
	for {
		ready, no := walk.Begin()
		switch {
		case no != nil:
			w.settle(q, no, ours)
			return
		case ready:
			answer, err, latency := w.say(walk.Target().Name)
			w.After(latency, func() {
				if no := walk.End(answer, err); no != nil {
					w.settle(q, no, ours)
				} else {
					w.step(q, walk, ours)
				}
				w.pumpAll()
			})
			return
		}
	}
}

func (w *world) settle(q *queue, outcome *jobs.Outcome, ours bool) {
	q.running--
	if outcome.Verdict == jobs.Blocked {
		if ours {
			q.ours++
		} else {
			q.behind++
		}
		w.again(q, outcome.Until)
		return
	}
	q.ended++
	if ours {
		if q.left--; q.left == 0 {
			q.doneAt = w.Now
		}
	}
}

// say is what a target says now.
func (w *world) say(name string) (*jobs.Answer, *jobs.Error, time.Duration) {
	var at int
	_, _ = fmt.Sscanf(name, "t%d", &at)
	p := &w.scene.targets[at]
	takes, slower := p.takes, 1.0
	for _, now := range p.phases {
		if share := float64(w.Now.Sub(w.began)) / float64(max(w.usual, 1)); w.usual > 0 && share >= now.from && share < now.to {
			if now.down || w.random.Float64() < now.fails {
				return nil, &jobs.Error{Class: jobs.Overload, Status: 503, Said: true, Message: "overloaded"}, 300 * time.Millisecond
			}
			slower = max(1, now.slower)
			if now.takes > 0 {
				takes = now.takes
			}
		}
	}
	if b := &w.takes[at]; takes > 0 {
		b.level = min(takes, b.level+takes*w.Now.Sub(b.at).Seconds())
		if b.at = w.Now; b.level < 1 {
			return nil, &jobs.Error{Class: jobs.Rate, Status: 429, Said: true, Message: "too many"}, 150 * time.Millisecond
		}
		b.level--
	}
	latency := time.Duration(float64(p.latency) * slower * math.Exp(0.5*w.random.NormFloat64()))
	return &jobs.Answer{Body: []byte(`{"choices":[]}`), Usage: jobs.Usage{Input: 100, Output: 100}, FinishReason: "stop"}, nil, latency
}

// Check and Complete make the world the provider that probes ask.
func (w *world) Check(*jobs.Target, jobs.Endpoint, []byte) error { return nil }

// Complete answers a probe.
func (w *world) Complete(_ context.Context, target *jobs.Target, _ jobs.Endpoint, _ []byte) (*jobs.Answer, *jobs.Error) {
	answer, err, _ := w.say(target.Name)
	return answer, err
}
