package worker

import (
	"context"
	"time"

	"tidegate/jobs"
)

const (
	// freshWord is how long ago a circuit may have changed of which a new supervisor
	// does not know whether the one before had seen to it.
	freshWord = time.Minute
	// parkedLate is by when every worker has parked its last job for what was so
	// before.
	parkedLate = 10 * time.Second
	// unparkAtMost is how many jobs one call moves: it takes a moment.
	unparkAtMost = 5000
	// unparkSeconds is for how long those keep a target busy that are given back in the
	// first round after its circuit closed by itself: so many at least, and at most.
	// Twice as many are in each of the next. In a brown-out it opens again and again,
	// and the others are left alone.
	unparkSeconds = 5
	unparkLeast   = 10
	unparkMost    = 1000
)

// momentsApart is how far apart two moments are that are not the same one: they are read
// by a clock that is set now and then.
const momentsApart = time.Second

// A word is what was said of a circuit, as far as a supervisor saw to it.
type word struct {
	generation uint64
	moment     time.Time // see moment
	again      time.Time // when those are given back that were parked late; zero: they were
	next       int       // how many to give back in this round; zero: there are no more
}

// unpark gives jobs back that wait for a time on account of a circuit, when a
// person changed that circuit, or it closed, or its cooldown ended: they are scheduled for
// a time that may be days away, or, where a circuit was opened until somebody closes it,
// for good.
func (s *supervisor) unpark(ctx context.Context, fleet *jobs.Fleet) error {
	for i := range fleet.Circuits {
		c := &fleet.Circuits[i]
		heard := s.words[c.Target]
		moment, now := moment(c), s.now()
		known := heard.generation == c.Generation && moment.Sub(heard.moment) <= momentsApart
		switch {
		case moment.IsZero(), moment.After(now), !known && now.Sub(moment) > freshWord:
			delete(s.words, c.Target)
			continue
		case !known:
			heard = word{c.Generation, moment, now.Add(parkedLate), unparkFirst(fleet.LastGood[c.Target])}
		case heard.next > 0:
		case heard.again.IsZero() || now.Before(heard.again):
			continue
		default:
			heard.again, heard.next = time.Time{}, unparkFirst(fleet.LastGood[c.Target])
		}
		if err := s.unparkSome(ctx, c.Target, &heard, c.Person); err != nil {
			return err
		}
		s.words[c.Target] = heard
	}
	return nil
}

// moment is since when, or from when on, what waits for a circuit is worth another look:
// it may be called then, or a person said something else of it. Who waits for another
// target may go to this one, so the end of a cooldown is no less than a circuit that closes.
// Zero: it is open.
func moment(c *jobs.Circuit) time.Time {
	switch {
	case c.State == jobs.CircuitClosed && c.CooldownUntil.After(c.Since):
		return c.CooldownUntil
	case c.State == jobs.CircuitClosed || c.Person:
		return c.Since
	default:
		return time.Time{}
	}
}

// unparkFirst is how many are given back first for a target that takes so many calls a
// second (zero: nobody knows).
func unparkFirst(rate float64) int {
	if rate == 0 {
		return unparkMost
	}
	return int(min(max(unparkSeconds*rate, unparkLeast), unparkMost))
}

// unparkSome goes on until there are no more, or until there are enough for this
// round. What a round has no time for, the next one does.
func (s *supervisor) unparkSome(ctx context.Context, target string, heard *word, all bool) error {
	return s.briefly(ctx, func(ctx context.Context) error {
		for given := 0; ; {
			n, err := s.fleet.Books.Unpark(ctx, s.held, target, min(unparkAtMost, heard.next))
			given += n
			ends := n == 0 || err != nil
			if (ends || !all && given >= heard.next) && given > 0 {
				s.log.Info().Str("target", target).Int("jobs", given).Msg("a circuit closed, its cooldown ended, or a person changed it: jobs that waited for a time are given back")
			}
			switch {
			case ends:
				heard.next = 0
				return err
			case !all && given >= heard.next:
				heard.next *= 2
				return nil
			}
		}
	})
}
