package publish

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"tidegate/jobs"
)

// A BudgetBody is the data of a budget's event: it is spent, or goes on.
type BudgetBody struct {
	Scope              jobs.BudgetScope `json:"scope"`
	Name               string           `json:"name"`
	State              BudgetState      `json:"state"`
	Limit              string           `json:"limit,omitempty"` // which one was reached: per_day or total; only of one that is spent
	PerDayMicroUSD     jobs.MicroUSD    `json:"per_day_micro_usd,omitempty"`
	TotalMicroUSD      jobs.MicroUSD    `json:"total_micro_usd,omitempty"`
	SpentTodayMicroUSD jobs.MicroUSD    `json:"spent_today_micro_usd"`
	SpentMicroUSD      jobs.MicroUSD    `json:"spent_micro_usd"`
	At                 time.Time        `json:"at"`
}

// A BudgetState is what became of a budget.
type BudgetState string

// The states of a budget, as its events say them.
const (
	BudgetSpent   BudgetState = "spent"
	BudgetResumed BudgetState = "resumed" // it was raised or unset, or a day began
)

// BudgetSubject is where a budget goes that is spent, or goes on.
func BudgetSubject(key jobs.BudgetKey, state BudgetState) string {
	return fmt.Sprintf("tidegate.v1.budgets.%s.%s.%s", key.Scope, key.Name, state)
}

func budgetMessage(e *jobs.BudgetEvent) (*nats.Msg, error) {
	if err := jobs.CheckName(e.Name); err != nil { // which the ids of batches are, too
		return nil, fmt.Errorf("event of a budget: %w", err)
	}
	body := BudgetBody{
		Scope: e.Scope, Name: e.Name, State: BudgetResumed, PerDayMicroUSD: e.PerDay, TotalMicroUSD: e.Total,
		SpentTodayMicroUSD: e.SpentToday, SpentMicroUSD: e.Spent, At: e.At,
	}
	if e.Out {
		body.State, body.Limit = BudgetSpent, "per_day"
		if e.OfTotal {
			body.Limit = "total"
		}
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("event of the budget of %s: %w", e.BudgetKey, err)
	}
	return newMessage(BudgetSubject(e.BudgetKey, body.State), e.ID, TypeBudget, e.String(), e.At, data), nil
}
