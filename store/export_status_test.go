package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// WaitingOver reads what waits as if so few were many.
func (s *Store) WaitingOver(ctx context.Context, whole, heads int) ([]WaitingStatus, error) {
	var status Status
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return readWaitingOver(ctx, tx, &status, whole, heads) })
	return status.Waiting, err
}

// CountTook has all counts of one's own have taken so long.
func (s *Store) CountTook(took time.Duration) {
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	for route, c := range s.counts.of {
		c.took = took
		s.counts.of[route] = c
	}
}

// What is asked at a glance of batches that go on.
const (
	OpenBatches = openBatches
	CountOpen   = countOpen
)
