package store

import (
	"fmt"
	"maps"
	"slices"

	"tidegate/jobs"
)

const (
	// largePart is the part of a limit that makes a request a large one: it may be
	// passed over by smaller ones as long as more than that is left.
	largePart = 10
	// passedAtMost is how many are passed over, of one budget, until it is spent: each
	// of them is a job that is rewritten.
	passedAtMost = 20
)

// ledgers are the budgets of some calls, by id, while nobody else may reserve.
type ledgers map[int32]*ledger

// A ledger is a budget, and what a group of calls adds to it.
type ledger struct {
	jobs.Budget
	was                      jobs.Budget // when it was read
	spentOut, ofTotal, waits bool
	passedOver               int32
	dearest                  jobs.MicroUSD
}

// reserve goes through calls in order: those that may begin, and the others.
func (l ledgers) reserve(calls []jobs.Begun) (may []jobs.Begun, short []jobs.Shortage) {
	may = make([]jobs.Begun, 0, len(calls))
	for i, call := range calls {
		no := l.check(&call)
		if call.RequestID != "" && no != nil {
			no.Call = i
			short = append(short, *no)
			continue
		}
		may = append(may, call)
	}
	return may, short
}

// check takes what a call may cost from each of its budgets, or says which of them
// cannot give it. What lasts longest is said first: that a request never fits, that
// a budget is spent, that it does not fit today, that it does not fit now.
func (l ledgers) check(call *jobs.Begun) *jobs.Shortage {
	if call.RequestID == "" {
		return nil
	}
	var worst *ledger
	kind := jobs.ShortageKind("")
	for _, id := range call.Budgets {
		book := l[id]
		if book == nil { // none, or it was unset a moment ago
			continue
		}
		if k := book.kind(call.Cost); k != "" && (worst == nil || severity[k] > severity[kind]) {
			worst, kind = book, k
		}
	}
	switch {
	case worst != nil && call.Rough: // it may be less
		return &jobs.Shortage{Kind: jobs.ShortNow, Budget: worst.Budget, Reason: fmt.Sprintf("budget of %s: what the request costs must be counted first", worst.BudgetKey)}
	case worst != nil:
		return worst.refuse(kind, call.Cost)
	}
	for _, id := range call.Budgets {
		if book := l[id]; book != nil {
			book.Reserved += call.Cost
		}
	}
	return nil
}

var severity = map[jobs.ShortageKind]int{jobs.ShortNow: 1, jobs.ShortOne: 2, jobs.ShortAll: 3, jobs.ShortNever: 4}

// kind is in which way a budget is short of an amount; empty: it is not.
func (l *ledger) kind(cost jobs.MicroUSD) jobs.ShortageKind {
	limit, left, _ := l.Tightest()
	switch {
	case l.PerDay > 0 && cost > l.PerDay || l.Total > 0 && cost > l.Total:
		return jobs.ShortNever
	case l.Out():
		return jobs.ShortAll
	case cost > left && (cost <= limit/largePart || left < limit/largePart || l.PassedOver+int(l.passedOver) >= passedAtMost):
		return jobs.ShortAll
	case cost > left:
		return jobs.ShortOne
	case cost > left-l.Reserved:
		return jobs.ShortNow
	default:
		return ""
	}
}

// refuse notes a shortage.
func (l *ledger) refuse(kind jobs.ShortageKind, cost jobs.MicroUSD) *jobs.Shortage {
	_, _, ofTotal := l.Tightest()
	if l.Out() {
		ofTotal = l.OutOfTotal
	}
	no := &jobs.Shortage{Kind: kind}
	switch kind {
	case jobs.ShortAll:
		l.spentOut, l.ofTotal, l.waits = true, ofTotal, l.waits || !ofTotal
		if !l.Out() { // since when, is for the database to say
			l.OutSince, l.OutOfTotal = l.Since, ofTotal
		}
		no.Reason = l.Reason()
	case jobs.ShortOne:
		l.passedOver++
		l.waits = l.waits || !ofTotal
		if ofTotal { // no new day helps it
			l.dearest = max(l.dearest, cost)
		}
		no.Reason = l.tooLarge(cost, ofTotal)
	case jobs.ShortNever:
		l.dearest = max(l.dearest, cost)
		no.Reason = l.tooDear(cost)
	case jobs.ShortNow:
		no.Reason = fmt.Sprintf("budget of %s: calls under way have reserved what is left", l.BudgetKey)
	}
	if kind != jobs.ShortNever && !ofTotal {
		no.Until = l.DayLeft
	}
	no.Budget = l.Budget
	return no
}

func (l *ledger) tooLarge(cost jobs.MicroUSD, ofTotal bool) string {
	left, when := l.PerDay-l.SpentToday, "at 00:00 UTC, or when that is raised"
	if ofTotal {
		left, when = l.Total-l.Spent, "when that is raised"
	}
	return fmt.Sprintf("budget of %s"+ownCost+"may cost %s, and %s is left"+jobs.BudgetGoesOn+"%s: %s", l.BudgetKey, cost, max(left, 0), when, l.Remedy(ofTotal))
}

func (l *ledger) tooDear(cost jobs.MicroUSD) string {
	if l.Total > 0 && cost > l.Total {
		return fmt.Sprintf("budget of %s"+ownCost+"alone may cost %s, and the budget is %s in all"+jobs.BudgetGoesOn+"when that is raised: %s", l.BudgetKey, cost, l.Total, l.Remedy(true))
	}
	return fmt.Sprintf("budget of %s"+ownCost+"alone may cost %s, and the budget is %s a day"+jobs.BudgetGoesOn+"when that is raised: %s", l.BudgetKey, cost, l.PerDay, l.Remedy(false))
}

// noted are the arguments of noteShortages; nil: there is nothing to note.
func (l ledgers) noted() []any {
	var ids, passed, changed []int32
	var spent, ofTotal, waits []bool
	var dearest []int64
	for _, id := range slices.Sorted(maps.Keys(l)) {
		book := l[id]
		fresh := book.spentOut && !book.was.Out() || book.waits && !book.was.WaitsToday || book.passedOver > 0 || book.dearest > book.was.Dearest
		if !fresh { // it is spent, as all know
			continue
		}
		ids, passed, dearest = append(ids, id), append(passed, book.passedOver), append(dearest, micros(book.dearest))
		spent, ofTotal, waits = append(spent, book.spentOut), append(ofTotal, book.ofTotal), append(waits, book.waits)
		changed = append(changed, count(book.was.Changed))
	}
	if ids == nil {
		return nil
	}
	return []any{ids, spent, ofTotal, waits, passed, dearest, changed}
}
