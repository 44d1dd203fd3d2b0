package queue

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// PauseTx pauses the River queue of a route in the caller's transaction: no
// worker fetches from it, what is in hand goes on, and requests are accepted as
// before. It is a person's pause; store.PauseByPerson books why.
func (q *Queue) PauseTx(ctx context.Context, tx pgx.Tx, route string) error {
	if err := q.river.QueuePauseTx(ctx, tx, route, nil); err != nil {
		return fmt.Errorf("pausing the queue %s: %w", route, err)
	}
	return nil
}

// ResumeTx ends the pause of the River queue of a route in the caller's
// transaction, whoever paused it.
func (q *Queue) ResumeTx(ctx context.Context, tx pgx.Tx, route string) error {
	if err := q.river.QueueResumeTx(ctx, tx, route, nil); err != nil {
		return fmt.Errorf("resuming the queue %s: %w", route, err)
	}
	return nil
}
