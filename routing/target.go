package routing

import (
	"context"
	"errors"
	"hash/fnv"
	"time"

	"golang.org/x/sync/semaphore"

	"tidegate/jobs"
)

// A target is a jobs.Target with what there is to know of it in this process.
type target struct {
	*jobs.Target
	circuit *Circuit
	slots   *semaphore.Weighted // nil: no limit
}

func newTarget(t *jobs.Target, config Config) *target {
	made := &target{Target: t, circuit: newCircuit(t, config)}
	if t.Limits.Concurrency > 0 {
		made.slots = semaphore.NewWeighted(int64(t.Limits.Concurrency))
	}
	return made
}

// Why a target does not admit a call.
var (
	errShut = errors.New("it may not be called now")
	errBusy = errors.New("all of its calls at once are out")
)

// slotWait is how long a call waits for a slot before its caller is told, who
// may have other reasons to stop: a deadline, a cancellation, the worker's end.
const slotWait = time.Second

// admit waits a moment for a free slot, in the order of arrival, and then takes
// a permit: last, so that nobody waits with the probe in hand or past the
// beginning of a cooldown. Without a permit there is no slot either. When the
// circuit opens, whoever waits for a slot takes it in turn, gets no permit and
// hands it on at once: the first slot that is released sets all of them free.
func (t *target) admit(ctx context.Context) (Permit, error) {
	if ready, _ := t.circuit.readiness(); ready == Shut || ctx.Err() != nil {
		return Permit{}, errShut // not worth a wait
	}
	if t.slots != nil && !t.slots.TryAcquire(1) {
		wait, cancel := context.WithTimeout(ctx, slotWait)
		defer cancel()
		if t.slots.Acquire(wait, 1) != nil {
			return Permit{}, errBusy
		}
	}
	permit, ok := t.circuit.Acquire()
	if !ok {
		t.release()
		return Permit{}, errShut
	}
	return permit, nil
}

func (t *target) release() {
	if t.slots != nil {
		t.slots.Release(1)
	}
}

// shares tells whether a refusal of the given scope at t is one of other, too.
func (t *target) shares(other *target, scope jobs.Scope) bool {
	switch {
	case t == other:
		return true
	case t.Provider != other.Provider || t.Provider == "":
		return false
	default:
		return scope == jobs.OnAccount || scope == jobs.OnKey && t.Key == other.Key
	}
}

func hash(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s))
	return h.Sum64()
}
