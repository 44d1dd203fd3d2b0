package main

import (
	"container/heap"
	"context"
	"math"
	"math/rand/v2"
	"time"

	"tidegate/jobs"
	"tidegate/routing"
)

const (
	theRoute   = "summaries"
	outputMid  = 150 // tokens, median
	outputWide = 1.0
	outputMost = 1500
	meanOutput = 235 // of those
	inputMid   = 900
	inputWide  = 1.1
	inputMost  = 20_000
)

// A job is one request on its way.
type job struct {
	request       jobs.Request
	input, output int
	came          time.Duration
	history       jobs.Trace
	walk          *routing.Walk
}

// An event is something that happens at a time.
type event struct {
	at   time.Duration
	n    int // in the order in which they were thought of
	does func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].n < e[j].n
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// A run is a world under one way to choose, with one seed.
type run struct {
	*world
	picker   picker
	router   *routing.Router
	byName   map[string]*provider
	now      time.Time
	began    time.Time
	future   events
	thought  int
	arrivals *rand.Rand // the same for all ways to choose
	luck     *rand.Rand
	waiting  []*job // in order, as in a worker's room
	looking  bool   // a look at them is planned
	inHand   int
	figures  figures
}

// newRun prepares a run. A picker may keep state: it is for one run.
func newRun(w *world, p picker, seed uint64) *run {
	r := &run{
		world: w, picker: p, byName: map[string]*provider{}, began: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		arrivals: rand.New(rand.NewPCG(seed, 1)), luck: rand.New(rand.NewPCG(seed, 2)),
	}
	r.now = r.began
	route := jobs.Route{Name: theRoute, Goal: "way"}
	for _, provider := range w.providers {
		provider.out = 0
		r.byName[provider.target.Name] = provider
		route.Chain = append(route.Chain, provider.target)
	}
	choosing := p.choosing(r)
	r.router = routing.New(routing.Config{
		Routes: []jobs.Route{route}, Provider: r, Choosing: choosing, Seed: seed,
		Now: func() time.Time { return r.now },
	})
	r.figures.shares = newShares(w)
	return r
}

func (r *run) at() time.Duration { return r.now.Sub(r.began) }

// then has something happen after a while.
func (r *run) then(after time.Duration, does func()) {
	r.thought++
	heap.Push(&r.future, event{r.at() + after, r.thought, does})
}

// all runs until all that came is answered, or the world has ended twice over.
func (r *run) all() *figures {
	r.then(0, r.arrive)
	r.then(0, r.beat)
	for r.future.Len() > 0 && (r.at() < r.lasts || r.inHand > 0) && r.at() < 2*r.lasts {
		next := heap.Pop(&r.future).(event)
		r.now = r.began.Add(next.at)
		next.does()
	}
	r.figures.lost += r.inHand
	return &r.figures
}

func (r *run) arrive() {
	if r.at() >= r.lasts {
		return
	}
	output := math.Min(outputMost, outputMid*math.Exp(outputWide*r.arrivals.NormFloat64()))
	input := math.Min(inputMost, inputMid*math.Exp(inputWide*r.arrivals.NormFloat64()))
	j := &job{request: jobs.Request{Route: theRoute, Body: []byte(`{"messages":[{"role":"user","content":"?"}]}`)}, input: int(input), output: int(output), came: r.at()}
	r.inHand++
	r.figures.came++
	r.waiting = append(r.waiting, j)
	r.look()
	r.then(time.Duration(r.arrivals.ExpFloat64()/r.rate*float64(time.Second)), r.arrive)
}

// beat is what a worker does each second or two beside its jobs.
func (r *run) beat() {
	r.router.Beat(map[string]int{theRoute: r.inHand})
	for _, c := range r.router.Circuits() {
		if c.State != jobs.CircuitClosed && !c.CooldownUntil.After(r.now) {
			r.router.Probe(context.Background(), c.Target)
		}
	}
	r.look()
	r.then(2*time.Second, r.beat)
}

// look lets those go who may, the first that came first, as a worker's room does.
func (r *run) look() {
	for len(r.waiting) > 0 {
		j := r.waiting[0]
		walk, outcome := r.router.Walk(&j.request, j.history)
		switch {
		case walk != nil:
			r.waiting = r.waiting[1:]
			j.walk = walk
			r.step(j)
		case outcome.Verdict == jobs.Blocked && outcome.Held:
			r.lookAgain(outcome.Until)
			return
		default:
			r.waiting = r.waiting[1:]
			r.came(j, &outcome)
		}
	}
}

func (r *run) lookAgain(until time.Time) {
	if r.looking {
		return
	}
	wait := time.Second
	if !until.IsZero() {
		wait = min(max(until.Sub(r.now), time.Millisecond), time.Second)
	}
	r.looking = true
	r.then(wait, func() { r.looking = false; r.look() })
}

// step makes the next call of a job that has a place.
func (r *run) step(j *job) {
	ready, outcome := j.walk.Begin()
	for !ready && outcome == nil {
		ready, outcome = j.walk.Begin()
	}
	if outcome != nil {
		r.came(j, outcome)
		return
	}
	p := r.byName[j.walk.Target().Name]
	r.figures.calls++
	r.figures.shares.count(p, r.at())
	r.picker.began(r, p)
	begun := r.now
	is := p.begin(r.at(), j, r.luck)
	r.then(is.takes, func() {
		p.out--
		r.picker.ended(r, p, r.now.Sub(begun), is.err)
		if is.err != nil && is.err.Class == jobs.Rate {
			r.figures.refused++
		}
		if outcome := j.walk.End(is.answer, is.err); outcome != nil {
			r.came(j, outcome)
		} else {
			r.step(j)
		}
		r.look()
	})
}

// came is what comes of a try.
func (r *run) came(j *job, outcome *jobs.Outcome) {
	for _, a := range outcome.Trace.Attempts() {
		r.figures.cost += float64(a.Cost)
		j.history = append(j.history, jobs.Step{Attempt: &a})
	}
	switch {
	case outcome.Verdict == jobs.Answered:
		r.inHand--
		r.figures.took = append(r.figures.took, (r.at() - j.came).Seconds())
	case outcome.Verdict == jobs.Refused:
		r.inHand--
		r.figures.failed++
	case outcome.Held:
		r.waiting = append([]*job{j}, r.waiting...)
		r.lookAgain(outcome.Until)
	default:
		r.then(max(outcome.Until.Sub(r.now), time.Millisecond), func() {
			r.waiting = append([]*job{j}, r.waiting...)
			r.look()
		})
	}
}
