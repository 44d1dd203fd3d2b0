package main

import (
	"errors"
	"time"

	"tidegate/routing/simulator"
)

const (
	// step is what the capacity is integrated by.
	step = 10 * time.Millisecond
	// horizon is after what time a drain counts as endless.
	horizon = 24 * time.Hour
	// burst is how much of its capacity the simulator lets through at once after it
	// stood idle.
	burst = time.Second
)

var errEndless = errors.New("more arrives than the provider takes: this never drains")

// A demand is what there is to drain.
type demand struct {
	waiting   float64 // requests, when the drain begins
	perSecond float64 // requests that arrive all along
}

// optimum is how long a perfect drain takes that begins so long after the
// recovery: one that asks at every moment for exactly what the provider takes. The
// bursts that the provider allows beside, after it stood idle, count if they are
// wanted.
func (d demand) optimum(capacity simulator.Capacity, from time.Duration, bursts bool) (time.Duration, error) {
	left, idle := d.waiting, true
	for at := from; at < from+horizon; at += step {
		rate := capacity.At(at + step/2)
		if bursts && idle && rate > 0 {
			left -= rate * burst.Seconds()
		}
		idle = rate == 0
		if left <= 0 {
			return at - from, nil
		}
		drained := (rate - d.perSecond) * step.Seconds()
		if drained >= left {
			return at - from + time.Duration(float64(step)*left/drained), nil
		}
		left -= drained
	}
	return 0, errEndless
}
