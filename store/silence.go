package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// silence is how long Postgres waits for the next statement of a transaction
// before it takes us for gone. Of a host that was cut off in the middle of one
// TCP would tell it in two hours, and until then its locks would stop the whole
// fleet: the lease's, say, on which all who would lead instead wait.
const silence = 3 * time.Second

// within runs act in a transaction that Postgres ends when it hears nothing of us
// between two statements for a while.
func (s *Store) within(ctx context.Context, silence time.Duration, act func(pgx.Tx) error) error {
	begin := fmt.Sprintf("BEGIN; SET LOCAL idle_in_transaction_session_timeout = %d", silence.Milliseconds())
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{BeginQuery: begin}, act)
}
