package config

import (
	"fmt"
	"slices"

	"tidegate/jobs"
)

// What is no mistake, and means nothing as it stands, is warned of.

// warnIdle notes what the configuration says that nothing goes by.
func (r *reader) warnIdle(c *Config) {
	fair := slices.ContainsFunc(c.Routes, func(route Route) bool { return route.Admission == jobs.AdmissionFair })
	for i := range c.Tenants {
		if field := fmt.Sprintf("tenants[%d].weight", i); !fair && r.given(field) && c.Tenants[i].Weight != DefaultWeight {
			r.warn(field, "is for routes with admission: fair, and there is none")
		}
	}
	for i := range c.Routes {
		route, field := &c.Routes[i], fmt.Sprintf("routes[%d].when_open", i)
		switch {
		case !jobs.WhenOpen(route.WhenOpen).Waits():
		case len(route.Chain) == 1:
			r.warn(field, "%s: the chain has one target, for which requests wait in any case", route.WhenOpen)
		case route.Goal == DefaultGoal && c.fallsInPrice(route.Chain):
			r.warn(field, "%s: nothing is waited for, since no target of the chain costs less than one behind it; with the goal ordered, write the cheapest first", route.WhenOpen)
		}
	}
}

// fallsInPrice tells whether no target of a chain costs less than the next one, by
// prices of their own.
func (c *Config) fallsInPrice(chain []string) bool {
	targets := byName(c.Targets)
	for i := range chain[1:] {
		one, next := targets[chain[i]].Price, targets[chain[i+1]].Price
		if one == nil || next == nil || one.Input < next.Input || one.Output < next.Output {
			return false
		}
	}
	return len(chain) > 0
}
