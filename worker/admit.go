package worker

import (
	"context"
	"errors"
	"time"

	"tidegate/jobs"
)

const (
	// So many are admitted in one transaction: half as many after one that was slow,
	// and twice as many after one that was quick.
	admitLeast, admitMost = 50, 500
	// admitAgain is how soon there is another look after one that admitted all that
	// waited, since producers say no more than now and then that something does; and
	// after one whose workers took all that they were given.
	admitAgain = 200 * time.Millisecond
	// admitApart is how far apart two looks are that producers ask for.
	admitApart = 20 * time.Millisecond
	// leftEvery is how often a supervisor looks for what waits where no route has
	// fair admission: it had, or a producer does not know better yet.
	leftEvery = 5 * time.Second
	// countedEvery is how often it counts what waits on a route for those who ask.
	countedEvery = 10 * time.Second
	// countedMost bounds that count.
	countedMost = 200_000
)

// An admission is what a supervisor knows of the routes on which requests wait to
// be admitted.
type admission struct {
	flows map[string]*flow
	fleet *jobs.Fleet // as it was read last
	read  time.Time
	at    time.Time // the last look
	most  int       // in one transaction; zero: admitMost
	count time.Time // the last one that counted what waits
}

// Admit has the supervisor look soon at what waits to be admitted. It never blocks.
func (s *supervisor) Admit() {
	select {
	case s.enqueued <- struct{}{}:
	default:
	}
}

// admitNow is a look between two rounds. One that has seen no fleet yet, or not of
// late, leaves it to the next round.
func (s *supervisor) admitNow(ctx context.Context) error {
	a := &s.admission
	now := s.now()
	if !s.leads || a.fleet == nil || now.Sub(a.read) > 2*s.timing.Read {
		return nil
	}
	if wait := admitApart - now.Sub(a.at); wait > 0 {
		time.AfterFunc(wait, s.Admit)
		return nil
	}
	if err := s.renew(ctx); err != nil || !s.leads {
		return err
	}
	return s.admitBriefly(ctx, a.fleet)
}

// admit makes available what may start now, on routes with fair admission; on
// others, all that waits.
func (s *supervisor) admit(ctx context.Context, fleet *jobs.Fleet) error {
	if s.fleet.Admission == nil {
		return nil
	}
	a := &s.admission
	a.fleet, a.read = fleet, s.now()
	if len(fleet.Fair) == 0 && s.now().Sub(a.at) < leftEvery {
		return nil
	}
	return s.admitBriefly(ctx, fleet)
}

// admitBriefly is a look. One that takes too long is no failure: the next one does
// less at once.
func (s *supervisor) admitBriefly(ctx context.Context, fleet *jobs.Fleet) error {
	err := s.briefly(ctx, func(ctx context.Context) error { return s.admitAll(ctx, fleet) })
	a := &s.admission
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) && a.atOnce() > admitLeast {
		a.most = max(a.most/2, admitLeast)
		s.Admit()
		return nil
	}
	return err
}

// atOnce is how many are admitted in one transaction.
func (a *admission) atOnce() int {
	if a.most == 0 {
		a.most = admitMost
	}
	return a.most
}

func (s *supervisor) admitAll(ctx context.Context, fleet *jobs.Fleet) error {
	a := &s.admission
	a.at = s.now()
	count := 0
	if s.asks != nil && a.at.Sub(a.count) >= countedEvery {
		a.count, count = a.at, countedMost
	}
	waiting, err := s.fleet.Admission.Backlogs(ctx, count)
	if err != nil {
		return err
	}
	before := a.flows
	a.flows = make(map[string]*flow, len(waiting))
	for _, b := range waiting {
		if !fleet.Fair[b.Route] {
			if err := s.admitRest(ctx, b.Route); err != nil {
				return err
			}
			continue
		}
		f := before[b.Route]
		if f == nil {
			f = &flow{}
		}
		if a.flows[b.Route] = f; count > 0 {
			f.waiting = b.Waiting
		}
		if err := s.admitRoute(ctx, fleet, b, f); err != nil {
			return err
		}
	}
	return nil
}

// admitRest admits all that waits on a route without fair admission.
func (s *supervisor) admitRest(ctx context.Context, route string) error {
	for all := 0; ; {
		atOnce := s.admission.atOnce()
		n, err := s.fleet.Admission.AdmitAll(ctx, s.held, route, atOnce)
		all += n
		ends := n < atOnce || err != nil
		if !ends && s.late() {
			s.Admit()
			ends = true
		}
		if ends {
			if all > 0 {
				s.log.Info().Str("route", route).Int("jobs", all).Msg("the route has no fair admission: jobs that waited are available")
			}
			return err
		}
	}
}

// admitRoute admits what may start now and what workers will need soon.
func (s *supervisor) admitRoute(ctx context.Context, fleet *jobs.Fleet, b jobs.Backlog, f *flow) error {
	room := f.room(s.now(), b, floorEach*living(fleet))
	near, starts := s.starts(fleet, b.Route)
	if !starts {
		f.dry = false
		return nil
	}
	left, more := room, true
	for left > 0 && more {
		if s.late() { // the rest in the next look, which others go before
			s.Admit()
			break
		}
		n, some, err := s.admitSome(ctx, jobs.Intake{Route: b.Route, AtMost: min(left, s.admission.atOnce()), Near: near, Behind: f.after}, f)
		if err != nil {
			return err
		}
		left, more = left-n, some
		f.given += n
	}
	f.dry = more
	if left < room && (!more || f.grown > int(f.rate*admitAhead.Seconds())) {
		time.AfterFunc(admitAgain, s.Admit)
	}
	return nil
}

// late tells whether a look has used up half of the time that a duty may take.
func (s *supervisor) late() bool {
	return s.now().Sub(s.admission.at) > s.timing.Lease/dutyShare/2
}

// admitSome is one step, and tells whether there may be another one.
func (s *supervisor) admitSome(ctx context.Context, in jobs.Intake, f *flow) (n int, more bool, err error) {
	asked := s.now()
	n, last, err := s.fleet.Admission.Admit(ctx, s.held, in, func(heads jobs.Heads) jobs.Admitted {
		return fairly(heads, in.AtMost, s.weight)
	})
	if err != nil {
		return n, false, err
	}
	if a := &s.admission; n == a.most && s.now().Sub(asked) < s.timing.Lease/dutyShare/6 {
		a.most = min(2*a.most, admitMost)
	}
	f.after = last
	return n, n > 0 || last != "", nil
}

// starts tells whether requests of a route may start now, and, if not all of them,
// how near their deadlines must be. A person's pause, and that of circuits, are for
// all of them.
func (s *supervisor) starts(fleet *jobs.Fleet, route string) (near time.Duration, yes bool) {
	for _, pause := range fleet.Pauses {
		if pause.Route == route {
			return 0, false
		}
	}
	if jobs.Hold(fleet.Chains[route], fleet.Circuits, s.now()).Holds {
		return 0, false
	}
	if s.asks == nil {
		return 0, true
	}
	all, lead := s.asks(route, s.admission.flows[route].waiting)
	if all {
		return 0, true
	}
	return lead, lead > 0
}

// living counts the workers of a fleet.
func living(fleet *jobs.Fleet) (n int) {
	for i := range fleet.Peers {
		if !fleet.Peers[i].Dead {
			n++
		}
	}
	return max(n, 1)
}
