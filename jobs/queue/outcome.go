package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/store"
)

// lookFor is how long the database is asked what became of a lost COMMIT.
const lookFor = 10 * time.Second

// An UnknownError says that the connection to Postgres was lost while a request
// or a batch was being committed, and that it could not be asked afterwards.
type UnknownError struct {
	ID  string // of the request or the batch, as it is stored if it is
	Err error
}

// Error says what is not known, and why.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("it is not known whether %s was enqueued: %v", e.ID, e.Err)
}

// Unwrap gives the reason.
func (e *UnknownError) Unwrap() error { return e.Err }

// transact runs fn in a transaction; fn returns the id of what it enqueued. If
// the answer to the COMMIT is lost, it asks the database what became of it.
func (q *Queue) transact(ctx context.Context, fn func(pgx.Tx) (id string, err error)) error {
	var id string
	err := store.Transact(ctx, q.pool, func(tx pgx.Tx) (err error) {
		id, err = fn(tx)
		return err
	})
	var lost *store.UnknownOutcomeError
	if !errors.As(err, &lost) {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.look)
	defer cancel()
	switch accepted, err := store.Accepted(last, q.pool, id); {
	case err != nil:
		return &UnknownError{id, lost}
	case accepted:
		return nil
	default:
		return fmt.Errorf("committing: %w", lost.Err)
	}
}
