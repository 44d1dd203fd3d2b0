package replay

import (
	"fmt"

	"tidegate/jobs"
	"tidegate/routing"
)

// A Policy is how requests are routed: what a configuration says of its routes, of
// their targets, and of how these are chosen.
type Policy struct {
	Name     string
	Routes   []jobs.Route
	Choosing routing.Choosing
	// Slots is how many calls the fleet makes at once on each route; zero: any number.
	Slots int
	// Foresees tells that the router knows beforehand how long each answer will be, as no
	// router can, but the policies do by which the truth of a made-up log is known.
	Foresees bool
	// Once tells that a request ends with its first call, whatever comes of it, as where
	// callers do not try again.
	Once bool
}

// Check says what is wrong with the policy for a log, or nil.
func (p *Policy) Check(l *Log) error {
	known := map[string]bool{}
	for i := range p.Routes {
		known[p.Routes[i].Name] = true
		if len(p.Routes[i].Chain) == 0 {
			return fmt.Errorf("policy %s: the route %q has no target", p.Name, p.Routes[i].Name)
		}
	}
	for _, route := range l.Routes() {
		if !known[route] {
			return fmt.Errorf("policy %s: the log has requests of the route %q, which the policy does not know; add it, or replay the log of other routes", p.Name, route)
		}
	}
	return nil
}

// targets lists those of all chains, each once, in their order.
func (p *Policy) targets() []*jobs.Target {
	var all []*jobs.Target
	seen := map[string]bool{}
	for i := range p.Routes {
		for _, chain := range [][]*jobs.Target{p.Routes[i].Chain, p.Routes[i].EscalateTo} {
			for _, t := range chain {
				if !seen[t.Name] {
					seen[t.Name] = true
					all = append(all, t)
				}
			}
		}
	}
	return all
}
