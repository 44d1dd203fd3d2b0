package routing

import (
	"hash/fnv"
	"math/rand/v2"
	"time"

	"tidegate/jobs"
)

// A target is a jobs.Target with what there is to know of it in this process.
type target struct {
	*jobs.Target
	circuit    *Circuit
	pace       *pace
	tokens     *calibration
	statistics *statistics
	baselines  *baselines
	absences   *absences
	since      time.Time // when it was configured to be one with other limits or rules; zero: it was this since the start
}

func newTarget(t *jobs.Target, config Config) *target {
	random := rand.New(rand.NewPCG(config.Seed, hash(t.Name)+1))
	made := &target{Target: t, circuit: newCircuit(t, config), pace: newPace(t.Limits, config.Now, random), tokens: &calibration{}, statistics: &statistics{}, baselines: &baselines{}, absences: &absences{}}
	made.circuit.onAccept = func() { made.baselines.accepted.Store(true) }
	made.circuit.onTurn = func(closed bool) {
		if closed {
			made.pace.recovered()
		} else {
			made.pace.tripped()
		}
	}
	return made
}

// A place is what one call of a target takes: its share of the pace, and a
// permit. A probe needs no pace: it is the one call there is.
type place struct {
	target *target
	permit Permit
	tokens int  // that the pace was asked for
	paced  bool // the pace counts it
}

// A wait is why a target has no place now.
type wait struct {
	paced  bool      // the target is in order: it is called as fast as it may be
	until  time.Time // when it is worth asking again; zero: something will change
	reason string    // as a person reads it
}

// admit takes a place for a call that is thought to use so many tokens, without
// waiting: first of the pace, then the permit, so that what the pace says no to
// holds no probe.
func (t *target) admit(tokens int) (p place, no wait) {
	ready, _ := t.circuit.readiness()
	if ready == Shut {
		return place{}, t.shut()
	}
	p = place{target: t, tokens: tokens}
	if ready == Flowing {
		ok, again, reason := t.pace.take(p.tokens)
		if !ok {
			return place{}, wait{paced: true, until: again, reason: reason}
		}
		p.paced = true
	}
	var ok bool
	if p.permit, ok = t.circuit.Acquire(); !ok {
		p.refund()
		return place{}, t.shut()
	}
	p.permit.by = t.Target
	switch probe := p.permit.Probe(); {
	case probe: // it opened between the two looks, or was open
		p.refund()
	case !p.paced: // it closed between the two looks
		p.leave()
		return t.admit(tokens)
	}
	return p, wait{}
}

func (t *target) shut() wait {
	_, until, reason := t.circuit.Ready()
	if reason == "" {
		reason = "another call took its place"
	}
	return wait{until: until, reason: reason}
}

// shutForGood tells whether a person has shut the target, and no time will open it.
func (t *target) shutForGood() bool {
	ready, until := t.circuit.readiness()
	return ready == Shut && until.Sub(t.circuit.now()) >= jobs.LongestCooldown
}

// refund gives back what the pace counts.
func (p *place) refund() {
	if p.paced {
		p.target.pace.refund(p.tokens)
		p.paced = false
	}
}

// leave gives up a place that was not used.
func (p *place) leave() {
	if p.target == nil {
		return
	}
	p.refund()
	p.permit.Done(Neutral, "")
}

// called tells the pace how a call ended.
func (p *place) called(end paceEnd) {
	end.tokens = p.tokens
	if !p.paced {
		p.target.pace.heard(end)
		return
	}
	p.paced = false
	p.target.pace.done(end)
}

// shares tells whether a refusal of the given scope at t is one of other, too.
func (t *target) shares(other *target, scope jobs.Scope) bool {
	switch {
	case t == other:
		return true
	case t.Provider != other.Provider || t.Provider == "":
		return false
	default:
		return scope == jobs.OnAccount || scope == jobs.OnKey && t.Key == other.Key
	}
}

func hash(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s))
	return h.Sum64()
}
