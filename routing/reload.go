package routing

import (
	"reflect"

	"tidegate/jobs"
)

// Reload takes what a new configuration says of routes and targets, for whatever
// begins from now on; calls in flight end by what they began with. A target keeps
// its circuit, its pace and what was learned of it as long as it keeps its name,
// also while it stands in no chain; of another model, nobody knows how it counts
// tokens. Of new thresholds the window begins anew, and the state stays.
//
// It returns the names of targets that are called in another way now: what shut
// them may be over. Without a fleet, and where only this host saw it, they are due
// for a probe at once. What a fleet shares is the fleet's to say: tell its store.
//
// A route that is not named is refused from now on. It is safe for concurrent use.
func (r *Router) Reload(routes []jobs.Route) (moved []string) {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	var arrived, retried []*target
	next := newPlan(routes, func(t *jobs.Target) *target {
		was := r.known[t.Name]
		switch {
		case was == nil:
			made := newTarget(t, r.config)
			r.known[t.Name] = made
			arrived = append(arrived, made)
			return made
		case reflect.DeepEqual(was.Target, t):
			return was
		}
		made := was.as(t)
		if !sameAddress(was.Target, t) {
			moved, retried = append(moved, t.Name), append(retried, made)
		}
		r.known[t.Name] = made
		return made
	})
	for _, t := range next.targets {
		t.circuit.retarget(t.Target)
		t.pace.relimitTo(t.Limits)
	}
	r.takeOver(next)
	r.plan.Store(next)
	for name, t := range r.known {
		if next.byName[name] == nil {
			t.circuit.ungrant()
		}
	}
	for _, t := range retried {
		t.circuit.retry()
	}
	for _, t := range arrived {
		t.circuit.introduce()
	}
	return moved
}

// takeOver gives routes what is known of those of their names.
func (r *Router) takeOver(next *plan) {
	for name, route := range next.routes {
		if r.habits[name] == nil {
			r.habits[name] = &habits{}
		}
		route.habits = r.habits[name]
	}
}

// as is the target as another configuration has it.
func (t *target) as(configured *jobs.Target) *target {
	made := &target{Target: configured, circuit: t.circuit, pace: t.pace, tokens: t.tokens, statistics: t.statistics, baselines: t.baselines, absences: t.absences, since: t.since}
	if !sameAddress(configured, t.Target) || configured.Endpoints != t.Endpoints || configured.ContextTokens != t.ContextTokens || configured.ContentPolicy() != t.ContentPolicy() {
		made.since, made.absences = t.circuit.now(), &absences{}
	}
	if configured.Model != t.Model || configured.Dialect != t.Dialect { // each counts in its own way, and is as fast as it is
		made.tokens, made.statistics = &calibration{}, &statistics{}
		made.baselines.accepted.Store(true) // and answers in its own way
	}
	return made
}

// sameAddress tells whether calls to two targets are the same to a provider: what
// it says of one is so of the other.
func sameAddress(a, b *jobs.Target) bool {
	return a.Provider == b.Provider && a.Dialect == b.Dialect && a.BaseURL == b.BaseURL && a.Key == b.Key && a.Model == b.Model && a.Variant == b.Variant
}

// retarget takes what a new configuration says. Refusals of the account and the
// key that a call meets by an older one say nothing from now on.
func (c *Circuit) retarget(t *jobs.Target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !sameAddress(c.target, t) {
		c.drought = drought{}
	}
	c.target = t
	was := c.limits
	c.limits = withDefaults(t.Circuit)
	if c.limits.FailureRate == was.FailureRate && c.limits.Window == was.Window {
		return
	}
	closed, half := c.breaker.IsClosed(), c.breaker.IsHalfOpen()
	c.breaker = newBreaker(c.limits)
	if !closed {
		c.breaker.Open()
	}
	if half {
		c.breaker.HalfOpen()
	}
	if c.probeOut {
		c.breaker.TryAcquirePermit()
	}
}

// MovedReason is what people read of a circuit whose target is called in another
// way since Reload.
const MovedReason = "its key or its address was changed: a probe is due"

// retry makes a target that may not be called due for a probe, whatever the
// reason: it is called in another way now. What the fleet shares, the fleet says,
// and what a person said stands.
func (c *Circuit) retry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	closed := c.breaker.IsClosed()
	if closed && !c.cools(c.now()) || !closed && c.person || c.fleet && !c.local {
		return
	}
	c.cooldown.Store(noCooldown)
	c.breaker.Open()
	c.tripWait = 0
	if c.downSince.IsZero() {
		c.downSince = c.now()
	}
	c.changed(MovedReason)
}

// introduce tells of a circuit that there was not before.
func (c *Circuit) introduce() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report()
}
