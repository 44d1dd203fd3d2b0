package provider

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"tidegate/jobs"
)

// DrillCode is the code of every failure that a drill makes, so that nobody
// takes it for the provider's own, in an attempt or in a circuit's reason.
const DrillCode = "drill"

// A Completer makes one call, as a Client does.
type Completer interface {
	Check(target *jobs.Target, of jobs.Endpoint, body []byte) error
	Complete(ctx context.Context, target *jobs.Target, of jobs.Endpoint, body []byte) (*jobs.Answer, *jobs.Error)
}

// Drills stands before what makes the calls, and fails those to a target that a
// drill is on for: no call leaves this process for them. Safe for concurrent use.
type Drills struct {
	next Completer
	now  func() time.Time

	mu     sync.Mutex
	on     map[string]jobs.Drill // by target
	random *rand.Rand
}

// NewDrills returns a Drills without a drill. random chooses, of a drill that
// fails a share of the calls, which those are. now is the clock by which a drill
// ends; nil: time.Now.
func NewDrills(next Completer, random *rand.Rand, now func() time.Time) *Drills {
	if now == nil {
		now = time.Now
	}
	return &Drills{next: next, now: now, random: random}
}

// Set says which drills are on, in place of those that it said before; each ends
// by itself, too.
func (d *Drills) Set(drills []jobs.Drill) {
	on := make(map[string]jobs.Drill, len(drills))
	for _, drill := range drills {
		on[drill.Target] = drill
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.on = on
}

// Check is what the calls are checked by: a drill changes nothing of it.
func (d *Drills) Check(target *jobs.Target, of jobs.Endpoint, body []byte) error {
	return d.next.Check(target, of, body)
}

// Complete makes the call, or fails as the provider would in the mode of the
// target's drill.
func (d *Drills) Complete(ctx context.Context, target *jobs.Target, of jobs.Endpoint, body []byte) (*jobs.Answer, *jobs.Error) {
	mode, fails := d.fails(target.Name)
	failed, known := drilled[mode]
	if !fails || !known && mode != jobs.DrillHang { // a mode of a later version is none here
		return d.next.Complete(ctx, target, of, body)
	}
	if ctx.Err() != nil {
		return nil, lost(false)
	}
	if mode == jobs.DrillHang {
		return nil, hang(ctx, target.Timeouts)
	}
	failed.Code = DrillCode
	return nil, &failed
}

// fails tells whether the next call to a target does, and how.
func (d *Drills) fails(target string) (jobs.DrillMode, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	drill, on := d.on[target]
	if !on || !d.now().Before(drill.Until) {
		return "", false
	}
	return drill.Mode, drill.Rate >= 1 || d.random.Float64() < drill.Rate
}

// drilled is what each mode but hang looks like to a caller. The classes are
// those that the classifier gives to the statuses.
var drilled = map[jobs.DrillMode]jobs.Error{
	jobs.Drill503:     {Class: jobs.Overload, Status: 503, Said: true, Message: "a drill: the provider is overloaded"},
	jobs.Drill500:     {Class: jobs.Transient, Status: 500, Said: true, Message: "a drill: the provider failed"},
	jobs.Drill429:     {Class: jobs.Rate, Status: 429, Said: true, Message: "a drill: too many requests"},
	jobs.DrillQuota:   {Class: jobs.Quota, Status: 402, Said: true, Message: "a drill: the account is out of money"},
	jobs.DrillRefused: {Class: jobs.Transient, Message: "a drill: no connection: connection refused"},
}

// hang takes the time in which a provider that never answers runs into the
// target's timeouts.
func hang(ctx context.Context, limits jobs.Timeouts) *jobs.Error {
	late := overdue{phase: waiting, limit: cmp.Or(limits.Total, jobs.DefaultTimeouts.Total), whole: true}
	if limits.FirstByte > 0 && limits.FirstByte < late.limit {
		late = overdue{phase: waiting, limit: limits.FirstByte}
	}
	timer := time.NewTimer(late.limit)
	defer timer.Stop()
	select {
	case <-timer.C:
		return &jobs.Error{Class: late.class(), Code: DrillCode, Said: true, Message: "a drill: " + late.Error()}
	case <-ctx.Done():
		return lost(false)
	}
}
