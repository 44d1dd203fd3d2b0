package jobs

import "time"

// A CircuitState is where a circuit stands.
type CircuitState string

// The states of a circuit.
const (
	CircuitClosed   CircuitState = "closed"    // calls flow
	CircuitOpen     CircuitState = "open"      // none do
	CircuitHalfOpen CircuitState = "half-open" // one trial call is out
	// CircuitDegraded is what events call a closed circuit whose target is degraded.
	CircuitDegraded CircuitState = "degraded"
)

// LongestCooldown is the longest time for which anybody means a circuit to stay
// open. A cooldown that lasts longer has no end but a person's word.
const LongestCooldown = 365 * 24 * time.Hour

// A Circuit is what there is to know of a target's circuit at one moment. Its
// times are of this machine's clock, also when another worker set them: between
// machines they travel as durations.
type Circuit struct {
	Target     string
	Region     string
	State      CircuitState
	Generation uint64    // grows with every change of state, in the whole fleet
	Reason     string    // of the last change, as a person reads it; empty: there was none
	Since      time.Time // of the last change
	// CooldownUntil is a time before which the target must not be called,
	// whatever the state; zero: none is known.
	CooldownUntil time.Time
	// DownSince is when the circuit left closed; zero: it is closed.
	DownSince time.Time
	// TripWait is the last of the doubling waits after the refusal of an account
	// or a key; zero: none was needed.
	TripWait time.Duration
	// Local tells that only this host saw the target fail, before a connection
	// stood: its circuit is open here, and for nobody else.
	Local bool
	// Unreached tells that the last call from this host did not get through, so
	// that another one does better to probe.
	Unreached bool
	// Person tells that a person opened or closed it, or had it probed by
	// configuring its target anew: then its cooldown replaces an earlier one, also a
	// longer one.
	Person bool
	// Degraded is how the answers of the target have changed for the worse, as a person
	// reads it; empty: they have not. It is called as long as its circuit is closed.
	Degraded string
	// Prober is the worker that has the probe of an open circuit; empty: nobody.
	Prober string
}

// UntilClosed tells whether the target is not called or probed again before
// somebody closes its circuit: a person opened it for no given time. Its
// CooldownUntil then means nothing to people.
func (c *Circuit) UntilClosed(now time.Time) bool { return c.CooldownUntil.Sub(now) > LongestCooldown }
