package main

import (
	"context"
	"errors"
	"time"

	"tidegate/integration/bench"
)

const (
	// flushed is after what time pg_stat surely knows what a session did.
	flushed = 12 * time.Second
	// settles is how long a queue may take to be paused, and calm how long nothing
	// must have been taken in hand.
	settles, calm = 10 * time.Second, 2 * time.Second
	// answers is how long the first answer may take beside the wait for a probe.
	answers = 2 * time.Minute
)

// take takes the figures.
func (p plan) take(ctx context.Context, ground *bench.Ground) (figures, error) {
	provider := ground.Provider(name)
	stage, err := ground.Stage(ctx, bench.StageConfig{Name: name, Provider: provider, Concurrency: p.concurrency})
	if err != nil {
		return figures{}, err
	}
	defer stage.Close()
	if err := p.fill(ctx, stage); err != nil {
		return figures{}, err
	}
	down := time.Now()
	if _, err := provider.Down(ctx, 0); err != nil {
		return figures{}, err
	}
	if err := stage.StartWorkers(p.processes); err != nil {
		return figures{}, err
	}
	if err := stage.AwaitTrip(ctx, down); err != nil {
		return figures{}, err
	}
	if err := settle(ctx, stage); err != nil {
		return figures{}, err
	}
	f, err := p.watch(ctx, stage, provider)
	if err != nil {
		return f, err
	}
	f.down = down
	return f, resume(ctx, stage, provider, &f)
}

// fill enqueues all requests, and lets Postgres write now what it would write
// during the hold.
func (p plan) fill(ctx context.Context, stage *bench.Stage) error {
	began := time.Now()
	if err := stage.Enqueue(ctx, 0, p.jobs); err != nil {
		return err
	}
	for _, statement := range []string{"VACUUM (ANALYZE, FREEZE)", "CHECKPOINT"} {
		if _, err := stage.Pool.Exec(ctx, statement); err != nil {
			return err
		}
	}
	bench.Say("%d requests wait, after %s", p.jobs, time.Since(began).Round(time.Second))
	return nil
}

// settle waits until workers take nothing in hand any more: the queue is paused,
// or enough time went by.
func settle(ctx context.Context, stage *bench.Stage) error {
	began, inHand, since := time.Now(), 0, time.Now()
	return stage.Await(ctx, settles+time.Minute, "workers take nothing in hand any more", func() (bool, error) {
		paused, err := stage.Count(ctx, "SELECT count(*) FROM tidegate.river_queue WHERE paused_at IS NOT NULL")
		if err != nil {
			return false, err
		}
		now, err := stage.Count(ctx, "SELECT count(*) FROM tidegate.river_job WHERE state = 'running'")
		if now != inHand {
			inHand, since = now, time.Now()
		}
		return (paused > 0 || time.Since(began) > settles) && time.Since(since) > calm, err
	})
}

// A reading is what is compared between beginning and end.
type reading struct {
	rewritten int   // rows of river_job, ever
	wal       int64 // bytes, ever
	calls     bench.Calls
}

// watch holds, and reads what that costs.
func (p plan) watch(ctx context.Context, stage *bench.Stage, provider *bench.Provider) (figures, error) {
	began := time.Now()
	before, err := read(ctx, stage, provider)
	if err != nil {
		return figures{}, err
	}
	bench.Say("holding for %s", p.hold+flushed)
	if err := bench.Sleep(ctx, began.Add(flushed+p.hold)); err != nil {
		return figures{}, err
	}
	ended := time.Now()
	after, err := read(ctx, stage, provider)
	if err != nil {
		return figures{}, err
	}
	f := figures{
		Rewritten: after.rewritten - before.rewritten,
		WAL:       bench.Round(float64(after.wal-before.wal)/(1<<20), 100),
		Calls:     after.calls.Since(before.calls).Total,
		began:     began, ended: ended,
	}
	f.paused, err = stage.Count(ctx, "SELECT count(*) FROM tidegate.river_queue WHERE paused_at IS NOT NULL")
	if err != nil {
		return f, err
	}
	f.inHand, err = stage.Count(ctx, "SELECT count(*) FROM tidegate.river_job WHERE state = 'running'")
	return f, err
}

// read waits until sessions have told what they did before now, and reads the
// rest at once.
func read(ctx context.Context, stage *bench.Stage, provider *bench.Provider) (r reading, err error) {
	if r.calls, err = provider.Calls(ctx); err != nil {
		return r, err
	}
	if err = stage.Pool.QueryRow(ctx, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").Scan(&r.wal); err != nil {
		return r, err
	}
	if err = bench.Sleep(ctx, time.Now().Add(flushed)); err != nil {
		return r, err
	}
	r.rewritten, err = stage.Count(ctx, "SELECT n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE schemaname = 'tidegate' AND relname = 'river_job'")
	return r, err
}

// resume makes the provider well, waits for its first answer, and asks whether
// any call before was not a probe.
func resume(ctx context.Context, stage *bench.Stage, provider *bench.Provider, f *figures) error {
	recovery, err := provider.Up(ctx)
	if err != nil {
		return err
	}
	f.recovery = recovery
	err = stage.Await(ctx, f.probeWait()+answers, "there is an answer", func() (bool, error) {
		first, err := provider.FirstAnswer(ctx, recovery)
		f.FirstAnswer = bench.Seconds(first.Sub(recovery))
		return !first.IsZero(), err
	})
	if errors.Is(err, bench.ErrLate) {
		return errors.New("the provider answered nothing after its recovery, so there is nothing to measure")
	}
	if err != nil {
		return err
	}
	stage.StopWorkers() // which write down their calls at the latest now
	f.others, err = stage.Count(ctx, "SELECT count(*) FROM tidegate.attempts WHERE NOT probe AND at BETWEEN $1 AND $2", f.began, recovery)
	return err
}
