package store

import (
	"encoding/json"
	"time"

	"tidegate/jobs"
)

// A fact is an event whose every word is in the outbox, as the triggers of
// migrations 0011 and 0017 write it.
type fact struct {
	Type       string            `json:"type"`
	ID         string            `json:"id"`
	Target     string            `json:"target"`
	Region     string            `json:"region"`
	State      jobs.CircuitState `json:"state"`
	Generation uint64            `json:"generation"`
	Person     bool              `json:"person"`
	DownSince  time.Time         `json:"down_since"`
	Cooldown   time.Time         `json:"cooldown_until"`
	Route      string            `json:"route"`
	Owner      jobs.Owner        `json:"owner"`
	PausedBy   []jobs.Owner      `json:"paused_by"`
	Resumed    bool              `json:"resumed"`
	At         time.Time         `json:"at"`
	Reason     string            `json:"reason"`
	Since      time.Time         `json:"since"`
	Degraded   string            `json:"degraded"`

	Scope      jobs.BudgetScope `json:"scope"`
	Name       string           `json:"name"`
	PerDay     jobs.MicroUSD    `json:"per_day"` // null: zero
	Total      jobs.MicroUSD    `json:"total"`
	SpentToday jobs.MicroUSD    `json:"spent_today"`
	Spent      jobs.MicroUSD    `json:"spent"`
	SpentOut   bool             `json:"spent_out"`
	OfTotal    bool             `json:"of_total"`
}

// readFact reads an event. One that cannot be read is an event of nothing: it
// must not stand in the way of those behind it.
func readFact(text []byte) jobs.Event {
	var f fact
	if json.Unmarshal(text, &f) != nil {
		return jobs.Event{}
	}
	switch f.Type {
	case "circuit":
		return jobs.Event{Circuit: &jobs.CircuitEvent{ID: f.ID, Circuit: jobs.Circuit{
			Target: f.Target, Region: f.Region, State: f.State, Generation: f.Generation, Person: f.Person,
			Reason: f.Reason, Since: f.Since, DownSince: f.DownSince, CooldownUntil: f.Cooldown, Degraded: f.Degraded,
		}}}
	case "pause":
		return jobs.Event{Pause: &jobs.PauseEvent{
			ID: f.ID, Pause: jobs.Pause{Route: f.Route, Owner: f.Owner, Reason: f.Reason, Since: f.Since},
			At: f.At, Resumed: f.Resumed, PausedBy: f.PausedBy,
		}}
	case "budget":
		return jobs.Event{Budget: &jobs.BudgetEvent{
			ID: f.ID, BudgetKey: jobs.BudgetKey{Scope: f.Scope, Name: f.Name}, BudgetLimits: jobs.BudgetLimits{PerDay: f.PerDay, Total: f.Total},
			Out: f.SpentOut, OfTotal: f.OfTotal, SpentToday: f.SpentToday, Spent: f.Spent, At: f.At,
		}}
	default:
		return jobs.Event{}
	}
}
