package main

import (
	"container/heap"
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
	// atOnce is how many calls the worker of a world makes at once.
	atOnce = 200
	// backlogEvery is how often the router is told what waits, as a worker does.
	backlogEvery = 10 * time.Second
	// giveFirst is how many parked requests come back when a circuit closes, and twice
	// as many each second after, as a supervisor has it for a target this slow.
	giveFirst = 10
	// medianLatency and spread are those of an answer; failures come sooner.
	medianLatency = 4 * time.Second
	spread        = 0.6
	failsWithin   = 500 * time.Millisecond

	parkAfter = 30 * time.Second // a shorter wait is one in the worker
	lookAgain = 10 * time.Second // where nothing says when

	route = "batch"
)

var dayBegan = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A world is one batch on one day: a worker's queue, its parked requests and its
// calls, around the real router.
type world struct {
	bench.Agenda

	day    *day
	load   load
	random *rand.Rand
	router *routing.Router

	requests []*jobs.Request
	history  []jobs.Trace
	waiting  []int // requests, by their place in the queue
	parked   parked
	running  int
	pumpAt   time.Time // for which one is due already
	give     int       // how many parked requests come back next; zero: none do
	turned   []jobs.Circuit
	left     int

	done became
}

// became is what became of a world.
type became struct {
	Cost    jobs.MicroUSD
	Met     int
	Calls   int
	Failed  int
	Parked  int // times that a request was parked in its queue, a row rewritten
	Refused int
}

func newWorld(d *day, l load, whenOpen jobs.WhenOpen, goal string, seed uint64) *world {
	w := &world{day: d, load: l, random: rand.New(rand.NewPCG(seed, 7)), Agenda: bench.Agenda{Now: dayBegan.Add(l.from)}}
	chain := make([]*jobs.Target, len(d.targets))
	for i, t := range d.targets {
		chain[i] = &jobs.Target{
			Name: t.name, Provider: t.name, Model: "m", Price: t.price, Limits: jobs.Limits{RequestsPerMinute: l.perMinute()},
			Timeouts: jobs.DefaultTimeouts,
		}
	}
	w.router = routing.New(routing.Config{
		Routes:   []jobs.Route{{Name: route, Chain: chain, Goal: goal, WhenOpen: whenOpen}},
		Provider: w, Now: func() time.Time { return w.Now }, Seed: seed,
		OnChange: func(c jobs.Circuit) { w.turned = append(w.turned, c) },
	})
	for i := range l.requests {
		w.requests = append(w.requests, &jobs.Request{
			ID: fmt.Sprint(i), Route: route, CreatedAt: w.Now, Deadline: w.Now.Add(l.within),
			Body: []byte(`{"messages":[{"role":"user","content":"Which of these words is the name of a river?"}],"max_tokens":300}`),
		})
		w.waiting = append(w.waiting, i)
	}
	w.history, w.left = make([]jobs.Trace, l.requests), l.requests
	return w
}

// run lives through the day.
func (w *world) run() became {
	w.After(0, w.count)
	w.After(0, w.pump)
	end := w.end()
	for w.left > 0 && w.Next(end) {
		w.turn()
	}
	return w.done
}

// end is the deadline.
func (w *world) end() time.Time { return dayBegan.Add(w.load.from + w.load.within) }

// count tells the router what waits, as a worker does.
func (w *world) count() {
	w.router.Backlog(route, w.left, w.end())
	w.router.Beat(map[string]int{route: w.running + min(len(w.waiting), atOnce)})
	w.After(backlogEvery, w.count)
}

// turn sees to what circuits have done: one that opened is probed when its cooldown
// is over, one that closed gives back who waits for it.
func (w *world) turn() {
	for len(w.turned) > 0 {
		turned := w.turned
		w.turned = nil
		for _, c := range turned {
			switch c.State {
			case jobs.CircuitOpen:
				w.After(c.CooldownUntil.Sub(w.Now), func() { w.router.Probe(context.Background(), c.Target) })
			case jobs.CircuitClosed:
				if w.give == 0 {
					w.After(0, w.giveBack)
				}
				w.give = giveFirst
			}
		}
		w.soon(0)
	}
}

// giveBack lets some of those who are parked come back, and more of them in a second.
func (w *world) giveBack() {
	for range w.give {
		if len(w.parked) == 0 {
			break
		}
		w.waiting = append(w.waiting, heap.Pop(&w.parked).(parkedOne).request)
	}
	if w.give *= 2; len(w.parked) == 0 {
		w.give = 0
	} else {
		w.After(time.Second, w.giveBack)
	}
	for _, c := range w.router.Circuits() {
		if c.State != jobs.CircuitClosed {
			w.give = 0 // whoever is left waits for that one
		}
	}
	w.soon(0)
}

