package worker

import (
	"context"
	"errors"
	"time"

	"tidegate/jobs"
)

const (
	// expireOverlap is how long after its deadline a producer's transaction may
	// commit and its request be found within overlapEvery. One that commits later
	// is found by the next look back.
	expireOverlap = time.Minute
	overlapEvery  = 5 * time.Second
	// expireBack is how far a supervisor looks back: when it begins, for deadlines
	// that passed while nobody supervised, and every backEvery, from the end of
	// the last time if that took longer.
	expireBack = 24 * time.Hour
	backEvery  = 10 * time.Minute
	// So many requests are looked at in one step: half as many after one that was
	// slow, and twice as many after one that was quick.
	expireLeast, expireMost = 50, 5000
)

// expired is how far a supervisor has seen to deadlines. The zero value has seen
// to none. Each round makes one step of each sweep, behind the last one: what it
// costs depends neither on how many deadlines passed together nor on how many
// were seen to.
//
//	 a day ago                  a minute ago
//	───┴─────────────────────────────┴─────────────────> now
//	   <──────────── back ────────────────────────────┤   every ten minutes
//	                                 ├──── again ─────>   every five seconds
//	                                             late ─>  in each round, until it is done
type expired struct {
	since             time.Time // the first round
	late, again, back sweep
}

// A sweep is how far one has got.
type sweep struct {
	began  time.Time // the last time that it began
	before time.Time // the time before
	goesOn bool      // there is more to be looked at
	behind jobs.Due
	atMost int
}

// expire ends requests whose deadline passed: those of late, those of the last
// minute that were committed late, and those that passed while nobody looked.
func (s *supervisor) expire(ctx context.Context, _ *jobs.Fleet) error {
	return s.briefly(ctx, s.expireSome)
}

func (s *supervisor) expireSome(ctx context.Context) error {
	now, e := s.now(), &s.expired
	if e.since.IsZero() {
		*e = expired{since: now, late: sweep{atMost: expireMost}, again: sweep{atMost: expireMost, began: now}, back: sweep{atMost: expireMost}}
	}
	seen, err := s.step(ctx, &e.late, jobs.Sweep{Ago: now.Sub(e.since) + expireOverlap})
	if err != nil {
		return err
	}
	if seen && e.late.goesOn {
		s.Wake()
	}
	// One that was passed by lies less than a minute before the time before began.
	if e.again.due(now, overlapEvery) {
		if _, err := s.step(ctx, &e.again, jobs.Sweep{Ago: now.Sub(e.again.before) + expireOverlap}); err != nil {
			return err
		}
	}
	if e.back.due(now, backEvery) {
		_, err = s.step(ctx, &e.back, jobs.Sweep{Latest: true, Ago: now.Sub(e.back.began) + expireBack})
	}
	return err
}

// due tells whether there is a step to be made. It begins the sweep anew when it
// is time to.
func (w *sweep) due(now time.Time, every time.Duration) bool {
	if w.goesOn {
		return true
	}
	if now.Sub(w.began) < every {
		return false
	}
	w.before, w.began, w.behind, w.goesOn = w.began, now, jobs.Due{}, true
	return true
}

// step goes on with a sweep, and tells whether it got anywhere. One that takes too
// long is no failure: the next one is smaller.
func (s *supervisor) step(ctx context.Context, w *sweep, next jobs.Sweep) (bool, error) {
	if ctx.Err() != nil { // the step before has used up the time
		return false, nil
	}
	next.Behind, next.AtMost = w.behind, w.atMost
	asked := s.now()
	swept, err := s.fleet.Care.Expire(ctx, s.held, next)
	w.fit(s.now().Sub(asked), s.timing.Lease/dutyShare)
	if errors.Is(err, context.DeadlineExceeded) && next.AtMost > expireLeast {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if w.goesOn = swept.Seen >= next.AtMost; swept.Seen > 0 {
		w.behind = swept.Last
	}
	s.watch.expired(swept.Ended)
	if swept.Ended > 0 {
		s.log.Info().Int("requests", swept.Ended).Msg("deadlines passed: requests ended as expired")
		s.Wake() // perhaps there are more
	}
	return true, nil
}

// fit has the three steps of a round fit into the time that they have together.
func (w *sweep) fit(took, share time.Duration) {
	switch {
	case took > share/3:
		w.atMost = max(w.atMost/2, expireLeast)
	case took < share/6:
		w.atMost = min(w.atMost*2, expireMost)
	}
}
