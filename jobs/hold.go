package jobs

import (
	"strings"
	"time"
)

// A Holding is whether a route waits for its targets. The zero value is a route
// that flows.
type Holding struct {
	Holds bool
	// Since is when the last of the targets was lost.
	Since time.Time
	// Until is when the first of them may be called or probed; zero: one may be
	// probed already, or is, and only its answer will tell; or none will be.
	Until time.Time
	// UntilClosed tells that none of them will be called or probed before somebody
	// closes its circuit.
	UntilClosed bool
	// Reason says of each target why it may not be called, as a person reads it.
	Reason string
}

// Hold tells whether no target of a chain may be called now, as far as circuits
// say. A target whose circuit is not among them may be called, and so a chain of
// no targets never holds. An open circuit whose cooldown is over may be probed,
// and still holds.
func Hold(chain []string, circuits []Circuit, now time.Time) Holding {
	known := make(map[string]Circuit, len(circuits))
	for _, c := range circuits {
		known[c.Target] = c
	}
	h := Holding{Holds: len(chain) > 0}
	var reasons []string
	probing, closing := false, len(chain) > 0
	for _, target := range chain {
		c, ok := known[target]
		cools := c.CooldownUntil.After(now)
		if !ok || c.State == CircuitClosed && !cools {
			return Holding{}
		}
		if lost := c.lost(); lost.After(h.Since) {
			h.Since = lost
		}
		closing = closing && c.UntilClosed(now)
		if cools && (h.Until.IsZero() || c.CooldownUntil.Before(h.Until)) {
			h.Until = c.CooldownUntil
		}
		probing = probing || !cools
		reasons = append(reasons, c.holds())
	}
	if h.UntilClosed = closing; probing || closing {
		h.Until = time.Time{}
	}
	h.Reason = strings.Join(reasons, "; ")
	return h
}

// lost is when a target that may not be called left the state in which it might;
// of a closed circuit that cools down, when it last changed.
func (c *Circuit) lost() time.Time {
	if c.DownSince.IsZero() {
		return c.Since
	}
	return c.DownSince
}

// holds says why the target may not be called. A probe that is out is no other
// reason than the one that it was sent for: what is said of a pause stays.
func (c *Circuit) holds() string {
	how := "is " + string(CircuitOpen)
	if c.State == CircuitClosed {
		how = "cools down"
	}
	if c.Reason == "" {
		return c.Target + " " + how
	}
	return c.Target + " " + how + ": " + c.Reason
}
