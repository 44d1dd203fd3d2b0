package jobs

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A BudgetScope is what a budget is of.
type BudgetScope string

// The scopes of budgets. A request is under those of its tenant, its route and its
// batch, as far as there are such.
const (
	BudgetTenant BudgetScope = "tenant"
	BudgetRoute  BudgetScope = "route"
	BudgetBatch  BudgetScope = "batch"
)

// A BudgetKey names a budget.
type BudgetKey struct {
	Scope BudgetScope
	Name  string // of the tenant or the route, or the id of the batch
}

// String is the budget as a sentence names it: "tenant acme".
func (k BudgetKey) String() string { return string(k.Scope) + " " + k.Name }

// BudgetLimits say how much may be spent. A zero is no limit.
type BudgetLimits struct {
	PerDay MicroUSD // on one day of UTC
	Total  MicroUSD // since the budget was first set
}

// None tells whether there is no limit.
func (l BudgetLimits) None() bool { return l == BudgetLimits{} }

// mostBudget is more than anybody means: a billion dollars.
const mostBudget MicroUSD = 1_000_000_000_000_000

// Check says which limit cannot be meant, or nil.
func (l BudgetLimits) Check() error {
	for name, limit := range map[string]MicroUSD{"per_day": l.PerDay, "total": l.Total} {
		switch {
		case limit < 0:
			return fmt.Errorf("%s: %s is below zero; leave it out for no limit", name, limit)
		case limit > mostBudget:
			return fmt.Errorf("%s: %s is more than anybody has; amounts are US dollars", name, limit)
		}
	}
	return nil
}

// dollars is an amount as people write it.
var dollars = regexp.MustCompile(`^\$?([0-9]{1,9})(?:\.([0-9]{1,6}))?$`)

// ParseDollars reads an amount of US dollars, exactly: "5", "$5.25", "0.000001".
func ParseDollars(text string) (MicroUSD, error) {
	parts := dollars.FindStringSubmatch(text)
	if parts == nil {
		return 0, fmt.Errorf("%.40q is not an amount of US dollars like 5 or 2.50, of at most six decimals and a billion", text)
	}
	micros, err := strconv.ParseInt(parts[1]+(parts[2] + "000000")[:6], 10, 64)
	return MicroUSD(micros), err // which digits cannot cause
}

// A BudgetSetter is whose word a budget's limits are.
type BudgetSetter string

// The setters. A command goes before the file until the file says something else.
const (
	SetByFile     BudgetSetter = "file"
	SetByCommand  BudgetSetter = "command"
	SetByProducer BudgetSetter = "producer"
)

// BudgetIDs are the budgets that a request is under, as the database numbers them:
// of its tenant, its route, its batch. A zero is none.
type BudgetIDs [3]int32

// A Budget is what may be spent, and what was. A budget without limits waits for
// what was parked for it to be given back.
type Budget struct {
	ID int32 // unique, for ever
	BudgetKey
	BudgetLimits
	SetBy BudgetSetter
	// File is what the configuration says, if InFile: another's word may go before.
	File   BudgetLimits
	InFile bool

	Since      time.Time // it counts from then on
	SpentToday MicroUSD  // settled, on this day of UTC
	Spent      MicroUSD  // settled, in all
	Reserved   MicroUSD  // for calls that are under way
	// OutSince is when it was spent: no request begins a call until OutOfTotal, a
	// raise, or else the next day. Zero: requests may fit into what is left.
	OutSince   time.Time
	OutOfTotal bool
	// PassedOver counts requests that are too large for what is left and wait, while
	// smaller ones go on.
	PassedOver int
	// Dearest is the largest estimate of a request that waits for a raise, since a whole
	// limit, or what is left of the total, is too little for it; zero: there is none.
	Dearest MicroUSD
	DayLeft time.Duration // until the next day of UTC

	Changed int // how often what was parked for it became worth another try
	Served  int // up to where of these it was given back
	// WaitsToday tells that requests wait for the end of this day, and DayOver that
	// some waited for one that is over.
	WaitsToday bool
	DayOver    bool
	Parked     int // jobs that wait for it; read for people only
}

// Left is what may still be begun, were nothing under way: the less of both limits.
// It is below zero for one that was lowered, and nothing is said of one without
// limits.
func (b *Budget) Left() MicroUSD {
	switch day, total := b.PerDay-b.SpentToday, b.Total-b.Spent; {
	case b.Total == 0:
		return day
	case b.PerDay == 0:
		return total
	default:
		return min(day, total)
	}
}

