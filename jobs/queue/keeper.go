package queue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

const (
	// DefaultMaxLines is how many requests a batch may have that comes as a file, as at
	// OpenAI.
	DefaultMaxLines = 50_000
	// MaxInputs is how many texts may be embedded by such a batch in all, as at OpenAI,
	// or as many as it may have requests, if that is more.
	MaxInputs = 50_000
	// portionBytes bounds what of a file goes into one transaction, beside the count:
	// bodies of four megabytes.
	portionBytes = 4 << 20
)

// A Keeper does for a batch that came as a file what its state asks for: it checks
// the lines, enqueues them, ends what is cancelled, and writes what came of it. Every
// step is written down with what it did, so that a Keeper that is killed is followed
// by another one that goes on right there. Safe for concurrent use.
type Keeper struct {
	Queue *Queue
	Store *store.Store
	// Goals are the optimization goals that are always there, beside those of one's
	// own that workers announce. Empty: nobody looks.
	Goals []string
	// MaxLines is how many requests a batch may have; zero: DefaultMaxLines.
	MaxLines int
	// FilesLive is how long the files of a batch are kept that says nothing of it;
	// zero: for ever.
	FilesLive time.Duration
}

// Keep works on a batch until nothing is to be done for it now. After an error it may
// be called again. There is nothing to do for a batch that is not known.
func (k *Keeper) Keep(ctx context.Context, id string) error {
	for {
		batch, err := k.Store.Batch(ctx, id)
		switch {
		case missing(err):
			return nil
		case err != nil:
			return err
		}
		done, err := k.step(ctx, &batch)
		if err != nil || done {
			return err
		}
		after, err := k.Store.Batch(ctx, id)
		if err != nil || after.State == batch.State {
			return err
		}
	}
}

// step does one thing; done: there is nothing to do in this state.
func (k *Keeper) step(ctx context.Context, batch *jobs.Batch) (done bool, err error) {
	switch batch.State {
	case jobs.BatchValidating:
		return false, k.check(ctx, batch)
	case jobs.BatchInProgress:
		return false, k.enqueue(ctx, batch)
	case jobs.BatchCancelling:
		if batch.Order != nil {
			if err := k.enqueue(ctx, batch); err != nil { // a line that was accepted gets its result
				return false, err
			}
		}
		if _, err := k.Store.CancelBatch(ctx, batch.ID); err != nil {
			return false, err
		}
		return false, k.Store.EndEmpty(ctx, batch.ID)
	case jobs.BatchFinalizing:
		return false, k.Store.EndBatch(ctx, batch.ID, k.FilesLive)
	default:
		return true, nil
	}
}

// options are how the lines of a batch are read, the first time and again: nothing in
// them depends on the time of reading.
func (k *Keeper) options(ctx context.Context, batch *jobs.Batch) (jobs.LineOptions, error) {
	routes, err := store.Routes(ctx, k.Queue.pool)
	if err != nil {
		return jobs.LineOptions{}, err
	}
	endpoint, ok := jobs.ParseEndpoint(batch.Order.Endpoint)
	if !ok {
		return jobs.LineOptions{}, fmt.Errorf("the batch is of %q, which a later version has accepted: it is for a worker of that one", batch.Order.Endpoint)
	}
	known, claims, goals := map[string]jobs.EndpointSet{}, map[string]string{}, map[string]bool{}
	for _, route := range routes {
		known[route.Name] = route.Serves()
		for _, goal := range route.Goals {
			goals[goal] = true
		}
		for _, model := range route.Models {
			claims[model] = route.Name
		}
	}
	opts := jobs.LineOptions{
		Whole: true, Endpoint: endpoint, Tenant: batch.Tenant, DefaultRoute: batch.Order.Route,
		KnownRoute: func(route string) bool { _, ok := known[route]; return ok },
		Served:     func(route string) jobs.EndpointSet { return known[route] },
		Now:        func() time.Time { return batch.CreatedAt },
	}
	if len(k.Goals) > 0 {
		opts.KnownGoal = func(goal string) bool { return goals[goal] || slices.Contains(k.Goals, goal) }
	}
	if batch.Order.Route == "" {
		opts.Routes = func(model string) (string, bool) {
			route, ok := claims[model]
			return route, ok
		}
		if len(routes) == 1 {
			opts.DefaultRoute = routes[0].Name
		}
	}
	return opts, nil
}

// input reads the file of a batch from where a place says.
func (k *Keeper) input(ctx context.Context, batch *jobs.Batch, at int64) (*input, error) {
	file, err := k.Store.InputFile(ctx, batch.Order.InputFile)
	if err != nil {
		return nil, err
	}
	return &input{reader: k.Store.OpenFile(ctx, file, at)}, nil
}

// An input remembers why it could not be read on, which is no fault of a line.
type input struct {
	reader *store.FileReader
	err    error
}

func (i *input) Read(p []byte) (int, error) {
	n, err := i.reader.Read(p)
	if err != nil && !isEnd(err) {
		i.err = err
	}
	return n, err
}

// complete is what a line's request lacks that its batch says.
func (k *Keeper) complete(ctx context.Context, batch *jobs.Batch, r *jobs.Request) error {
	r.BatchID = batch.ID
	if r.Goal == "" {
		r.Goal = batch.Order.Goal
	}
	if end := batch.Order.ExpiresAt; !end.IsZero() && (r.Deadline.IsZero() || r.Deadline.After(end)) {
		r.Deadline = end
	}
	if err := k.Queue.complete(ctx, k.Queue.pool, r); err != nil {
		return fmt.Errorf("request: %w", err)
	}
	return nil
}
