package routing

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"tidegate/jobs"
)

// What an open circuit costs those who ask: it must stay below a microsecond,
// without an allocation.
func BenchmarkCircuitOpen(b *testing.B) {
	c := newCircuit(&jobs.Target{Name: "a"}, Config{Now: time.Now})
	c.follow(tripped{until: time.Now().Add(time.Hour)}, "no money")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.Acquire(); ok {
			b.Fatal("a permit")
		}
	}
}

// The dearest refusal: the cooldown is over, and a probe is out.
func BenchmarkCircuitProbeOut(b *testing.B) {
	c := newCircuit(&jobs.Target{Name: "a"}, Config{Now: time.Now})
	c.follow(tripped{until: time.Now()}, "no money")
	c.Acquire()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.Acquire(); ok {
			b.Fatal("a permit")
		}
	}
}

func BenchmarkCircuitPermit(b *testing.B) {
	c := newCircuit(&jobs.Target{Name: "a"}, Config{Now: time.Now})
	b.ReportAllocs()
	for b.Loop() {
		permit, _ := c.Acquire()
		permit.Done(Success, "")
	}
}

func BenchmarkRouteAnswered(b *testing.B) {
	targets := []*jobs.Target{{Name: "a", Limits: jobs.Limits{Concurrency: 200}}, {Name: "b"}, {Name: "c"}}
	answer := &jobs.Answer{}
	r := New(Config{Routes: []jobs.Route{{Name: theRoute, Chain: targets}}, Provider: liar{answer: answer}})
	request := &jobs.Request{Route: theRoute}
	b.ReportAllocs()
	for b.Loop() {
		r.Route(context.Background(), request, nil)
	}
}

// A whole chain that is shut, with the reasons that a person reads.
func BenchmarkRouteHeld(b *testing.B) {
	s := chain(b, "a", "b", "c")
	for _, target := range s.targets {
		opened(b, target.circuit)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.router.Route(context.Background(), s.request, nil)
	}
}

func BenchmarkAdmits(b *testing.B) {
	s := chain(b, "a", "b", "c")
	for _, target := range s.targets {
		opened(b, target.circuit)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.router.Admits(theRoute)
	}
}

// What a pace costs each call, the limits and all.
func BenchmarkPaceCall(b *testing.B) {
	p := newPace(jobs.Limits{RequestsPerMinute: 1e12, TokensPerMinute: 1e12, Concurrency: 200}, time.Now, rand.New(rand.NewPCG(1, 1)))
	end := paceEnd{class: jobs.OK, tokens: 1000, usage: jobs.Usage{Input: 900, Output: 50}, allowance: jobs.Allowance{RequestsPerMinute: 1e12}}
	b.ReportAllocs()
	for b.Loop() {
		if ok, _, reason := p.take(1000); !ok {
			b.Fatal(reason)
		}
		p.done(end)
	}
}

// What a call that has to wait costs each time that it asks.
func BenchmarkPaceWait(b *testing.B) {
	p := newPace(jobs.Limits{RequestsPerMinute: 1}, time.Now, rand.New(rand.NewPCG(1, 1)))
	p.take(0)
	b.ReportAllocs()
	for b.Loop() {
		p.take(0)
	}
}

func BenchmarkStrategyOrdered(b *testing.B) {
	order, all := candidates(10)
	b.ReportAllocs()
	for b.Loop() {
		ordered(order, all)
	}
}
