package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tidegate/routing"
	"tidegate/routing/simulator"
)

const (
	firstDies  = 0.15            // of the documents are answered when the cheapest provider dies,
	allDie     = 0.45            // and when all do
	outageTime = 8 * time.Second // from then until they return
	glance     = 20 * time.Millisecond
	enough     = 40 // documents, of which some are left when the outage has come
)

// An outage is what happened while no provider answered.
type outage struct {
	began, ended time.Time
	calls        int           // that reached a provider meanwhile
	held         time.Duration // while the gate held
}

// play runs the worker, enqueues, stages the outage, and waits until every
// document has its event.
func (d *demo) play(ctx context.Context) (*demoReport, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel(nil)
	if d.simulator != nil {
		parts.Go(func() { _ = d.simulator.Run(ctx) })
	}
	all := make(chan struct{})
	var once sync.Once
	d.introduce()
	d.shown = newProgress(d.out, "answered", len(d.documents))
	defer d.shown.Done()
	var err error
	d.events, err = countEvents(ctx, d.backbone.Conn, func(distinct int) {
		d.shown.Set(distinct)
		if distinct >= len(d.documents) {
			once.Do(func() { close(all) })
		}
	})
	if err != nil {
		return nil, err
	}
	defer d.events.stop()
	if err := d.enqueue(ctx); err != nil {
		return nil, err
	}
	working, stopWork := context.WithCancel(ctx)
	defer stopWork()
	worked := make(chan error, 1)
	go func() { worked <- d.stack.Run(working) }()
	var staged sync.WaitGroup // what the report reads is written by these
	staged.Go(func() { d.watchGate(working) })
	staged.Go(func() { d.watchBudgets(working, cancel) })
	if d.simulator != nil {
		staged.Go(func() { d.stage(working) })
	}
	defer staged.Wait()
	defer stopWork()
	select {
	case <-all:
	case err := <-worked:
		return nil, fmt.Errorf("the worker stopped early: %w", err)
	case <-ctx.Done():
		stopWork()
		return nil, errors.Join(context.Cause(ctx), <-worked)
	}
	ended := time.Now()
	stopWork()
	err = <-worked
	staged.Wait()
	d.shown.Done()
	if err != nil {
		return nil, err
	}
	return d.report(context.WithoutCancel(ctx), ended)
}

func (d *demo) introduce() {
	took := time.Since(d.began).Seconds()
	providers := "your providers"
	if d.simulator != nil {
		providers = "three simulated providers"
	}
	fmt.Fprintf(d.out, "Postgres, NATS, a worker and %s are up after %.1f s.\n", providers, took)
	fmt.Fprintf(d.out, "%s to summarise; results arrive over NATS.\n\n", counted(len(d.documents), "document"))
}

// stage lets providers die and return.
func (d *demo) stage(ctx context.Context) {
	down := simulator.Fault{Mode: simulator.Unavailable}
	if !d.awaitShare(ctx, firstDies) {
		return
	}
	_ = d.simulator.Set("cheap", down)
	d.shown.Say("%s  The cheapest provider dies (503). Its jobs go to the next.", d.clock())
	if !d.awaitShare(ctx, allDie) {
		return
	}
	_ = d.simulator.Set("*", down)
	before := d.simulator.Calls("*")
	d.outage.began = time.Now()
	d.shown.Say("%s  All three are down. Jobs pause; only probes go out.", d.clock())
	select {
	case <-time.After(outageTime):
	case <-ctx.Done():
		return
	}
	d.outage.calls = d.simulator.Calls("*").Since(before).Total
	_ = d.simulator.Clear("*")
	d.outage.ended = time.Now()
	d.shown.Say("%s  They are back, after %d calls in %s. The backlog drains by itself.", d.clock(), d.outage.calls, outageTime)
}

func (d *demo) clock() string { return fmt.Sprintf("%5.1f s", time.Since(d.began).Seconds()) }

// awaitShare waits until a share of the documents was answered.
func (d *demo) awaitShare(ctx context.Context, share float64) bool {
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	for float64(d.events.Distinct()) < share*float64(len(d.documents)) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// watchGate adds up the time that the gate holds.
func (d *demo) watchGate(ctx context.Context) {
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		now := time.Now()
		if n, _ := d.stack.Router.Admits(d.route.Name); n != routing.All {
			d.outage.held += now.Sub(last)
		}
		last = now
	}
}
