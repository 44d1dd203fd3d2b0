package routing

import (
	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"tidegate/jobs"
)

// Snapshot says where the circuit stands.
func (c *Circuit) Snapshot() jobs.Circuit {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.snapshot()
}

func (c *Circuit) snapshot() jobs.Circuit {
	s := jobs.Circuit{
		Target: c.target.Name, Region: c.target.Region, State: c.state(),
		Generation: c.generation, Reason: c.reason, Since: c.since, DownSince: c.downSince,
		TripWait: c.tripWait, Local: c.local, Unreached: c.unreached, Person: c.person, CooldownUntil: c.cooledAt(),
		Degraded: c.degraded,
	}
	return s
}

func (c *Circuit) state() jobs.CircuitState {
	switch c.breaker.State() {
	case circuitbreaker.OpenState:
		return jobs.CircuitOpen
	case circuitbreaker.HalfOpenState:
		return jobs.CircuitHalfOpen
	default:
		return jobs.CircuitClosed
	}
}
