package routing

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"tidegate/jobs"
)

const (
	// probeTimeout bounds a minimal call: it asks for one token.
	probeTimeout = 30 * time.Second
	// probeText names the target and the generation, so that no two probes are the same
	// request to a provider.
	probeText = "ping %s/%d"
)

// Probe makes a minimal call to a target as its trial call, where no request
// waits that could be it, and returns it as an attempt of no request. It does
// nothing, and returns nil, unless a probe is due and nobody has it.
func (r *Router) Probe(ctx context.Context, name string) *jobs.Attempt {
	walk := r.WalkProbe(name)
	if walk == nil {
		return nil
	}
	return walk.EndProbe(walk.complete(ctx))
}

// WalkProbe is Probe for whoever makes the call himself: nil, or a walk with its place
// at the target, whose only call is to be told to EndProbe.
func (r *Router) WalkProbe(name string) *Walk {
	t := r.plan.Load().byName[name]
	if t == nil || t.Endpoints.Empty() {
		return nil
	}
	if ready, _ := t.circuit.readiness(); ready != ProbeReady {
		return nil
	}
	p, _ := t.admit(0)
	if p.target == nil || !p.permit.Probe() {
		p.leave()
		return nil
	}
	copied := *t.Target // with a timeout of its own
	copied.Timeouts.Total = min(cmp.Or(copied.Timeouts.Total, probeTimeout), probeTimeout)
	p.target = &target{Target: &copied, circuit: t.circuit, pace: t.pace, tokens: &calibration{}, statistics: &statistics{}, baselines: t.baselines, absences: t.absences} // so short a call teaches nothing
	of := t.Endpoints.List()[0]
	request := &jobs.Request{Endpoint: of, Body: of.Least(fmt.Sprintf(probeText, name, t.circuit.Snapshot().Generation))}
	return &Walk{try: newTry(r, []*target{p.target}, request, nil), place: p, began: r.now()}
}

// EndProbe hears how the call of a WalkProbe ended, and returns it as an attempt of no
// request.
func (w *Walk) EndProbe(answer *jobs.Answer, err *jobs.Error) *jobs.Attempt {
	w.note(answer, err)
	return w.try.trace[0].Attempt
}
