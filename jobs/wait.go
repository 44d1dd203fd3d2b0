package jobs

import "time"

// WhenOpen is what a route does while the target that a request's goal prefers may
// not be called, and another one may, for more.
type WhenOpen string

// The choices. The zero value is WhenOpenReroute.
const (
	WhenOpenReroute WhenOpen = "reroute" // the next one is called
	WhenOpenWait    WhenOpen = "wait"    // it waits, until that one returns or the deadline comes near
	WhenOpenPrice   WhenOpen = "price"   // it waits while that is worth it
)

// Waits tells whether requests may wait at all.
func (w WhenOpen) Waits() bool { return w == WhenOpenWait || w == WhenOpenPrice }

// A Wait is a time in which a request could have been sent to a target, and waited
// for one that costs less. It ends with the next attempt of its trace, or with the
// request.
type Wait struct {
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"` // at the latest: then it goes to the next one; zero: as long as it takes
	Target string    `json:"target"`         // for which it waits
	Next   string    `json:"next"`           // which could have been called
	// ExtraCost is what the next one would have cost more, and Worth what not to
	// wait was worth: it waits while the first is more than the second.
	ExtraCost MicroUSD `json:"extra_cost_micro_usd"`
	Worth     MicroUSD `json:"worth_micro_usd"`
	Reason    string   `json:"reason"` // as a person reads it
}

// Where the metadata of a River job that is parked has what came before: the waits of
// its request since its last call, and the targets that the last try passed over. They
// go into the trace of its next call, or are read from there while it has made none.
const (
	WaitsMark = "tidegate_waits"
	SkipsMark = "tidegate_skips"
)

// A WaitedFor is why a worker that had a request in hand held its call back. Empty: it
// did not, but for the calls before it.
type WaitedFor string

// What a call waits for, the weightiest last: of several, that one is kept.
const (
	WaitedForPace   WaitedFor = "pace"   // its turn at targets that were called as fast as they may be
	WaitedForTarget WaitedFor = "target" // a target that fits it, while others flowed
	WaitedForPrice  WaitedFor = "price"  // a target that costs less
	WaitedForBudget WaitedFor = "budget" // money
	WaitedForGate   WaitedFor = "gate"   // any target: all were shut
)

var waitedForWeights = map[WaitedFor]int{WaitedForPace: 1, WaitedForTarget: 2, WaitedForPrice: 3, WaitedForBudget: 4, WaitedForGate: 5}

// Weightier is the one of two that is kept.
func (w WaitedFor) Weightier(than WaitedFor) WaitedFor {
	if waitedForWeights[w] > waitedForWeights[than] {
		return w
	}
	return than
}
