package worker

import (
	"context"
	"time"

	"tidegate/jobs"
)

const (
	// freshWord is how long ago a person's word may be of which a new supervisor
	// does not know whether the one before had heard it.
	freshWord = time.Minute
	// parkedLate is by when every worker has parked its last job for what was so
	// before.
	parkedLate = 10 * time.Second
)

// A word is what a person said of a circuit, as far as a supervisor saw to it.
type word struct {
	generation uint64
	again      time.Time // when those are given back that were parked late; zero: they were
}

// unpark gives jobs back that wait for the end of a cooldown, when a person ended
// it before: they are scheduled for a time that may be days away, or, where a
// circuit was opened until somebody closes it, for good.
func (s *supervisor) unpark(ctx context.Context, fleet *jobs.Fleet) error {
	for i := range fleet.Circuits {
		c := &fleet.Circuits[i]
		heard := s.words[c.Target]
		switch {
		case !c.Person || s.now().Sub(c.Since) > freshWord:
			delete(s.words, c.Target)
			continue
		case heard.generation != c.Generation:
			heard = word{c.Generation, s.now().Add(parkedLate)}
		case heard.again.IsZero() || s.now().Before(heard.again):
			continue
		default:
			heard.again = time.Time{}
		}
		if err := s.unparkAll(ctx, c.Target); err != nil {
			return err
		}
		s.words[c.Target] = heard
	}
	return nil
}

// unparkAll goes on until there are no more. What a round has no time for, the
// next one does.
func (s *supervisor) unparkAll(ctx context.Context, target string) error {
	return s.briefly(ctx, func(ctx context.Context) error {
		for all := 0; ; {
			n, err := s.fleet.Books.Unpark(ctx, s.held, target)
			if all += n; n == 0 || err != nil {
				if all > 0 {
					s.log.Info().Str("target", target).Int("jobs", all).Msg("a person changed a circuit: jobs that waited for its time are given back")
				}
				return err
			}
		}
	})
}
