package worker

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"tidegate/jobs"
)

const (
	// keepEvery is how often the slow duties of a supervisor are done.
	keepEvery = time.Minute
	// dutyShare is the part of the lease that one duty may take, and after which
	// the lead is renewed before the next one: neither duties that are slow
	// together nor one alone lets it lapse.
	dutyShare = 4
)

// A supervisor is the one worker that acts for the whole fleet: it gives the jobs
// of the dead to others, pauses the queues of routes that hold and resumes them,
// admits what waits for its turn, and ends requests whose deadline passed. Every worker has one; only that which
// has the lease acts, and each action looks once more whether it still has.
//
//	lead ──> read the fleet ──> bury ──> pauses ──> unpark ──> budgets ──> admit ──> expire ──> sample ──> keep
//	  a duty that is slow is cut off, and does the rest in the next rounds:
//	  none keeps the others waiting for longer than its share of the lease
type supervisor struct {
	name   string
	fleet  Fleet
	queues queues
	told   func() // something was changed that the others should see
	timing Timing
	watch  Watch
	limits jobs.RescueLimits
	log    zerolog.Logger
	now    func() time.Time
	wake   chan struct{}

	enqueued chan struct{}                                         // something was, where nothing waited
	weight   func(tenant string) float64                           // its share beside others
	asks     func(route string, backlog int) (bool, time.Duration) // see Config.Starts
	held     jobs.Lead                                             // the last one
	leading  atomic.Pointer[jobs.Lead]                             // the one that it has; nil: none. For others
	leads    bool
	renewed  time.Time
	deaths   deaths
	orphans  orphans
	holding  map[string]time.Time // by route: since when it holds
	words    map[string]word      // by target: what a person said lately
	raised   map[int32]raise      // by budget: what changed lately
	kept     time.Time
	expired  expired
	noted    noted

	admission admission
	sampledAt time.Time // the last sample
}

// queues is River's part of a pause.
type queues interface {
	Pause(ctx context.Context, tx pgx.Tx, route string) error
	Resume(ctx context.Context, tx pgx.Tx, route string) error
}

func newSupervisor(config *Config, queues queues, told func()) *supervisor {
	return &supervisor{
		name: config.Name, fleet: config.Fleet, queues: queues, told: told, timing: config.Timing, watch: config.Watch, limits: config.Rescue,
		log: config.Log, now: config.Now, wake: make(chan struct{}, 1), holding: map[string]time.Time{}, words: map[string]word{}, raised: map[int32]raise{},
		enqueued: make(chan struct{}, 1), weight: config.Weight, asks: config.Starts,
	}
}

// Wake has a round done at once. It never blocks.
func (s *supervisor) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run supervises until ctx ends, and gives up the lead then.
func (s *supervisor) Run(ctx context.Context) {
	ticker := time.NewTicker(s.timing.Read)
	defer ticker.Stop()
	well := true
	for {
		act := s.round
		select {
		case <-ticker.C:
		case <-s.wake:
		case <-s.enqueued:
			act = s.admitNow
		case <-ctx.Done():
			s.resign(context.WithoutCancel(ctx))
			return
		}
		err := act(ctx)
		if err != nil && ctx.Err() == nil && well {
			s.log.Warn().Err(err).Msg("the supervisor could not do its round; it is repeated")
		}
		well = err == nil
	}
}

