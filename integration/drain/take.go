package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/integration/bench"
)

const (
	// rateOver is over how long the rate of the warm-up is taken, at its end.
	rateOver = 5 * time.Second
	// negligible is the wait that counts as none: what arrives within it may be on
	// its way to the provider.
	negligible = 250 * time.Millisecond
	// patience is how many optima, and how long beside, a drain may take.
	patience      = 4
	patienceAside = time.Minute
)

// A drain is one scenario under way.
type drain struct {
	plan
	scenario
	stage    *bench.Stage
	provider *bench.Provider
	enqueued int // so far
}

// take takes the figures of one scenario.
func (p plan) take(ctx context.Context, ground *bench.Ground, s scenario) (figures, error) {
	provider := ground.Provider(s.name)
	stage, err := ground.Stage(ctx, bench.StageConfig{Name: s.name, Provider: provider, Concurrency: p.concurrency})
	if err != nil {
		return figures{}, err
	}
	defer stage.Close()
	d := &drain{plan: p, scenario: s, stage: stage, provider: provider}
	rate, err := d.warm(ctx)
	if err != nil {
		return figures{}, err
	}
	if err := d.outlast(ctx); err != nil {
		return figures{}, err
	}
	f, err := d.drain(ctx)
	f.warmRate = rate
	return f, err
}

// warm lets the workers go at the provider's full rate, and returns what that was
// in the end.
func (d *drain) warm(ctx context.Context) (perSecond float64, err error) {
	if err := d.provider.Carry(ctx, d.before(d.plan)); err != nil {
		return 0, err
	}
	// As many as the provider can take in the time, its burst included, and some.
	if err := d.enqueue(ctx, int(d.capacity*(d.warmUp.Seconds()+2))); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := d.stage.StartWorkers(d.processes); err != nil {
		return 0, err
	}
	if err := bench.Sleep(ctx, began.Add(d.warmUp-rateOver)); err != nil {
		return 0, err
	}
	mark, err := d.provider.Calls(ctx)
	if err != nil {
		return 0, err
	}
	if err := bench.Sleep(ctx, began.Add(d.warmUp)); err != nil {
		return 0, err
	}
	calls, err := d.provider.Calls(ctx)
	if err == nil && calls.Answered == mark.Answered {
		err = errors.New("the provider answered nothing at the end of the warm-up, so there is nothing to measure")
	}
	return float64(calls.Since(mark).Answered) / rateOver.Seconds(), err
}

// outlast begins the outage, fills up the backlog, and waits until the outage is
// to end.
func (d *drain) outlast(ctx context.Context) error {
	began := time.Now()
	if _, err := d.provider.Down(ctx, 0); err != nil {
		return err
	}
	if err := d.stage.AwaitTrip(ctx, began); err != nil {
		return err
	}
	waiting, err := d.waiting(ctx)
	if err != nil {
		return err
	}
	if waiting > d.backlog {
		return fmt.Errorf("%d requests are left of the warm-up, more than a backlog of %d: make --warm-up shorter", waiting, d.backlog)
	}
	if err := d.enqueue(ctx, d.backlog-waiting); err != nil {
		return err
	}
	if late := time.Since(began) - d.outage; late > 0 {
		bench.Say("%s: the backlog took %s longer to insert than --outage says", d.name, late.Round(time.Second))
	}
	return bench.Sleep(ctx, began.Add(d.outage))
}

func (d *drain) enqueue(ctx context.Context, n int) error {
	err := d.stage.Enqueue(ctx, d.enqueued, n)
	d.enqueued += n
	return err
}

func (d *drain) waiting(ctx context.Context) (int, error) {
	return d.stage.Count(ctx, "SELECT count(*) FROM tidegate.river_job WHERE finalized_at IS NULL")
}

// drain makes the provider well and measures until nothing waits.
func (d *drain) drain(ctx context.Context) (figures, error) {
	backlog, err := d.waiting(ctx)
	if err != nil {
		return figures{}, err
	}
	mark, err := d.provider.Calls(ctx)
	if err != nil {
		return figures{}, err
	}
	if err := d.provider.Carry(ctx, d.after(d.plan)); err != nil {
		return figures{}, err
	}
	recovery, err := d.provider.Up(ctx)
	if err != nil {
		return figures{}, err
	}
	usual, err := demand{waiting: float64(backlog), perSecond: d.arrivals}.optimum(d.after(d.plan), 0, false)
	if err != nil {
		return figures{}, err
	}
	bench.Say("%s: %d wait, the optimum is about %s", d.name, backlog, usual.Round(time.Second))
	arriving := arrive(ctx, d, recovery)
	defer func() { _ = arriving.stop() }() // what went wrong is told below
	f := figures{backlog: backlog, recovery: recovery}
	err = d.stage.Await(ctx, patience*usual+patienceAside, "nothing waits any more", func() (bool, error) {
		calls, err := d.provider.Calls(ctx)
		f.calls = calls.Since(mark)
		inserted := arriving.count()
		f.drained = time.Now()
		return float64(backlog+inserted-f.calls.Admitted()) <= d.arrivals*negligible.Seconds(), err
	})
	if f.late = errors.Is(err, bench.ErrLate); f.late {
		err = nil
	}
	if err := errors.Join(err, arriving.stop()); err != nil {
		return f, err
	}
	return f, d.read(ctx, &f)
}

// read takes down the rest, when it is over.
func (d *drain) read(ctx context.Context, f *figures) (err error) {
	if f.first, err = d.provider.FirstAnswer(ctx, f.recovery); err != nil {
		return err
	}
	if f.first.IsZero() {
		return errors.New("the provider answered nothing after its recovery, so there is nothing to measure")
	}
	noticed := f.first.Sub(f.recovery)
	waiting := demand{waiting: float64(f.backlog) + d.arrivals*(noticed-negligible).Seconds(), perSecond: d.arrivals}
	if f.optimum, err = waiting.optimum(d.after(d.plan), noticed, true); err != nil {
		return err
	}
	if f.plainOptimum, err = waiting.optimum(d.after(d.plan), noticed, false); err != nil {
		return err
	}
	if f.optimum == 0 {
		return errors.New("the backlog is no more than one burst: make --backlog larger")
	}
	changes, err := d.stage.Circuits(ctx, f.recovery)
	if err != nil {
		return err
	}
	f.reopened = bench.Reopened(changes)
	err = d.stage.Pool.QueryRow(ctx, "SELECT last_good FROM tidegate.paces WHERE target = $1", bench.Route).Scan(&f.lastGood)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil // workers do not keep it
	}
	return err
}
