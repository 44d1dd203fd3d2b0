package app

import (
	"context"
	"time"
)

const (
	// removeEvery is how often a worker looks for files whose time has come, and
	// removeRest how long it rests between two steps of removing them.
	removeEvery = time.Minute
	removeRest  = 100 * time.Millisecond
)

// removeFiles removes files whose time has come, a little at a time.
func (s *Stack) removeFiles(ctx context.Context) {
	timer := time.NewTimer(removeEvery)
	defer timer.Stop()
	sum := 0
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		gone, more, err := s.Store.RemoveFiles(ctx)
		sum += gone
		switch {
		case err != nil && ctx.Err() == nil:
			s.config.Log.Warn().Err(err).Msg("files whose time has come were not removed; it is repeated")
		case !more && sum > 0:
			s.config.Log.Info().Int("files", sum).Msg("files were removed whose time had come")
			sum = 0
		}
		next := removeEvery
		if more && err == nil {
			next = removeRest
		}
		timer.Reset(next)
	}
}
