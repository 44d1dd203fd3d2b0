package publish

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"tidegate/jobs"
)

// A CircuitBody is the data of a circuit's event.
type CircuitBody struct {
	Target     string            `json:"target"`
	Region     string            `json:"region,omitempty"`
	State      jobs.CircuitState `json:"state"` // open or closed; or degraded, of one that is closed
	Generation uint64            `json:"generation"`
	// Reason is of what kind the failures were, or a person's words; never the
	// provider's.
	Reason string `json:"reason,omitempty"`
	// Degraded is how the answers of the target have changed for the worse; absent:
	// they have not.
	Degraded      string    `json:"degraded,omitempty"`
	Since         time.Time `json:"since"`
	DownSince     time.Time `json:"down_since,omitzero"` // also of one that closed: when it had opened
	CooldownUntil time.Time `json:"cooldown_until,omitzero"`
	UntilClosed   bool      `json:"until_closed,omitempty"` // it stays open until somebody closes it: then it has no cooldown_until
	ByPerson      bool      `json:"by_person,omitempty"`    // somebody opened or closed it
}

// A RouteBody is the data of a route's event: a pause of its queue that began or
// ended.
type RouteBody struct {
	Route  string     `json:"route"`
	State  RouteState `json:"state"`
	Owner  jobs.Owner `json:"owner"`            // whose pause it is
	Reason string     `json:"reason,omitempty"` // of the pause
	Since  time.Time  `json:"since"`            // of the pause
	At     time.Time  `json:"at"`               // when it began or ended
	// PausedBy is who pauses the route from then on; a route that one owner
	// resumed may be paused by another.
	PausedBy []jobs.Owner `json:"paused_by"`
}

// A RouteState is what became of a route.
type RouteState string

// The states of a route, as its events say them.
const (
	RoutePaused  RouteState = "paused"
	RouteResumed RouteState = "resumed"
)

func circuitMessage(e *jobs.CircuitEvent) (*nats.Msg, error) {
	if err := jobs.CheckName(e.Target); err != nil {
		return nil, fmt.Errorf("event of a circuit: target: %w", err)
	}
	body := CircuitBody{
		Target: e.Target, Region: e.Region, State: e.State, Generation: e.Generation, Reason: e.Reason, Degraded: e.Degraded, Since: e.Since,
		DownSince: e.DownSince, CooldownUntil: e.CooldownUntil, UntilClosed: e.UntilClosed(e.Since), ByPerson: e.Person,
	}
	if body.UntilClosed {
		body.CooldownUntil = time.Time{}
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("event of the circuit of %s: %w", e.Target, err)
	}
	return newMessage(CircuitSubject(e.Target, e.State), e.ID, TypeCircuit, e.Target, e.Since, data), nil
}

func routeMessage(e *jobs.PauseEvent) (*nats.Msg, error) {
	if err := jobs.CheckName(e.Route); err != nil {
		return nil, fmt.Errorf("event of a route: %w", err)
	}
	state := RoutePaused
	if e.Resumed {
		state = RouteResumed
	}
	data, err := json.Marshal(RouteBody{
		Route: e.Route, State: state, Owner: e.Owner, Reason: e.Reason, Since: e.Since, At: e.At, PausedBy: append([]jobs.Owner{}, e.PausedBy...),
	})
	if err != nil {
		return nil, fmt.Errorf("event of the route %s: %w", e.Route, err)
	}
	return newMessage(RouteSubject(e.Route, state), e.ID, TypeRoute, e.Route, e.At, data), nil
}
