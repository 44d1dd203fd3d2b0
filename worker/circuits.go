package worker

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tidegate/jobs"
)

// saveEvery bounds how often circuits are written: a circuit that changes many
// times in between is written once.
const saveEvery = 100 * time.Millisecond

// circuits tells the fleet where the circuits of this worker stand.
type circuits struct {
	peers Peers
	name  string
	log   zerolog.Logger
	wake  chan struct{}

	mu     sync.Mutex
	known  map[string]jobs.Circuit
	dirty  map[string]bool
	untold []turn // that are not in the log yet
}

// A turn is a circuit that went from one state to another.
type turn struct {
	from jobs.CircuitState
	jobs.Circuit
}

func newCircuits(config *Config) *circuits {
	c := &circuits{
		peers: config.Fleet.Peers, name: config.Name, log: config.Log, wake: make(chan struct{}, 1),
		known: map[string]jobs.Circuit{}, dirty: map[string]bool{},
	}
	for _, circuit := range config.Circuits.Circuits() {
		c.changed(circuit)
	}
	return c
}

// changed notes a change. It never blocks.
func (c *circuits) changed(circuit jobs.Circuit) {
	c.mu.Lock()
	before, marked := c.known[circuit.Target].State, c.known[circuit.Target].Degraded
	c.known[circuit.Target], c.dirty[circuit.Target] = circuit, true
	if before != "" && (before != circuit.State || (marked == "") != (circuit.Degraded == "")) {
		c.untold = append(c.untold, turn{before, circuit})
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run writes changes until ctx ends, and the last ones then.
func (c *circuits) Run(ctx context.Context) {
	for {
		select {
		case <-c.wake:
			c.save(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), retryMax)
			defer cancel()
			c.save(last)
			return
		}
		_ = sleepUntil(ctx, saveEvery)
	}
}

// save writes what has changed. What could not be written is tried again with
// the next change, or after a pause.
func (c *circuits) save(ctx context.Context) {
	c.mu.Lock()
	var changed []jobs.Circuit
	for target := range c.dirty {
		changed = append(changed, c.known[target])
	}
	clear(c.dirty)
	turns := c.untold
	c.untold = nil
	c.mu.Unlock()
	c.tell(turns)
	if len(changed) == 0 {
		return
	}
	try, cancel := context.WithTimeout(ctx, tryMin)
	defer cancel()
	err := c.peers.ShareCircuits(try, c.name, changed)
	if err == nil {
		return
	}
	c.mu.Lock()
	for _, circuit := range changed {
		c.dirty[circuit.Target] = true
	}
	c.mu.Unlock()
	if ctx.Err() != nil { // the last save writes them
		return
	}
	c.log.Warn().Err(err).Msg("the fleet was not told of circuits; it is repeated")
	_ = sleepUntil(ctx, retryMax)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// tell writes turns into the log: from here, and not from where they happen, with
// a circuit locked, since whoever reads the log may be slow.
func (c *circuits) tell(turns []turn) {
	for _, t := range turns {
		line := c.log.Warn()
		if t.Degraded != "" {
			line = line.Str("degraded", t.Degraded)
		}
		cooling(line.Str("target", t.Target).Str("from", string(t.from)).Str("to", string(t.State)).Str("reason", t.Reason), &t.Circuit).
			Msg("circuit changed")
	}
}

// cooling adds to a line until when a target is left alone, if it is.
func cooling(line *zerolog.Event, of *jobs.Circuit) *zerolog.Event {
	if of.CooldownUntil.IsZero() {
		return line
	}
	return line.Time("cooldown_until", of.CooldownUntil)
}