// soon pumps after a while, if none is due before.
func (w *world) soon(after time.Duration) {
	at := w.Now.Add(max(0, after))
	if !w.pumpAt.IsZero() && !w.pumpAt.After(at) {
		return
	}
	w.pumpAt = at
	w.After(after, func() {
		if w.pumpAt.Equal(at) { // else an earlier one has seen to it
			w.pump()
		}
	})
}

// pump lets go who may, in their order.
func (w *world) pump() {
	w.pumpAt = time.Time{}
	for len(w.parked) > 0 && !w.parked[0].until.After(w.Now) {
		w.waiting = append(w.waiting, heap.Pop(&w.parked).(parkedOne).request)
	}
	for w.running < atOnce && len(w.waiting) > 0 {
		i := w.waiting[0]
		walk, outcome := w.router.Walk(w.requests[i], w.history[i])
		if walk == nil && outcome.Verdict == jobs.Blocked && outcome.Held {
			wait := lookAgain
			if !outcome.Until.IsZero() {
				wait = min(wait, max(outcome.Until.Sub(w.Now), 10*time.Millisecond))
			}
			w.soon(wait)
			return
		}
		w.waiting = w.waiting[1:]
		if walk == nil {
			w.settle(i, outcome)
			continue
		}
		w.running++
		w.step(i, walk)
	}
	if len(w.parked) > 0 {
		w.soon(w.parked[0].until.Sub(w.Now))
	}
}

// step makes the call of a walk.
func (w *world) step(i int, walk *routing.Walk) {
	for {
		ready, no := walk.Begin()
		switch {
		case no != nil:
			w.running--
			w.settle(i, *no)
			w.soon(0)
			return
		case ready:
			answer, err, latency := w.say(walk.Target().Name)
			w.After(latency, func() {
				if no := walk.End(answer, err); no != nil {
					w.running--
					w.settle(i, *no)
					w.soon(0)
					return
				}
				w.step(i, walk)
			})
			return
		}
	}
}

// settle books what became of a try.
func (w *world) settle(i int, outcome jobs.Outcome) {
	for _, attempt := range outcome.Trace.Attempts() {
		w.done.Calls++
		w.done.Cost += attempt.Cost
		if attempt.Class != jobs.OK {
			w.done.Failed++
		}
		w.history[i] = append(w.history[i], jobs.Step{Attempt: &attempt})
	}
	switch outcome.Verdict {
	case jobs.Answered:
		w.left--
		if !w.Now.After(w.requests[i].Deadline) {
			w.done.Met++
		}
	case jobs.Refused:
		w.left--
		w.done.Refused++
	case jobs.Blocked:
		until := outcome.Until
		if until.Sub(w.Now) > parkAfter {
			w.done.Parked++
		}
		if outcome.Held || !until.After(w.Now) {
			until = w.Now.Add(10 * time.Millisecond)
		}
		heap.Push(&w.parked, parkedOne{until, i})
	}
}

// say is what a target says now.
func (w *world) say(target string) (*jobs.Answer, *jobs.Error, time.Duration) {
	for i := range w.day.targets {
		if t := &w.day.targets[i]; t.name == target && w.random.Float64() < t.at(w.Now.Sub(dayBegan)) {
			latency := time.Duration(float64(medianLatency) * math.Exp(spread*w.random.NormFloat64()))
			return &jobs.Answer{Body: []byte(`{"choices":[]}`), Usage: usage, FinishReason: "stop"}, nil, latency
		}
	}
	return nil, &jobs.Error{Class: jobs.Overload, Status: 503, Said: true, Message: "overloaded"}, failsWithin
}

// Check and Complete make the world the provider that probes ask.
func (w *world) Check(*jobs.Target, jobs.Endpoint, []byte) error { return nil }

// Complete answers a probe.
func (w *world) Complete(_ context.Context, target *jobs.Target, _ jobs.Endpoint, _ []byte) (*jobs.Answer, *jobs.Error) {
	answer, err, _ := w.say(target.Name)
	if answer != nil {
		answer.Usage = jobs.Usage{}
	}
	return answer, err
}

// parked are requests that wait for a time, the nearest first.
type parked []parkedOne

type parkedOne struct {
	until   time.Time
	request int
}

func (p parked) Len() int           { return len(p) }
func (p parked) Less(i, j int) bool { return p[i].until.Before(p[j].until) }
func (p parked) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *parked) Push(x any)        { *p = append(*p, x.(parkedOne)) }
func (p *parked) Pop() any {
	old := *p
	last := old[len(old)-1]
	*p = old[:len(old)-1]
	return last
}
