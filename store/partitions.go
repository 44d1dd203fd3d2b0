package store

import (
	"context"
	"fmt"
	"time"
)

// daysAhead is how many days of attempts there are always partitions for, so
// that a week without any worker that could make them does no harm.
const daysAhead = 7

// AddAttemptDays makes the partitions of attempts for today (in UTC) and a week
// ahead, and returns how many were missing.
func (s *Store) AddAttemptDays(ctx context.Context, today time.Time) (int, error) {
	today = today.UTC()
	var made int
	err := s.pool.QueryRow(ctx, "/* tidegate: add attempt days */ SELECT tidegate.add_attempt_days($1::date, $2::date)",
		today, today.AddDate(0, 0, daysAhead)).Scan(&made)
	if err != nil {
		return 0, fmt.Errorf("making partitions of attempts: %w", err)
	}
	return made, nil
}
