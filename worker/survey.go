package worker

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tidegate/jobs"
)

const (
	// savedEvery is after how many looks what is known is written down, and what waits
	// counted anew.
	savedEvery = 2
	// strataShare is how many times as long as a count took there is none after it: with a
	// million jobs, what it costs is still less than a hundredth of one connection.
	strataShare = 150
	// missed is after how many looks that were not made nobody knows what ended when.
	missed = 4
)

// ended counts the requests that ended in this worker's hands, by route. Safe for
// concurrent use.
type ended struct {
	mu  sync.Mutex
	all map[string]int
}

// Add counts one, if it was worked on: what expires or is cancelled says nothing of how
// fast the others are done.
func (e *ended) Add(route string, state jobs.State) {
	if state != jobs.StateAnswered && state != jobs.StateRefused {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.all == nil {
		e.all = map[string]int{}
	}
	e.all[route]++
}

// All is a copy.
func (e *ended) All() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.all)
}

// A surveyor sees how fast the requests of each route are done, and what waits, while its
// worker supervises the fleet. Forecasts are made of that, wherever somebody asks.
//
//	every 5 s: what ended ÷ the time, where there was work and no gate held
//	every 10 s, or what is left of a hundredth of the time: count, write down
//	at once (every 10 s) on a route with work, of which the last count found none
type surveyor struct {
	leads  func() (jobs.Lead, bool)
	peers  Peers
	survey Survey
	every  time.Duration // between two looks
	log    zerolog.Logger
	now    func() time.Time

	held    jobs.Lead
	routes  map[string]*jobs.Progress
	before  map[string]map[string]int // by worker and route: what had ended
	news    map[string]bool           // routes with work where the last count found none
	lookAt  time.Time                 // the last one
	countAt time.Time                 // the next one
	saveAt  time.Time
}

func newSurveyor(config *Config, leads func() (jobs.Lead, bool)) *surveyor {
	return &surveyor{leads: leads, peers: config.Fleet.Peers, survey: config.Fleet.Survey, every: config.Timing.Look, log: config.Log, now: config.Now}
}

// Run surveys until ctx ends.
func (s *surveyor) Run(ctx context.Context) {
	if s.survey == nil {
		return
	}
	ticker := time.NewTicker(s.every)
	defer ticker.Stop()
	well := true
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		err := s.round(ctx)
		if err != nil && ctx.Err() == nil && !errors.Is(err, jobs.ErrDeposed) && well {
			s.log.Warn().Err(err).Msg("nobody sees how fast the routes are; it is repeated, and forecasts are older meanwhile")
		}
		well = err == nil
	}
}

// round is one look, by who leads.
func (s *surveyor) round(ctx context.Context) error {
	held, leads := s.leads()
	if !leads {
		s.held = jobs.Lead{}
		return nil
	}
	if held != s.held {
		if err := s.begin(ctx, held); err != nil {
			return err
		}
	}
	if err := s.look(ctx); err != nil || s.now().Before(s.saveAt) {
		return err
	}
	return s.save(ctx)
}

// begin goes on with what another one saw.
func (s *surveyor) begin(ctx context.Context, held jobs.Lead) error {
	all, err := s.survey.Progress(ctx)
	if err != nil {
		return err
	}
	s.routes, s.before = map[string]*jobs.Progress{}, map[string]map[string]int{}
	for i := range all {
		s.routes[all[i].Route] = &all[i]
	}
	s.held, s.lookAt, s.countAt, s.saveAt = held, time.Time{}, time.Time{}, time.Time{}
	return nil
}

// look sees what ended since the last one.
func (s *surveyor) look(ctx context.Context) error {
	fleet, err := s.peers.Fleet(ctx)
	if err != nil {
		return err
	}
	looks, err := s.survey.Looks(ctx)
	if err != nil {
		return err
	}
	now := s.now()
	passed := now.Sub(s.lookAt)
	known := !s.lookAt.IsZero() && passed < missed*s.every
	ended := s.since(&fleet, known)
	s.lookAt = now
	there := make(map[string]bool, len(looks))
	s.news = map[string]bool{}
	for i := range looks {
		look := &looks[i]
		there[look.Route] = true
		p := s.routes[look.Route]
		if p == nil {
			p = &jobs.Progress{Route: look.Route}
			s.routes[look.Route] = p
		}
		p.At, p.Served, p.InHand = look.At, look.Served, look.InHand
		s.news[look.Route] = look.Waits && p.Waiting() == 0
		if known {
			p.Speed.See(look.At, passed, ended[look.Route], working(look, ended[look.Route], passed, jobs.Hold(fleet.Chains[look.Route], fleet.Circuits, now).Holds))
		}
	}
	maps.DeleteFunc(s.routes, func(route string, _ *jobs.Progress) bool { return !there[route] })
	return nil
}

// working says what a route did. What is in hand and not being called is on its way to or
// from a call for a moment; what is more waits there.
func working(look *jobs.RouteLook, ended int, passed time.Duration, holds bool) jobs.Working {
	onItsWay := 2 + float64(ended)/passed.Seconds()/5
	switch {
	case holds || look.Paused:
		return jobs.Stalled
	case look.Waits || float64(look.InHand-look.Calling) > onItsWay:
		return jobs.Busy
	default:
		return jobs.Idle
	}
}

// since is what ended by route since the last look. What a worker has done of which
// nobody knew then counts, if it is new: it began with nothing.
func (s *surveyor) since(fleet *jobs.Fleet, known bool) map[string]int {
	sums := map[string]int{}
	seen := make(map[string]map[string]int, len(fleet.Peers))
	for i := range fleet.Peers {
		peer := &fleet.Peers[i]
		before := s.before[peer.Worker]
		seen[peer.Worker] = peer.Ended
		for route, n := range peer.Ended {
			if known {
				sums[route] += max(0, n-before[route])
			}
		}
	}
	s.before = seen
	return sums
}

// save counts what waits, if it is time, and writes all of it down. However long the last
// count took, one that found nothing where there is work now is repeated: it costs little
// to count a route where there was nothing.
func (s *surveyor) save(ctx context.Context) error {
	var due, all []jobs.Progress
	every := !s.now().Before(s.countAt)
	for route, p := range s.routes {
		if every || s.news[route] {
			due = append(due, *p)
		} else {
			all = append(all, *p)
		}
	}
	if err := s.count(ctx, due); err != nil {
		return err
	}
	s.saveAt = s.now().Add(savedEvery*s.every - s.every/2)
	return s.survey.SaveProgress(ctx, s.held, append(all, due...))
}

// count counts what waits on some routes, and says when all are to be counted again.
func (s *surveyor) count(ctx context.Context, some []jobs.Progress) error {
	if len(some) == 0 {
		return nil
	}
	began := s.now()
	err := s.survey.CountQueues(ctx, some)
	took := s.now().Sub(began)
	if next := began.Add(max(savedEvery*s.every-s.every/2, strataShare*took)); next.After(s.countAt) {
		s.countAt = next
	}
	if err != nil {
		return err
	}
	for i := range some {
		*s.routes[some[i].Route] = some[i]
	}
	return nil
}
