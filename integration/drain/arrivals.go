package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// arriveEvery is how often requests arrive, some at once.
	arriveEvery = 100 * time.Millisecond
	// lagMost is how late the last of them may be. More would mean that the machine
	// is too busy to measure on.
	lagMost = 2 * time.Second
)

// arrivals are the requests that come while the backlog drains.
type arrivals struct {
	inserted atomic.Int64
	stop     func() error // ends them, and says what went wrong; may be called again
}

// arrive lets requests arrive evenly from a time on.
func arrive(ctx context.Context, d *drain, since time.Time) *arrivals {
	ctx, cancel := context.WithCancel(ctx)
	a := &arrivals{}
	ended := make(chan error, 1)
	go func() { ended <- a.run(ctx, d, since) }()
	a.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	return a
}

func (a *arrivals) count() int { return int(a.inserted.Load()) }

func (a *arrivals) run(ctx context.Context, d *drain, since time.Time) error {
	ticker := time.NewTicker(arriveEvery)
	defer ticker.Stop()
	for {
		n := due(d.arrivals, time.Since(since)) - a.count()
		if lag := time.Duration(float64(n) / d.arrivals * float64(time.Second)); lag > lagMost {
			return fmt.Errorf("arrivals are %s late: the machine is too busy to measure on", lag.Round(time.Millisecond))
		}
		// A request that has begun to arrive arrives.
		if err := d.enqueue(context.WithoutCancel(ctx), n); err != nil {
			return err
		}
		a.inserted.Add(int64(n))
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// due is how many requests have arrived within a time.
func due(perSecond float64, within time.Duration) int { return int(perSecond * within.Seconds()) }
