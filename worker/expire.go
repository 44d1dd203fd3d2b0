package worker

import (
	"context"
	"errors"
	"time"

	"tidegate/jobs"
)

const (
	// expireBack is how far back a new supervisor looks for deadlines that passed
	// while nobody supervised.
	expireBack = 24 * time.Hour
	// expireOverlap is how far each round looks beyond the last one that was done:
	// a producer's transaction may commit a moment after the deadline it sets.
	expireOverlap = time.Minute
	// What lies further back is looked through in slices, the latest first, one in
	// each round: as long as Postgres is quick with them, each is twice the last.
	sliceMin, sliceMax = time.Second, time.Hour
	sliceFirst         = 5 * time.Minute
)

// expired is how far a supervisor has seen to deadlines. The zero value has seen
// to none.
//
//	 bottom                back                     to
//	───┴─ looked for later ──┴─ all were seen to ────┴─ each round ─> now
type expired struct {
	to, back, bottom time.Time
	slice            time.Duration
}

// expire ends requests whose deadline passed: those of late, and a slice of
// those that passed while nobody looked.
func (s *supervisor) expire(ctx context.Context, _ *jobs.Fleet) error {
	return s.briefly(ctx, s.expireSome)
}

func (s *supervisor) expireSome(ctx context.Context) error {
	now := s.now()
	if now.Sub(s.expired.to) > expireOverlap { // nobody looked for a while
		s.expired = expired{to: now, back: now, bottom: now.Add(-expireBack), slice: sliceFirst}
	}
	all, err := s.expireSince(ctx, now.Sub(s.expired.to)+expireOverlap, 0)
	if err != nil {
		return err
	}
	if all {
		s.expired.to = now
	}
	return s.expireBefore(ctx, now)
}

// expireBefore sees to the next slice of what lies back. One that takes too long
// is no failure: the next one is smaller.
func (s *supervisor) expireBefore(ctx context.Context, now time.Time) error {
	e := &s.expired
	if !e.back.After(e.bottom) {
		return nil
	}
	ago := now.Sub(e.back)
	all, err := s.expireSince(ctx, ago+e.slice, ago)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && e.slice > sliceMin:
		e.slice = max(e.slice/2, sliceMin)
		return nil
	case err == nil && all:
		e.back = e.back.Add(-e.slice)
		e.slice = min(2*e.slice, sliceMax)
	}
	return err
}

// expireSince ends those whose deadline passed less than from, and at least to,
// ago. It tells whether that were all of them.
func (s *supervisor) expireSince(ctx context.Context, from, to time.Duration) (all bool, err error) {
	n, err := s.fleet.Care.Expire(ctx, s.held, from, to)
	if err != nil || n == 0 {
		return err == nil, err
	}
	s.log.Info().Int("requests", n).Msg("deadlines passed: requests ended as expired")
	s.Wake() // perhaps there are more
	return false, nil
}
