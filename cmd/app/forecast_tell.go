package app

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
	"tidegate/routing/prices"
	"tidegate/store"
)

const (
	// noteEvery is how often somebody who waits is told anew when it will be done.
	noteEvery = 5 * time.Second
	// foretellEvery is how often somebody is who follows results.
	foretellEvery = time.Minute
)

// anyConfig is the configuration here, for what can do without: none, if it is broken.
func (o *options) anyConfig() func() *config.Config {
	conf, err := o.loadBeside(prices.Shipped())
	if err != nil {
		conf = &config.Config{}
	}
	return func() *config.Config { return conf }
}

// tell says on the standard error when a batch will be done that was enqueued just now,
// and warns where its deadline is thought to be missed. What cannot be said is left out.
func (f *forecasts) tell(cmd *cobra.Command, batch *jobs.Batch) {
	said, deadline, err := f.Batch(cmd.Context(), batch)
	now := time.Now()
	switch warning := said.Warning(deadline, now); {
	case err != nil:
	case warning != "":
		fmt.Fprintf(cmd.ErrOrStderr(), "Warning: %s: %s\n", batch.ID, visible(warning))
	case said.Known() || said.Work > 0:
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", batch.ID, visible(said.Text(now)))
	}
}

// text says when a batch will be done; empty: it cannot be said.
func (f *forecasts) text(ctx context.Context, id string) string {
	batch, err := f.store.Batch(ctx, id)
	if err != nil {
		return ""
	}
	said, deadline, err := f.Batch(ctx, &batch)
	if err != nil || said == (jobs.Forecast{}) {
		return ""
	}
	text := said.Text(time.Now())
	if will, _ := said.Misses(deadline); will {
		text += ", after its deadline"
	}
	return text
}

// note keeps a note beside a progress until it is stopped.
func (f *forecasts) note(ctx context.Context, id string, shown *progress) (stop func()) {
	return everySo(ctx, noteEvery, func(ctx context.Context) { shown.Note(f.text(ctx, id)) })
}

// everySo does something now, and again and again until it is stopped.
func everySo(ctx context.Context, every time.Duration, do func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var part sync.WaitGroup
	part.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for ctx.Err() == nil {
			do(ctx)
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
	})
	return func() {
		cancel()
		part.Wait()
	}
}

// foretell says each minute, where somebody looks on, when what is watched will be done.
func (o *options) foretell(ctx context.Context, out io.Writer, postgres string, f *watchFlags) (stop func()) {
	if f.batch == "" && f.route == "" || postgres == "" || !isTerminal(out) {
		return func() {}
	}
	pool, err := store.Connect(ctx, postgres, 1)
	if err != nil {
		return func() {}
	}
	foresees := newForecasts(store.New(pool), o.anyConfig())
	end := everySo(ctx, foretellEvery, func(ctx context.Context) {
		text := ""
		if f.batch != "" {
			text = foresees.text(ctx, f.batch)
		} else if outlook, err := foresees.outlook(ctx); err == nil {
			said := outlook.Route(f.route)
			text = said.Text(time.Now())
		}
		if text != "" {
			fmt.Fprintf(out, "tidegate: %s: %s\n", visible(f.batch+f.route), visible(text))
		}
	})
	return func() {
		end()
		pool.Close()
	}
}
