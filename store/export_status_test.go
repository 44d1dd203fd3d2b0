package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// WaitingOver reads what waits as if so few were many.
func (s *Store) WaitingOver(ctx context.Context, whole, heads int) ([]WaitingStatus, error) {
	var status Status
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return readWaitingOver(ctx, tx, &status, whole, heads) })
	return status.Waiting, err
}
