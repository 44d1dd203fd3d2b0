package worker

import (
	"context"

	"tidegate/jobs"
)

// sample writes down now and then how everything stands.
func (s *supervisor) sample(ctx context.Context, _ *jobs.Fleet) error {
	now := s.now()
	if s.fleet.History == nil || now.Sub(s.sampledAt) < jobs.SampleEvery {
		return nil
	}
	s.sampledAt = now // also where it fails: others go before
	return s.briefly(ctx, func(ctx context.Context) error { return s.fleet.History.TakeSample(ctx, s.held) })
}

// thin adds up old samples.
func (s *supervisor) thin(ctx context.Context) error {
	if s.fleet.History == nil {
		return nil
	}
	return s.fleet.History.ThinSamples(ctx, s.held)
}
