package main

import (
	"time"

	"tidegate/jobs"
)

// A scene is what is drained, and what happens meanwhile.
type scene struct {
	name    string
	routes  []load
	targets []provider
}

// A load is what waits on a route.
type load struct {
	jobs    int
	chain   []int
	atOnce  int
	comes   float64 // more of them a second, behind
	settled bool    // it has worked for a while before
}

// A provider is what a target does.
type provider struct {
	limits  jobs.Limits // that are configured
	takes   float64     // calls a second; zero: as many as come
	latency time.Duration
	phases  []phase
}

// A phase is a time in which a target does otherwise. From and to are shares of what the
// drain would take if nothing happened.
type phase struct {
	from, to float64
	down     bool
	slower   float64 // latencies are so many times as long; zero: they are not
	fails    float64 // this share of calls
	takes    float64 // calls a second; zero: as before
}

const usualLatency = 2 * time.Second

func steady(takes float64, phases ...phase) provider {
	return provider{takes: takes, latency: usualLatency, phases: phases}
}

func one(n int, p provider, more ...func(*load)) scene {
	l := load{jobs: n, chain: []int{0}, atOnce: 100}
	for _, change := range more {
		change(&l)
	}
	return scene{routes: []load{l}, targets: []provider{p}}
}

func named(name string, s scene) scene {
	s.name = name
	return s
}

func scenes() []scene {
	limited := steady(0)
	limited.limits.RequestsPerMinute = 1200
	few := steady(0)
	few.latency = 40 * time.Second
	return []scene{
		named("bound by calls at once", one(20_000, steady(0))),
		named("few slow calls at once", one(600, few, func(l *load) { l.atOnce = 10 })),
		named("a configured limit", one(15_000, limited)),
		named("throttled by 429", one(20_000, steady(25))),
		named("throttled, after work before", one(20_000, steady(25), func(l *load) { l.settled = true })),
		named("an outage in the middle", one(20_000, steady(25, phase{from: 0.4, to: 0.6, down: true}))),
		named("a short outage early", one(20_000, steady(25, phase{from: 0.05, to: 0.09, down: true}))),
		named("a brown-out in the middle", one(20_000, steady(25, phase{from: 0.3, to: 0.6, fails: 0.15}))),
		named("a slow-down in the middle", one(20_000, steady(0, phase{from: 0.4, to: 2, slower: 2}))),
		named("throttled to a half, later", one(20_000, steady(25, phase{from: 0.3, to: 3, takes: 12}))),
		named("a backlog that grows", one(20_000, steady(25), func(l *load) { l.comes = 40 })),
		named("the first of two targets is down", scene{
			routes: []load{{jobs: 20_000, chain: []int{0, 1}, atOnce: 100}}, targets: []provider{steady(40, phase{from: 0.2, to: 5, down: true}), steady(10)},
		}),
		named("two routes share a target", scene{
			routes:  []load{{jobs: 6_000, chain: []int{0}, atOnce: 100}, {jobs: 18_000, chain: []int{0}, atOnce: 100}},
			targets: []provider{steady(30)},
		}),
		named("two routes, each bound by itself", scene{
			routes:  []load{{jobs: 6_000, chain: []int{0}, atOnce: 20}, {jobs: 18_000, chain: []int{0}, atOnce: 60}},
			targets: []provider{steady(0)},
		}),
	}
}
