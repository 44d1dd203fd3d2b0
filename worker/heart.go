package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tidegate/jobs"
)

// A heart tells the fleet that its worker lives, and its worker what the others
// say. A worker whose beats do not arrive begins no call: by then another one may
// have its jobs.
//
//	beats ──> the supervisor sees them ──> nothing happens
//	  │ none for 8 s: no call begins here
//	  │ none for 10 s: the supervisor gives the jobs to others
//	  └ the next one that arrives is told: this worker is dead, and ends
type heart struct {
	name   string
	peers  Peers
	router Circuits
	beat   func() jobs.Beat                               // what the worker says of itself
	told   func(fleet jobs.Fleet, changed []jobs.Circuit) // what was read; every time
	timing Timing
	log    zerolog.Logger
	now    func() time.Time
	wake   chan struct{} // look now
	died   chan struct{} // closed when the worker was declared dead

	mu      sync.Mutex
	beatAt  time.Time     // when the last beat that arrived was sent
	arrived chan struct{} // closed when the next one arrives
	ahead   time.Duration // of the database's clock
	dead    bool
}

func newHeart(config *Config, beat func() jobs.Beat, told func(fleet jobs.Fleet, changed []jobs.Circuit)) *heart {
	return &heart{
		name: config.Name, peers: config.Fleet.Peers, router: config.Circuits, beat: beat, told: told,
		timing: config.Timing, log: config.Log, now: config.Now,
		wake: make(chan struct{}, 1), died: make(chan struct{}), arrived: make(chan struct{}),
	}
}

// Begin makes the worker one of the fleet, and tells it where circuits stand
// before it takes a job.
func (h *heart) Begin(ctx context.Context) error {
	if err := h.once(ctx); err != nil {
		return err
	}
	return h.read(ctx)
}

// Run beats and reads until ctx ends.
func (h *heart) Run(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { h.every(ctx, h.timing.Beat, nil, "the fleet was not told that this worker lives", h.once) })
	both.Go(func() { h.every(ctx, h.timing.Read, h.wake, "the fleet was not read", h.read) })
	both.Wait()
}

// every does something now and then, and when it is woken. It says once that it
// fails, and once that it does no more.
func (h *heart) every(ctx context.Context, period time.Duration, wake <-chan struct{}, failed string, do func(context.Context) error) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	well := true
	for {
		select {
		case <-ticker.C:
		case <-wake:
		case <-ctx.Done():
			return
		}
		try, cancel := context.WithTimeout(ctx, max(2*period, time.Second))
		err := do(try)
		cancel()
		if err != nil && ctx.Err() == nil && well {
			h.log.Warn().Err(err).Msg(failed + "; it is repeated")
		}
		well = err == nil
	}
}

// once is one beat.
func (h *heart) once(ctx context.Context) error {
	beat, sent := h.beat(), h.now()
	beat.Worker, beat.Again = h.name, h.beaten()
	dead, err := h.peers.Beat(ctx, beat)
	if err != nil {
		return err
	}
	if dead {
		h.Die()
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beatAt = sent
	close(h.arrived)
	h.arrived = make(chan struct{})
	return nil
}

// beaten tells whether a beat has arrived before.
func (h *heart) beaten() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.beatAt.IsZero()
}

// read takes in what the others say.
func (h *heart) read(ctx context.Context) error {
	fleet, err := h.peers.Fleet(ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.ahead = fleet.Ahead
	h.mu.Unlock()
	changed := h.router.Follow(&fleet, h.name)
	for _, circuit := range changed {
		cooling(h.log.Warn().Str("target", circuit.Target).Str("to", string(circuit.State)).Str("reason", circuit.Reason), &circuit).
			Msg("circuit follows the fleet")
	}
	h.told(fleet, changed)
	return nil
}

// Wake has the fleet read at once. It never blocks.
func (h *heart) Wake() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Ahead is how far the database's clock is ahead of this machine's.
func (h *heart) Ahead() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ahead
}

// Died is closed when the worker was declared dead.
func (w *Worker) Died() <-chan struct{} { return w.heart.died }

// Die says that the worker was declared dead.
func (h *heart) Die() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dead {
		return
	}
	h.dead = true
	close(h.died)
	h.log.Error().Str("worker", h.name).
		Msg("the fleet declared this worker dead, for its beats did not arrive: others have its jobs, and it ends")
}

var errStale = errors.New("the fleet has not heard of this worker for a while")

// Lives tells whether the fleet has heard of the worker lately: nil, errStale, or
// jobs.ErrDead.
func (h *heart) Lives() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.dead:
		return jobs.ErrDead
	case h.now().Sub(h.beatAt) >= h.timing.Stale:
		return errStale
	default:
		return nil
	}
}

// AwaitLife waits until the fleet has heard of the worker lately. It returns
// jobs.ErrDead, or the cause why ctx ended first.
func (h *heart) AwaitLife(ctx context.Context) error {
	for {
		h.mu.Lock()
		arrived := h.arrived
		h.mu.Unlock()
		if err := h.Lives(); err == nil || errors.Is(err, jobs.ErrDead) {
			return err
		}
		select {
		case <-arrived:
		case <-h.died:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
