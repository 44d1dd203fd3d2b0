package replay

import (
	"context"
	"time"

	"tidegate/jobs"
	"tidegate/routing"
)

// A world is what all runs have in common. It is not changed.
type world struct {
	log     *Log
	pools   []pool
	faults  faults
	beside  beside
	outages []Outage
	limits  []Limit
	seed    uint64
}

// A stretch is a part of a log that a run lives through: its requests from one place
// on, to another. Those that are counted begin later: what comes before warms up what
// the router knows.
type stretch struct {
	from, counted, to int
	number            uint64
	stratum           int
	weight            float64 // how many stretches of its stratum it stands for
}

// A run is one stretch of the log under one policy, with its luck: the router itself,
// and around it what a worker does. It is for one goroutine.
type run struct {
	*world
	clock
	stretch
	policy  *Policy
	router  *routing.Router
	luck    luck
	sites   map[string]*site
	order   []*site // in that of the chains
	rooms   map[string]*room
	future  future
	idle    []*job // to be used again
	arrived int    // the place of the next one
	counts  int    // counted requests in hand
	turned  bool   // a circuit has changed
	rings   bool   // … so that those who wait for a price look again
	patient []resting
	beatAt  int64
	tally   *tally
}

// A site is a target, with what the provider behind it does.
type site struct {
	target  *jobs.Target
	number  int // of the log; below zero: it has no call of it
	place   int // of run.order
	meter   meter
	refuses time.Duration
	outages []*Outage
	open    bool
	dueAt   int64  // a probe is planned for then; zero: none is
	mark    uint32 // of that plan
	probes  uint64
	walk    *routing.Walk // of a minimal call that is out
	fate    fate
	minute  int64
	calls   float64 // in that minute
}

// newRun prepares one. What it counts goes into the tally.
func newRun(w *world, policy *Policy, side side, of stretch, into *tally) *run {
	r := &run{world: w, policy: policy, stretch: of, sites: map[string]*site{}, rooms: map[string]*room{}, tally: into, arrived: of.from}
	r.start = w.log.start
	first := w.log.requests.at[of.from]
	r.set(int64(first) * int64(time.Millisecond))
	if r.is.IsZero() {
		r.is = r.start
	}
	r.luck = newLuck(w.pools, side, w.seed, first)
	r.router = routing.New(routing.Config{
		Routes: policy.Routes, Provider: nobody{}, Choosing: policy.Choosing,
		Now: func() time.Time { return r.is }, Seed: mix(w.seed, of.number, side.salt()), OnChange: r.changed,
	})
	for i, t := range policy.targets() {
		s := &site{target: t, number: w.log.number(t.Name), place: i, refuses: usualRefusal * time.Microsecond}
		var learned limit
		if s.number >= 0 {
			learned = w.pools[s.number].limit
			s.refuses = time.Duration(learned.refuses) * time.Microsecond
		}
		s.meter = newMeter(t.Limits, learned)
		for i := range w.limits {
			if w.limits[i].Target == t.Name {
				s.meter.tighten(&w.limits[i].Limits)
			}
		}
		for i := range w.outages {
			if w.outages[i].of(t) {
				s.outages = append(s.outages, &w.outages[i])
			}
		}
		r.sites[t.Name] = s
		r.order = append(r.order, s)
	}
	for i := range policy.Routes {
		r.rooms[policy.Routes[i].Name] = &room{route: &policy.Routes[i]}
	}
	r.router.Remember(w.past(of.from, policy))
	return r
}

// nobody is a provider that is never called: a run makes the calls itself.
type nobody struct{}

func (nobody) Check(*jobs.Target, jobs.Endpoint, []byte) error { return nil }

func (nobody) Complete(context.Context, *jobs.Target, jobs.Endpoint, []byte) (*jobs.Answer, *jobs.Error) {
	return nil, &jobs.Error{Class: jobs.Lost, Message: "a replay makes no calls"}
}

// all lives through the stretch, until what was counted is over or can wait no longer.
// It ends early when ctx does.
func (r *run) all(ctx context.Context) {
	last := int64(r.log.requests.at[r.to-1])*int64(time.Millisecond) + int64(longestAfter)
	for n := 1; r.arrived < r.to || r.counts > 0; n++ {
		if n%heedEvery == 0 && ctx.Err() != nil {
			return
		}
		comes, happens := int64(never), int64(never)
		if r.arrived < r.log.Requests() {
			comes = int64(r.log.requests.at[r.arrived]) * int64(time.Millisecond)
		}
		if len(r.future.events) > 0 {
			happens = r.future.events[0].at
		}
		if min(comes, happens) > last {
			break
		}
		if comes <= happens {
			r.set(comes)
			r.arrive()
		} else {
			e := r.future.next()
			r.set(e.at)
			r.happen(&e)
		}
		r.turn()
	}
	r.tally.left(r)
}

const (
	never = 1<<63 - 1
	// heedEvery is how many events are lived through until a run looks whether it is to end.
	heedEvery = 1 << 12
	// longestAfter is for how long a run goes on after its last request came.
	longestAfter = 48 * time.Hour
	// beatEvery and backlogEvery are how often the router is told what waits, as a worker
	// does.
	beatEvery    = 2 * time.Second
	backlogEvery = 10 * time.Second
)

func (r *run) happen(e *event) {
	switch e.kind {
	case eventEnd:
		r.ended(e.of)
	case eventRest:
		if e.of.mark == e.mark {
			r.back(e.of)
			r.look(e.of.room)
		}
	case eventLook:
		if e.room.lookAt == e.at {
			e.room.lookAt = 0
			r.look(e.room)
		}
	case eventDue:
		r.due(e.site, e.at)
	case eventProbe:
		if e.site.mark == e.mark {
			r.probe(e.site)
		}
	case eventProbed:
		r.probed(e.site)
	case eventCome:
		r.wait(e.of)
	case eventFree:
		e.room.turning--
		r.look(e.room)
	case eventGive:
		r.give(e.room, int(e.mark))
	}
}

// turn sees to what circuits have done.
func (r *run) turn() {
	for r.turned {
		r.turned = false
		if r.rings {
			r.rings = false
			r.ring()
		}
		for _, room := range r.waitingRooms() {
			r.look(room)
		}
	}
}

// changed hears of a circuit from the router, with its lock held.
func (r *run) changed(c jobs.Circuit) {
	s := r.sites[c.Target]
	if s == nil {
		return // the router is being made
	}
	r.turned = true
	opened := c.State != jobs.CircuitClosed
	if opened && !s.open {
		r.tally.trip(r, s)
	}
	if s.open && !opened {
		r.tally.close(r, s)
	}
	if s.open = opened; !opened {
		r.rings = r.rings || !c.CooldownUntil.After(r.is)
		return
	}
	if due := r.of(c.CooldownUntil); c.State == jobs.CircuitOpen && s.dueAt != due {
		s.dueAt = due
		r.future.add(event{at: max(due, r.at), kind: eventDue, site: s})
	}
}

// counting tells whether what happens now is of what is counted.
func (r *run) counting() bool { return r.arrived > r.counted && r.arrived <= r.to }