// round is all that a supervisor does, if this worker is the one.
func (s *supervisor) round(ctx context.Context) error {
	if err := s.lead(ctx); err != nil || !s.leads {
		return err
	}
	var fleet jobs.Fleet
	err := s.briefly(ctx, func(ctx context.Context) (err error) {
		fleet, err = s.fleet.Peers.Fleet(ctx)
		return err
	})
	if err != nil {
		return err
	}
	var failed error
	for _, duty := range []func(context.Context, *jobs.Fleet) error{s.bury, s.note, s.pauses, s.unpark, s.budgets, s.admit, s.expire, s.sample, s.keep} {
		if err := s.renew(ctx); err != nil || !s.leads {
			return errors.Join(failed, err)
		}
		err := duty(ctx, &fleet)
		if errors.Is(err, jobs.ErrDeposed) {
			s.leads = false
			return failed
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// briefly has something done in no more than its share of the lease.
func (s *supervisor) briefly(ctx context.Context, do func(context.Context) error) error {
	try, cancel := context.WithTimeout(ctx, s.timing.Lease/dutyShare)
	defer cancel()
	return do(try)
}

// renew renews the lead if a part of it has gone by.
func (s *supervisor) renew(ctx context.Context) error {
	if s.now().Sub(s.renewed) < s.timing.Lease/dutyShare {
		return nil
	}
	return s.lead(ctx)
}

// lead takes the lead, or renews it. A supervisor counts from its own first round,
// and forgets what it saw before another one led: an epoch that is still the same
// says that nobody did, also when the lease had lapsed.
func (s *supervisor) lead(ctx context.Context) error {
	try, cancel := context.WithTimeout(ctx, s.timing.Lease/2)
	defer cancel()
	asked := s.now()
	held, leads, err := s.fleet.Lead.Lead(try, s.name, s.timing.Lease)
	if err != nil {
		return err
	}
	if s.leads = leads; !leads {
		s.leading.Store(nil)
		return nil
	}
	s.leading.Store(&held)
	if s.renewed = asked; held != s.held {
		s.log.Info().Str("worker", s.name).Int64("epoch", held.Epoch).Msg("this worker supervises the fleet")
		s.held, s.kept, s.deaths, s.orphans, s.expired = held, time.Time{}, deaths{}, orphans{}, expired{}
		s.noted = noted{}
		s.admission, s.sampledAt = admission{}, time.Time{}
		clear(s.holding)
		clear(s.words)
		clear(s.raised)
	}
	return nil
}

// Leads is the lead that this worker has, as far as it knows. Safe for concurrent use.
func (s *supervisor) Leads() (jobs.Lead, bool) {
	if held := s.leading.Load(); held != nil {
		return *held, true
	}
	return jobs.Lead{}, false
}

func (s *supervisor) resign(ctx context.Context) {
	s.leading.Store(nil)
	if !s.leads {
		return
	}
	try, cancel := context.WithTimeout(ctx, retryMax)
	defer cancel()
	if err := s.fleet.Lead.Resign(try, s.held); err != nil {
		s.log.Debug().Err(err).Msg("the lead was not given back; it expires")
	}
}

// pauses pauses the queues of routes that have held for a while, keeps the reasons
// of those pauses right, and resumes what flows again.
func (s *supervisor) pauses(ctx context.Context, fleet *jobs.Fleet) error {
	return s.briefly(ctx, func(ctx context.Context) error { return s.pauseAndResume(ctx, fleet) })
}

func (s *supervisor) pauseAndResume(ctx context.Context, fleet *jobs.Fleet) error {
	paused := map[string]*jobs.Pause{} // by their circuits
	for i, p := range fleet.Pauses {
		if p.Owner == jobs.OwnerCircuit {
			paused[p.Route] = &fleet.Pauses[i]
		}
	}
	var failed error
	for route, chain := range fleet.Chains {
		hold := jobs.Hold(chain, fleet.Circuits, s.now())
		switch {
		case hold.Holds && paused[route] == nil && s.heldFor(route) >= s.timing.Hold:
			failed = errors.Join(failed, s.pause(ctx, route, hold.Reason))
		case hold.Holds && paused[route] != nil && paused[route].Reason != hold.Reason:
			failed = errors.Join(failed, s.explain(ctx, route, hold.Reason))
		case !hold.Holds && paused[route] != nil:
			failed = errors.Join(failed, s.resume(ctx, route))
		}
		if !hold.Holds {
			delete(s.holding, route)
		}
	}
	for route := range paused { // it was retired meanwhile
		if _, known := fleet.Chains[route]; !known {
			failed = errors.Join(failed, s.resume(ctx, route))
		}
	}
	return failed
}

// heldFor is for how long this supervisor has seen a route hold.
func (s *supervisor) heldFor(route string) time.Duration {
	since, known := s.holding[route]
	if !known {
		since = s.now()
		s.holding[route] = since
	}
	return s.now().Sub(since)
}

func (s *supervisor) pause(ctx context.Context, route, reason string) error {
	changed, err := s.fleet.Care.Pause(ctx, s.held, route, reason, func(ctx context.Context, tx pgx.Tx) error { return s.queues.Pause(ctx, tx, route) })
	if err != nil {
		return err
	}
	s.log.Warn().Str("route", route).Str("reason", reason).Bool("was_paused_already", !changed).Msg("route paused: no target of its chain may be called")
	s.told()
	return nil
}

func (s *supervisor) explain(ctx context.Context, route, reason string) error {
	if err := s.fleet.Care.Explain(ctx, s.held, route, reason); err != nil {
		return err
	}
	s.log.Info().Str("route", route).Str("reason", reason).Msg("route stays paused, for another reason")
	return nil
}

func (s *supervisor) resume(ctx context.Context, route string) error {
	changed, err := s.fleet.Care.Resume(ctx, s.held, route, func(ctx context.Context, tx pgx.Tx) error { return s.queues.Resume(ctx, tx, route) })
	if err != nil {
		return err
	}
	s.log.Warn().Str("route", route).Bool("stays_paused_by_a_person", !changed).Msg("route resumed: a target of its chain may be called")
	s.told()
	return nil
}

// keep writes down what targets are known to take, and forgets the dead of
// yesterday.
func (s *supervisor) keep(ctx context.Context, fleet *jobs.Fleet) error {
	return s.briefly(ctx, func(ctx context.Context) error { return s.saveAndForget(ctx, fleet) })
}

func (s *supervisor) saveAndForget(ctx context.Context, fleet *jobs.Fleet) error {
	due := s.now().Sub(s.kept) >= keepEvery
	for target, rate := range ratesOf(fleet) {
		if !due && float64(float32(rate)) <= fleet.LastGood[target] { // it is kept in so many digits
			continue
		}
		if err := s.fleet.Books.SavePace(ctx, s.held, target, rate); err != nil {
			return err
		}
	}
	if !due {
		return nil
	}
	s.kept = s.now()
	if err := s.thin(ctx); err != nil {
		return err
	}
	return s.fleet.Books.Forget(ctx, s.held)
}

// ratesOf is, for each target, the rate in calls a second that the whole fleet
// had accepted lately, or that the provider announces.
func ratesOf(fleet *jobs.Fleet) map[string]float64 {
	rates, announced := map[string]float64{}, map[string]float64{}
	for i := range fleet.Peers {
		if fleet.Peers[i].Dead {
			continue
		}
		for target, rate := range fleet.Peers[i].Accepted {
			rates[target] += rate
		}
		for target, rate := range fleet.Peers[i].Announced {
			announced[target] = max(announced[target], rate)
		}
	}
	for target, rate := range announced {
		rates[target] = max(rates[target], rate)
	}
	return rates
}
