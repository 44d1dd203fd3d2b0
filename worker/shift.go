package worker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"tidegate/jobs"
)

// shift takes jobs until ctx ends, or until this host alone cannot reach its
// targets: others are to have its jobs then.
func (w *Worker) shift(ctx context.Context) error {
	working, stop := context.WithCancel(ctx)
	defer stop()
	if w.config.Desk {
		return w.attend(ctx)
	}
	completion := w.newCompletion(working)
	crew := w.newCrew(completion)
	client, err := startRiver(working, &w.config, crew)
	if errors.Is(err, jobs.ErrDead) {
		stop()
		w.finishAnswers(completion)
	}
	if err != nil || client == nil {
		return err
	}
	defer w.keepQueues(working, crew)()
	lost := context.AfterFunc(w.egress.Lost(), stop)
	defer lost()
	select {
	case <-client.Stopped():
		return nil
	case <-w.heart.died:
		err = jobs.ErrDead
	case err = <-w.stuck:
	case <-w.late(working, client.Stopped()):
		return errors.New("jobs did not end when the worker was told to stop; others get them once the fleet misses it")
	}
	stop()
	w.finishAnswers(completion)
	return err
}

// keepQueues keeps the rows of the queues that are worked, until its stop: River makes them
// when it starts, and says every ten minutes that they are worked. Without a row, a route
// looks like one that nobody works.
func (w *Worker) keepQueues(ctx context.Context, crew *crew) (stop func()) {
	rows := w.config.Fleet.Queues
	if rows == nil {
		return func() {}
	}
	keeping, end := context.WithCancel(ctx)
	names := slices.Sorted(maps.Keys(crew.queues(&w.config)))
	part := runAll(keeping, func(ctx context.Context) {
		w.heart.every(ctx, w.config.Timing.Look, nil, "it was not seen whether River's queues are there", func(ctx context.Context) error {
			return rows.KeepQueues(ctx, names)
		})
	})
	return func() {
		end()
		part.Wait()
	}
}

// attend is a shift of one who takes no jobs.
func (w *Worker) attend(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-w.heart.died:
		return jobs.ErrDead
	case err := <-w.stuck:
		return err
	}
}

// late ends when a stop takes longer than it may.
func (w *Worker) late(ctx context.Context, stopped <-chan struct{}) <-chan struct{} {
	late := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
		case <-stopped:
			return
		}
		timer := time.NewTimer(w.config.StopTimeout + stopSlack)
		defer timer.Stop()
		select {
		case <-timer.C:
			close(late)
		case <-stopped:
		}
	}()
	return late
}

// finishAnswers gives calls in flight their time to end and be committed, where
// River cannot be asked.
func (w *Worker) finishAnswers(c *completion) {
	for until := w.config.Now().Add(w.config.StopTimeout); c.answering.Load() > 0 && w.config.Now().Before(until); {
		_ = sleepUntil(context.Background(), retryMin)
	}
}
