package worker

import (
	"context"
	"errors"
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
	client, err := startRiver(working, &w.config, w.newCrew(completion))
	if err != nil || client == nil {
		return err
	}
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