// Tightest is the limit of which less is left, what that is, and whether it is the
// total. Of two that leave as much it is the total, since no new day helps that.
func (b *Budget) Tightest() (limit, left MicroUSD, ofTotal bool) {
	if day, total := b.PerDay-b.SpentToday, b.Total-b.Spent; b.Total > 0 && (b.PerDay == 0 || total <= day) {
		return b.Total, total, true
	}
	return b.PerDay, b.PerDay - b.SpentToday, false
}

// Raise are the limits that the dearest request needs that waits for it, with what was
// spent so far; zero where it needs no other than there is, or nobody knows what it costs.
func (b *Budget) Raise() (needs BudgetLimits) {
	if b.Dearest == 0 {
		return needs
	}
	if b.PerDay > 0 && b.Dearest > b.PerDay {
		needs.PerDay = b.Dearest // the next day it goes on, if not at once
	}
	if b.Total > 0 && b.Dearest > b.Total-b.Spent {
		needs.Total = b.Spent + b.Dearest
	}
	return needs
}

// Short tells of one that is not spent whether requests wait for more than is left of
// it, while smaller ones go on.
func (b *Budget) Short() bool { return !b.Out() && b.Parked > 0 && (b.PassedOver > 0 || b.Dearest > 0) }

// Out tells whether it is spent, so that nothing begins under it.
func (b *Budget) Out() bool { return !b.OutSince.IsZero() }

// UsedUp tells whether nothing is left of a limit, though nothing was kept from beginning
// by that yet: it was set to less than was spent.
func (b *Budget) UsedUp() bool { return b.Share() >= 1 }

// Share is the part of a limit that is spent: of the day's or in all, whichever is
// more. It is zero without limits.
func (b *Budget) Share() float64 {
	var share float64
	if b.PerDay > 0 {
		share = float64(b.SpentToday) / float64(b.PerDay)
	}
	if b.Total > 0 {
		share = max(share, float64(b.Spent)/float64(b.Total))
	}
	return share
}

// Reason says of a budget that is spent what that means, as a person reads it.
func (b *Budget) Reason() string {
	if b.OutOfTotal {
		return fmt.Sprintf("budget of %s: %s of %s spent in all"+BudgetGoesOn+"when that is raised: %s", b.BudgetKey, b.Spent, b.Total, b.Remedy(true))
	}
	return fmt.Sprintf("budget of %s: %s of %s spent today"+BudgetGoesOn+"at 00:00 UTC, or when that is raised: %s", b.BudgetKey, b.SpentToday, b.PerDay, b.Remedy(false))
}

// BudgetGoesOn stands in the reason of a wait for money between why it waits and when it
// goes on. Of a request that has ended only the first is true.
const BudgetGoesOn = "; it goes on "

// Remedy is the command that raises one of its limits.
func (b *Budget) Remedy(total bool) string {
	limit := "--per-day"
	if total {
		limit = "--total"
	}
	return fmt.Sprintf("tidegate budgets set --%s %s %s AMOUNT", b.Scope, b.Name, limit)
}

// RaiseTo is the command that sets the limits that are not zero.
func (b *Budget) RaiseTo(limits BudgetLimits) string {
	command := fmt.Sprintf("tidegate budgets set --%s %s", b.Scope, b.Name)
	if limits.PerDay > 0 {
		command += " --per-day " + strings.TrimPrefix(limits.PerDay.String(), "$") // which a shell would expand
	}
	if limits.Total > 0 {
		command += " --total " + strings.TrimPrefix(limits.Total.String(), "$")
	}
	return command
}

// A Shortage is why a call may not begin under a budget. The request waits; it has
// not failed.
type Shortage struct {
	Call   int // of those that were to begin, counted from zero
	Budget Budget
	Kind   ShortageKind
	Reason string // as a person reads it
	// Until is how long it waits at most; zero: until the budget is raised.
	Until time.Duration
}

// A ShortageKind is what a request waits for that finds no money.
type ShortageKind string

// The kinds of shortages.
const (
	ShortNow   ShortageKind = "now"   // calls under way have reserved what is left: it may fit when they end
	ShortOne   ShortageKind = "one"   // it does not fit into what is left; smaller ones may
	ShortAll   ShortageKind = "all"   // the budget is spent
	ShortNever ShortageKind = "never" // it alone is dearer than a whole limit
)

// BudgetMark is where the metadata of a River job has a BudgetWait.
const BudgetMark = "tidegate_budget"

// A BudgetWait is what stands beside a River job that waits for a budget: River's own page
// shows it, and the job is found by it when the budget changes.
type BudgetWait struct {
	Budget string `json:"budget"` // as a BudgetKey is written
	Why    string `json:"why"`    // as a person reads it
}
