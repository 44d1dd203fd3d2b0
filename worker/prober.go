package worker

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tidegate/jobs"
)

const (
	// takeAgain is how long a worker waits that did not get a probe: doubling, up
	// to Timing.Read. The database may think that the cooldown is not over for a
	// moment longer.
	takeAgain = 50 * time.Millisecond
)

// A prober takes the fleet's probe of each open circuit when its cooldown ends.
// The probe is a request that waits here, if there is one; else the prober makes
// a minimal call.
type prober struct {
	name   string
	probes Probes
	router Circuits
	lives  func() error        // whether the fleet has heard of this worker lately
	let    func()              // look who may be let go
	keep   func(*jobs.Attempt) // write down a probe of no request
	timing Timing
	log    zerolog.Logger
	now    func() time.Time
	wake   chan struct{}

	mu   sync.Mutex
	busy map[string]bool // by target
}

func newProber(config *Config, lives func() error, let func(), keep func(*jobs.Attempt)) *prober {
	return &prober{
		name: config.Name, probes: config.Fleet.Probes, router: config.Circuits, lives: lives, let: let, keep: keep, timing: config.Timing,
		log: config.Log, now: config.Now, wake: make(chan struct{}, 1), busy: map[string]bool{},
	}
}

// Wake says that a circuit has changed. It never blocks.
func (p *prober) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run probes until ctx ends.
func (p *prober) Run(ctx context.Context) {
	var probes sync.WaitGroup
	defer probes.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-p.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		timer.Reset(p.round(func(c jobs.Circuit) {
			probes.Go(func() {
				p.probe(ctx, c)
				p.mu.Lock()
				delete(p.busy, c.Target)
				p.mu.Unlock()
				p.Wake()
			})
		}))
	}
}

// round begins the probes that are due, and says when the next one is.
func (p *prober) round(begin func(jobs.Circuit)) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := time.Hour
	for _, c := range p.router.Circuits() {
		if c.State == jobs.CircuitClosed || p.busy[c.Target] {
			continue
		}
		if left := c.CooldownUntil.Sub(p.now()); left > 0 {
			next = min(next, left)
			continue
		}
		p.busy[c.Target] = true
		begin(c)
	}
	return next
}

// probe sees to it that a circuit is probed, by whoever in the fleet, until it
// has moved on.
func (p *prober) probe(ctx context.Context, c jobs.Circuit) {
	if c.Unreached && !c.Local && (sleepUntil(ctx, p.timing.Probe) != nil || p.over(c)) { // one who can reach it goes first
		return
	}
	for wait := takeAgain; !c.Local && !p.take(ctx, c); wait = min(2*wait, p.timing.Read) {
		if sleepUntil(ctx, wait) != nil || p.over(c) {
			return
		}
	}
	if !c.Local && !p.router.Grant(c.Target, c.Generation) {
		p.free(ctx, c)
		return
	}
	p.let()
	for sleepUntil(ctx, p.nextLook(c)) == nil && !p.moved(c) { // through a cooldown that begins meanwhile: the probe may be out
		if p.lives() != nil { // by now the probe may be another's
			continue
		}
		if !c.Local { // a configuration without the target, and one with it again, have taken it back
			p.router.Grant(c.Target, c.Generation)
		}
		if attempt := p.call(ctx, c.Target); attempt != nil { // there is none while a request is the probe
			p.keep(attempt)
		}
	}
	if _, serves := p.find(c.Target); !c.Local && (!serves || !p.moved(c)) { // what moved on is told with its new generation, and that frees the probe
		p.free(context.WithoutCancel(ctx), c)
	}
}

// nextLook is how long it is until a circuit is worth a look whose probe this
// worker has.
func (p *prober) nextLook(c jobs.Circuit) time.Duration {
	now, _ := p.find(c.Target)
	cools := now.CooldownUntil.Sub(p.now())
	return max(p.timing.Probe, min(cools, p.timing.Dead))
}

// call makes a minimal call. There is no River here that would catch a panic of
// it, and it must not end the worker: the next one would do the same, and end,
// too.
func (p *prober) call(ctx context.Context, target string) (attempt *jobs.Attempt) {
	began := p.now()
	defer func() {
		if recover() == nil {
			return
		}
		p.log.Error().Str("target", target).Bytes("stack", debug.Stack()).Msg("a probe ended in a panic")
		attempt = &jobs.Attempt{
			At: began, Target: target, Class: jobs.Lost, Message: "the call ended in a panic", Latency: p.now().Sub(began), Probe: true, Propensity: 1,
		}
	}()
	return p.router.Probe(ctx, target)
}

func (p *prober) take(ctx context.Context, c jobs.Circuit) bool {
	try, cancel := context.WithTimeout(ctx, retryMax)
	defer cancel()
	ok, err := p.probes.TakeProbe(try, p.name, c.Target, c.Generation)
	if err != nil && ctx.Err() == nil {
		p.log.Debug().Err(err).Msg("a probe was not taken; it is repeated")
	}
	return ok && err == nil
}

func (p *prober) free(ctx context.Context, c jobs.Circuit) {
	try, cancel := context.WithTimeout(ctx, retryMax)
	defer cancel()
	if err := p.probes.FreeProbe(try, p.name, c.Target); err != nil {
		p.log.Debug().Err(err).Msg("a probe was not given back; the end of this worker does it")
	}
}

// over tells whether there is nothing left to probe for now.
func (p *prober) over(then jobs.Circuit) bool {
	now, _ := p.find(then.Target)
	return p.moved(then) || now.CooldownUntil.After(p.now())
}

// moved tells whether a circuit has changed since, or this worker has no more to
// do with its target.
func (p *prober) moved(then jobs.Circuit) bool {
	now, _ := p.find(then.Target)
	return now.State == jobs.CircuitClosed || now.Generation != then.Generation || now.Local != then.Local
}

// find is where a circuit stands, and whether this worker serves its target: a new
// configuration may have taken it away.
func (p *prober) find(target string) (circuit jobs.Circuit, serves bool) {
	for _, c := range p.router.Circuits() {
		if c.Target == target {
			return c, true
		}
	}
	return jobs.Circuit{State: jobs.CircuitClosed}, false
}
