package routing

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
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
	scores := make([]jobs.Score, len(order))
	b.ReportAllocs()
	for b.Loop() {
		ordered(order, scores, all)
	}
}

// What a place costs a request: with a window that is roomy, which nobody needs to
// count for; with a limit of tokens, counted the first time and known when it asks
// again; and with a window that it may not fit.
func BenchmarkAdmit(b *testing.B) {
	roomy := &jobs.Target{Name: "a", ContextTokens: 1_000_000}
	limited := &jobs.Target{Name: "a", Limits: jobs.Limits{TokensPerMinute: 1e15}}
	small := &jobs.Target{Name: "a", Model: "gpt-4o", ContextTokens: 25_000}
	for _, size := range []int{1000, 100_000} {
		body := chatBody(b, strings.Repeat("the tide turns at noon, and the gate is shut by then. ", size/54))
		for _, c := range []struct {
			name   string
			target *jobs.Target
			known  bool
		}{
			{"plain", &jobs.Target{Name: "a"}, false},
			{"roomy", roomy, false},
			{"roomy/again", roomy, true},
			{"limit", limited, false},
			{"limit/again", limited, true},
			{"tight", small, false},
		} {
			b.Run(fmt.Sprintf("%s/%dKB", c.name, size/1000), func(b *testing.B) {
				s := chainOf(b, c.target).asks(&jobs.Request{ID: "one", Body: body})
				b.ReportAllocs()
				for b.Loop() {
					if pass, _ := s.router.Admit(s.request, nil); pass != nil {
						pass.Release()
					}
					if !c.known {
						s.router.prompts.forget(s.request)
					}
				}
			})
		}
	}
}

// What learning costs an answer, now and then a count of 1 KB among them.
func BenchmarkRouteAnsweredInWindow(b *testing.B) {
	target := &jobs.Target{Name: "a", ContextTokens: 128_000, Limits: jobs.Limits{Concurrency: 200}}
	answer := &jobs.Answer{Usage: jobs.Usage{Input: 230, Output: 10}}
	r := New(Config{Routes: []jobs.Route{{Name: theRoute, Chain: []*jobs.Target{target}}}, Provider: liar{answer: answer}})
	request := &jobs.Request{ID: "one", Route: theRoute, Body: chatBody(b, strings.Repeat("the tide turns at noon, and the gate is shut by then. ", 19))}
	b.ReportAllocs()
	for b.Loop() {
		r.Route(context.Background(), request, nil)
	}
}

// What it costs to choose among three targets, and among ten.
func BenchmarkAdmitScored(b *testing.B) {
	for _, n := range []int{3, 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var targets []*jobs.Target
			for i := range n {
				targets = append(targets, &jobs.Target{Name: fmt.Sprintf("t%d", i), Limits: jobs.Limits{Concurrency: 200}})
			}
			s := chainOf(b, targets...).asks(&jobs.Request{ID: "one", Goal: Balanced, Body: chatBody(b, strings.Repeat("the tide turns. ", 60))})
			b.ReportAllocs()
			for b.Loop() {
				pass, _ := s.router.Admit(s.request, nil)
				pass.Release()
			}
		})
	}
}

func BenchmarkStrategyBalanced(b *testing.B) {
	order, all := candidates(10)
	scores := make([]jobs.Score, len(order))
	for i := range all {
		all[i].Success, all[i].Latency, all[i].Cost = 1-float64(i)/20, time.Duration(1+i*7%10)*time.Second, jobs.MicroUSD(1+i*3%10)
	}
	b.ReportAllocs()
	for b.Loop() {
		for i := range order {
			order[i] = i
		}
		strategies[Balanced](order, scores, all)
	}
}

// What a whole answered request costs in the router, by the chain's order and by score,
// with the decision that is written down.
func BenchmarkRouteByGoal(b *testing.B) {
	for _, goal := range []string{Ordered, Balanced} {
		b.Run(goal, func(b *testing.B) {
			targets := []*jobs.Target{{Name: "a", Limits: jobs.Limits{Concurrency: 200}}, {Name: "b"}, {Name: "c"}}
			r := New(Config{Routes: []jobs.Route{{Name: theRoute, Chain: targets}}, Provider: liar{answer: &jobs.Answer{Usage: jobs.Usage{Input: 500, Output: 50}}}})
			request := &jobs.Request{Route: theRoute, Goal: goal, Body: chatBody(b, strings.Repeat("the tide turns. ", 60))}
			b.ReportAllocs()
			for b.Loop() {
				r.Route(context.Background(), request, nil)
			}
		})
	}
}
