package worker

import (
	"context"
	"time"

	"tidegate/jobs"
)

// countShare is the part of the time that may go into counting what waits: a count that
// took a tenth of a second is not made again for ten.
const countShare = 100

// countAgain is when those are counted again who could not be in time.
const countAgain = time.Minute

// samples is what a supervisor knows of those that it writes.
type samples struct {
	taken   time.Time // the last one
	counted time.Time // the last one that counted all that waits
	pause   time.Duration
}

// sample writes down now and then how everything stands.
func (s *supervisor) sample(ctx context.Context, _ *jobs.Fleet) error {
	now := s.now()
	if s.fleet.History == nil || now.Sub(s.samples.taken) < jobs.SampleEvery {
		return nil
	}
	return s.briefly(ctx, func(ctx context.Context) error {
		count := now.Sub(s.samples.counted) >= s.samples.pause
		took, err := s.fleet.History.TakeSample(ctx, s.held, count)
		s.samples.taken = now // also where it failed: others go before
		if count {
			s.samples.counted, s.samples.pause = now, countShare*took
		}
		if count && err != nil {
			s.samples.pause = countAgain
		}
		return err
	})
}

// thin adds up old samples.
func (s *supervisor) thin(ctx context.Context) error {
	if s.fleet.History == nil {
		return nil
	}
	return s.fleet.History.ThinSamples(ctx, s.held)
}
