package routing

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tidegate/jobs"
	"tidegate/jobs/expect"
)

// A Provider makes calls. It is safe for concurrent use.
type Provider interface {
	// Check says, without a call, why a target's dialect cannot say what a body
	// asks for; nil: it can. It names the field.
	Check(target *jobs.Target, of jobs.Endpoint, body []byte) error
	// Complete makes one call. Exactly one of its results is nil.
	Complete(ctx context.Context, target *jobs.Target, of jobs.Endpoint, body []byte) (*jobs.Answer, *jobs.Error)
}

// Config is what a Router is made of.
type Config struct {
	Routes   []jobs.Route
	Provider Provider
	// OnChange is told of every change of a circuit or of its cooldown, in
	// order for each target. It is called with the circuit locked: it must
	// return at once and not call back. Nil: nobody is told.
	OnChange func(jobs.Circuit)
	// Fleet tells that the router is one of many that share their circuits: an
	// open one is probed only after Grant. Otherwise whoever comes after the
	// cooldown is the probe.
	Fleet bool
	// Choosing is how targets are chosen; see Router.Choose.
	Choosing Choosing
	Now      func() time.Time // nil: time.Now
	Seed     uint64           // of the jitter, and of what is picked at random
}

// A Router routes requests. Safe for concurrent use.
type Router struct {
	config   Config // of targets that come later
	provider Provider
	now      func() time.Time
	plan     atomic.Pointer[plan]
	choosing atomic.Pointer[choosing]
	prompts  prompts
	rules    expect.Cache
	ahead    atomic.Int64 // by how many nanoseconds the database's clock, which deadlines are of, is ahead
	backlogs backlogs

	reloading sync.Mutex
	known     map[string]*target // as they were last configured; with those that left all chains
	habits    map[string]*habits // of routes, likewise

	mu       sync.Mutex
	sharedAt time.Time // when shares last followed the fleet
	random   *rand.Rand
}

// New returns a Router whose circuits are all closed. A target that stands in
// several chains has one circuit.
func New(config Config) *Router {
	if config.Now == nil {
		config.Now = time.Now
	}
	r := &Router{config: config, provider: config.Provider, now: config.Now, known: map[string]*target{}, habits: map[string]*habits{}}
	r.random = rand.New(rand.NewPCG(config.Seed, hash("choosing")))
	r.Choose(config.Choosing)
	plan := newPlan(config.Routes, func(t *jobs.Target) *target {
		made := newTarget(t, config)
		r.known[t.Name] = made
		return made
	})
	r.takeOver(plan)
	r.plan.Store(plan)
	return r
}

// Circuits says where every circuit stands, in the order of the chains.
func (r *Router) Circuits() []jobs.Circuit {
	targets := r.plan.Load().targets
	all := make([]jobs.Circuit, len(targets))
	for i, t := range targets {
		all[i] = t.circuit.Snapshot()
	}
	return all
}

// Route tries the chain of a request once, for a caller who waits for nothing
// but the calls themselves: it is Admit and the pass's Route in one. It returns
// soon after ctx ends, then Blocked.
func (r *Router) Route(ctx context.Context, request *jobs.Request, history jobs.Trace) jobs.Outcome {
	pass, outcome := r.Admit(request, history)
	if pass == nil {
		return outcome
	}
	return pass.Route(ctx, func(context.Context, jobs.Begun) error { return nil })
}

// begin prepares a try, or says why there is none.
func (r *Router) begin(request *jobs.Request, history jobs.Trace) (*try, *jobs.Outcome) {
	route := r.plan.Load().routes[request.Route]
	if route == nil {
		no := refused(badRequest("unknown_route", "this worker does not serve the route %q", request.Route), nil)
		return nil, &no
	}
	goal := cmp.Or(request.Goal, route.Goal, Ordered)
	choosing := r.choosing.Load()
	strategy := choosing.strategies[goal]
	if strategy == nil {
		no := refused(badRequest("unknown_goal", "optimization_goal: %q is not known; there are: %s", goal, strings.Join(choosing.goals, ", ")), nil)
		return nil, &no
	}
	made := newTry(r, route.chain, request, history)
	made.route, made.lenient, made.whenOpen = route, route.OtherPolicies, route.WhenOpen
	if request.Awaited {
		made.whenOpen = jobs.WhenOpenReroute
	}
	if goal != Ordered {
		made.choose(goal, strategy, choosing)
	}
	if no := made.expects(route); no != nil {
		return nil, no
	}
	return made, nil
}

// draw is a number below n, at random.
func (r *Router) draw(n int) int {
	if n < 2 {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.random.IntN(n)
}

// chance is a number from 0 to 1, at random, where what is below most matters.
func (r *Router) chance(most float64) float64 {
	if most <= 0 {
		return 1
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.random.Float64()
}

func badRequest(code, format string, args ...any) *jobs.Error {
	return &jobs.Error{Class: jobs.BadRequest, Status: 400, Code: code, Message: fmt.Sprintf(format, args...)}
}

func refused(err *jobs.Error, trace jobs.Trace) jobs.Outcome {
	return jobs.Outcome{Verdict: jobs.Refused, Err: err, Trace: trace}
}
