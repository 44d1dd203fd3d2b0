package worker

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"tidegate/jobs"
)

var (
	errAway     = errors.New("no connection")
	errNotAgain = errors.New("a worker says that it beats again when it does not, or the other way round")
)

// A village is a fleet's tables in memory, of which a test says what is in them,
// and remembers what was done to them.
type village struct {
	mu     sync.Mutex
	away   bool          // every call fails
	slow   time.Duration // how long a call takes, if it is not cut off
	dead   bool          // what beats are told
	fleet  jobs.Fleet
	beats  int
	reads  int
	lead   jobs.Lead // who leads; empty: whoever asks
	done   []string  // in words
	holder string    // of the probe
	parked int       // jobs that wait for a time
	gives  []int     // how many of them were given back, call by call
	many   bool      // as many at once as are asked for, and not two
	rates  map[string]float64
}

func newVillage() *village { return &village{rates: map[string]float64{}} }

func (v *village) all() Fleet { return Fleet{Peers: v, Probes: v, Lead: v, Care: v, Books: v} }

// change changes what there is.
func (v *village) change(how func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	how()
}

// call is what every method begins with. Without an error it has locked.
func (v *village) call(ctx context.Context) error {
	v.mu.Lock()
	slow := v.slow
	v.mu.Unlock()
	if slow > 0 {
		if err := sleepUntil(ctx, slow); err != nil {
			return err
		}
	}
	v.mu.Lock()
	if v.away {
		v.mu.Unlock()
		return errAway
	}
	return nil
}

// did takes what was done so far.
func (v *village) did() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	done := v.done
	v.done = nil
	return done
}

func (v *village) Beat(ctx context.Context, beat jobs.Beat) (bool, error) {
	if err := v.call(ctx); err != nil {
		return false, err
	}
	defer v.mu.Unlock()
	if beat.Again != (v.beats > 0) {
		return false, errNotAgain
	}
	v.beats++
	return v.dead, nil
}

func (v *village) Fleet(ctx context.Context) (jobs.Fleet, error) {
	if err := v.call(ctx); err != nil {
		return jobs.Fleet{}, err
	}
	defer v.mu.Unlock()
	v.reads++
	return v.fleet, nil
}

func (v *village) ShareCircuits(context.Context, string, []jobs.Circuit) error { return nil }

func (v *village) Leave(context.Context, string) error { return nil }

func (v *village) TakeProbe(ctx context.Context, worker, _ string, _ uint64) (bool, error) {
	if err := v.call(ctx); err != nil {
		return false, err
	}
	defer v.mu.Unlock()
	v.done = append(v.done, "ask")
	if v.holder == "" {
		v.holder = worker
	}
	return v.holder == worker, nil
}

func (v *village) FreeProbe(ctx context.Context, worker, _ string) error {
	if err := v.call(ctx); err != nil {
		return err
	}
	defer v.mu.Unlock()
	v.done = append(v.done, "free")
	if v.holder == worker {
		v.holder = ""
	}
	return nil
}

func (v *village) Lead(ctx context.Context, worker string, _ time.Duration) (jobs.Lead, bool, error) {
	if err := v.call(ctx); err != nil {
		return jobs.Lead{}, false, err
	}
	defer v.mu.Unlock()
	if v.lead.Worker == "" {
		v.lead = jobs.Lead{Worker: worker, Epoch: v.lead.Epoch + 1}
	}
	return v.lead, v.lead.Worker == worker, nil
}

func (v *village) Resign(context.Context, jobs.Lead) error {
	v.change(func() { v.done = append(v.done, "resign") })
	return nil
}

// act is an action of a supervisor.
func (v *village) act(ctx context.Context, held jobs.Lead, what string) error {
	if err := v.call(ctx); err != nil {
		return err
	}
	defer v.mu.Unlock()
	if held != v.lead {
		return jobs.ErrDeposed
	}
	v.done = append(v.done, what)
	return nil
}

func (v *village) Rescue(ctx context.Context, held jobs.Lead, worker string, _ jobs.RescueLimits) (jobs.Rescue, error) {
	return jobs.Rescue{}, v.act(ctx, held, "rescue "+worker)
}

func (v *village) Orphans(context.Context) ([]string, error) { return nil, nil }

func (v *village) Pause(ctx context.Context, held jobs.Lead, route, _ string, _ func(context.Context, pgx.Tx) error) (bool, error) {
	return true, v.act(ctx, held, "pause "+route)
}

func (v *village) Explain(ctx context.Context, held jobs.Lead, route, reason string) error {
	return v.act(ctx, held, "explain "+route+": "+reason)
}

func (v *village) Resume(ctx context.Context, held jobs.Lead, route string, _ func(context.Context, pgx.Tx) error) (bool, error) {
	return true, v.act(ctx, held, "resume "+route)
}

func (v *village) Expire(ctx context.Context, held jobs.Lead, _ jobs.Sweep) (jobs.Swept, error) {
	if err := v.call(ctx); err != nil {
		return jobs.Swept{}, err
	}
	defer v.mu.Unlock()
	if held != v.lead {
		return jobs.Swept{}, jobs.ErrDeposed
	}
	return jobs.Swept{}, nil
}

func (v *village) SavePace(ctx context.Context, held jobs.Lead, target string, rate float64) error {
	if err := v.act(ctx, held, "save "+target); err != nil {
		return err
	}
	v.change(func() { v.rates[target] = rate })
	return nil
}

func (v *village) Unpark(ctx context.Context, held jobs.Lead, target string, atMost int) (int, error) {
	if err := v.act(ctx, held, "unpark "+target); err != nil {
		return 0, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	n := min(v.parked, 2)
	if v.many {
		n = min(v.parked, atMost)
	}
	v.parked -= n
	v.gives = append(v.gives, n)
	return n, nil
}

func (v *village) given() []int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.gives)
}

func (v *village) Forget(ctx context.Context, held jobs.Lead) error {
	return v.act(ctx, held, "forget")
}

// breakers are the circuits of one worker, as a test says.
type breakers struct {
	mu    sync.Mutex
	all   []jobs.Circuit
	grant func() bool
	probe func() *jobs.Attempt
}

func (b *breakers) set(all ...jobs.Circuit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = all
}

func (b *breakers) Circuits() []jobs.Circuit {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all
}

func (b *breakers) Follow(*jobs.Fleet, string) []jobs.Circuit { return nil }

func (b *breakers) Grant(string, uint64) bool {
	b.mu.Lock()
	grant := b.grant
	b.mu.Unlock()
	return grant()
}

func (b *breakers) Probe(context.Context, string) *jobs.Attempt {
	b.mu.Lock()
	probe := b.probe
	b.mu.Unlock()
	return probe()
}

// onGrant says how a probe is granted, and onProbe how a minimal call goes.
func (b *breakers) onGrant(grant func() bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.grant = grant
}

func (b *breakers) onProbe(probe func() *jobs.Attempt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probe = probe
}

// alone is a worker of a village with the usual timing.
func (v *village) alone(router Circuits) *Config {
	config := withDefaults(Config{Name: "one", Fleet: v.all(), Circuits: router, Queues: []string{"r"}, Log: zerolog.Nop()})
	return &config
}

func openFor(left time.Duration) jobs.Circuit {
	return jobs.Circuit{Target: "a", State: jobs.CircuitOpen, Generation: 1, CooldownUntil: time.Now().Add(left)}
}

var closedNow = jobs.Circuit{Target: "a", State: jobs.CircuitClosed, Generation: 2}
