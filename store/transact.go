package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// commitTimeout bounds a COMMIT, which its caller's context does not end.
	commitTimeout = 30 * time.Second
	rollbackLimit = 5 * time.Second
	// lookAgain is how often a database that does not answer is asked again.
	lookAgain = 200 * time.Millisecond
)

// An UnknownOutcomeError says that a COMMIT was sent and its answer never came:
// only the database knows whether it happened.
type UnknownOutcomeError struct{ Err error }

// Error says what came instead of the answer.
func (e *UnknownOutcomeError) Error() string {
	return fmt.Sprintf("the answer to COMMIT was lost: %v", e.Err)
}

// Unwrap gives the reason.
func (e *UnknownOutcomeError) Unwrap() error { return e.Err }

// Transact runs fn in a transaction and commits it if fn succeeds. The end of ctx
// is heard until then; it does not interrupt the COMMIT, which has 30 seconds,
// since nobody would know what became of it. An *UnknownOutcomeError says that
// nobody does; after any other error nothing was written.
func Transact(ctx context.Context, pool *pgxpool.Pool, fn func(pgx.Tx) error) error {
	tx, err := pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	defer rollback(ctx, tx)
	if err := fn(tx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	switch err := tx.Commit(last); {
	case err == nil:
		return nil
	case answered(err):
		return fmt.Errorf("committing: %w", err)
	default:
		return &UnknownOutcomeError{err}
	}
}

// rollback does nothing after a COMMIT.
func rollback(ctx context.Context, tx pgx.Tx) {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackLimit)
	defer cancel()
	_ = tx.Rollback(last) // else the server does it, when it sees that we are gone
}

// answered tells an error that the server gave as its answer from the end of the
// connection, of which a server that stops says a last word, too.
func answered(err error) bool {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.SeverityUnlocalized == "ERROR"
	}
	return errors.Is(err, pgx.ErrTxCommitRollback)
}

// Away tells an error that says that the database was not there to answer, or did not in
// time. Of a transaction nothing was written then, unless the error is an
// *UnknownOutcomeError; of a single statement nobody knows.
func Away(err error) bool {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return strings.HasPrefix(said.Code, "57P") || said.Code == "53300" // it starts or stops, or has no connection left
	}
	var dial *pgconn.ConnectError
	var wire net.Error
	return errors.As(err, &dial) || errors.As(err, &wire) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF)
}

const claimBatch = `/* tidegate: claim batch */
INSERT INTO tidegate.batches (id, tenant, state) VALUES ($1, '', 'in_progress') ON CONFLICT DO NOTHING`

const claimRequest = `/* tidegate: claim request */
INSERT INTO tidegate.requests (id, tenant, route, body) VALUES ($1::text::uuid, '', '', '') ON CONFLICT DO NOTHING`

// Accepted tells whether the batch or the request with an id of ours was
// committed, by whoever enqueued it. To look is not enough, since a COMMIT may
// be under way yet: it tries to take the id, which waits for that, and gives it
// back. A database that does not answer is asked again until ctx ends.
func Accepted(ctx context.Context, pool *pgxpool.Pool, id string) (bool, error) {
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		taken, err := isTaken(ctx, pool, id)
		if err == nil || answered(err) {
			return taken, err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return false, err
		}
	}
}

func isTaken(ctx context.Context, pool *pgxpool.Pool, id string) (bool, error) {
	claim := claimRequest
	if strings.HasPrefix(id, "batch_") {
		claim = claimBatch
	}
	tx, err := pool.Begin(ctx)
	if err != nil {
		return false, fmt.Errorf("looking for %s: %w", id, err)
	}
	defer rollback(ctx, tx)
	done, err := tx.Exec(ctx, claim, id)
	if err != nil {
		return false, fmt.Errorf("looking for %s: %w", id, err)
	}
	return done.RowsAffected() == 0, nil
}
