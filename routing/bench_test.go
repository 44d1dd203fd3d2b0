package routing

import (
	"context"
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

func BenchmarkStrategyOrdered(b *testing.B) {
	order, all := candidates(10)
	b.ReportAllocs()
	for b.Loop() {
		ordered(order, all)
	}
}
