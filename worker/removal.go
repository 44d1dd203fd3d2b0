package worker

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"tidegate/jobs"
)

const (
	// A step of removal looks at so many rows: half as many after one that was slow, and
	// twice as many after one that was quick.
	removeLeast, removeFirst, removeMost = 20, 500, 2000
	slowStep, quickStep                  = 100 * time.Millisecond, 50 * time.Millisecond
	// removeRest is how long it rests between two steps at least: it takes no more than
	// half of the time that one connection has.
	removeRest = 50 * time.Millisecond
	// firstSweep is how soon a worker sweeps that leads: one that is stopped every evening
	// does so, too.
	firstSweep = time.Minute
	// tellEvery is how often it says how far it is.
	tellEvery = 10 * time.Second
	// mostTries is how often a step is tried that somebody is in the way of, with a rest
	// between; then it is left to the next sweep.
	mostTries = 5
	triesRest = time.Second
)

// A remover removes what has ended and was kept long enough, while its worker supervises
// the fleet: a little at a time, so that nobody waits for it.
//
//	sweep ── batches that ended long ago ── single requests ── days of attempts
//	  each in steps of 50 to 100 ms, with a rest as long between them
type remover struct {
	leads   func() (jobs.Lead, bool)
	removal Removal
	keep    jobs.Retention
	timing  Timing
	log     zerolog.Logger
	now     func() time.Time
}

func newRemover(config *Config, leads func() (jobs.Lead, bool)) *remover {
	return &remover{leads: leads, removal: config.Fleet.Removal, keep: config.Retention, timing: config.Timing, log: config.Log, now: config.Now}
}

// Run sweeps until ctx ends: for the first time soon after this worker leads.
func (r *remover) Run(ctx context.Context) {
	if r.removal == nil {
		return
	}
	ticker := time.NewTicker(min(r.timing.Sweep, firstSweep))
	defer ticker.Stop()
	var swept time.Time
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		held, leads := r.leads()
		if !leads || r.now().Sub(swept) < r.timing.Sweep {
			continue
		}
		err := r.sweep(ctx, held)
		swept = r.now()
		if err != nil && ctx.Err() == nil && !errors.Is(err, jobs.ErrDeposed) {
			r.log.Warn().Err(err).Msg("what was kept long enough was not all removed; it is gone on with in the next sweep")
		}
	}
}

func (r *remover) sweep(ctx context.Context, held jobs.Lead) error {
	requests := removing{remover: r, held: held, kept: jobs.Kept{What: jobs.KeptRequests, Keep: r.keep.Requests}}
	attempts := removing{remover: r, held: held, kept: jobs.Kept{What: jobs.KeptAttempts, Keep: r.keep.Attempts}}
	return errors.Join(
		requests.run(ctx, r.removal.RemoveBatches, r.removal.RemoveSingles),
		attempts.run(ctx, r.removal.RemoveAttempts),
	)
}

// A removeStep is one step of removal.
type removeStep func(context.Context, jobs.Lead, jobs.RemovalStep) (jobs.Removed, error)

// A removing is one sweep of one kind of thing.
type removing struct {
	*remover
	held   jobs.Lead
	kept   jobs.Kept // as it is to be written down next
	began  time.Time
	told   time.Time
	sum    jobs.Removed
	atMost int
}

func (p *removing) run(ctx context.Context, all ...removeStep) error {
	p.began, p.atMost = p.now(), removeFirst
	p.told = p.began
	for _, one := range all {
		if p.kept.Keep == 0 {
			break
		}
		if err := p.steps(ctx, one); err != nil {
			return errors.Join(err, p.tell(context.WithoutCancel(ctx), nil))
		}
	}
	p.report()
	p.kept.At = time.Time{}
	if p.kept.Held != "" {
		return p.tell(ctx, nil)
	}
	took := p.now().Sub(p.began)
	return p.tell(ctx, &took)
}

// steps does one thing until there is no more of it, or somebody stays in the way.
func (p *removing) steps(ctx context.Context, do removeStep) error {
	var place jobs.RemovalPlace
	for tries := 0; ; {
		done, took, err := p.step(ctx, do, place)
		if err != nil {
			return err
		}
		if tries++; !done.InTheWay {
			tries = 0
		}
		if done.Held != "" && (tries == 0 || tries == mostTries) {
			p.kept.Held = done.Held
		}
		rest := max(took, removeRest)
		if tries > 0 {
			rest = triesRest
		}
		if err := sleepUntil(ctx, rest); err != nil {
			return err
		}
		if place = done.Place; !done.More || tries == mostTries {
			return nil
		}
		if p.now().Sub(p.told) >= tellEvery {
			if err := p.tell(ctx, nil); err != nil {
				return err
			}
		}
	}
}

// step does one step. One that takes too long is no failure: the next one is smaller.
func (p *removing) step(ctx context.Context, do removeStep, behind jobs.RemovalPlace) (done jobs.Removed, took time.Duration, err error) {
	try, cancel := context.WithTimeout(ctx, p.timing.Lease/dutyShare)
	defer cancel()
	began, asked := p.now(), p.atMost
	done, err = do(try, p.held, jobs.RemovalStep{Keep: p.kept.Keep, Behind: behind, AtMost: asked})
	took = p.now().Sub(began)
	switch {
	case took > slowStep:
		p.atMost = max(p.atMost/2, removeLeast)
	case took < quickStep:
		p.atMost = min(p.atMost*2, removeMost)
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && asked > removeLeast {
		return jobs.Removed{Place: behind, More: true}, took, nil
	}
	p.sum.Requests, p.sum.Batches, p.sum.Days = p.sum.Requests+done.Requests, p.sum.Batches+done.Batches, p.sum.Days+done.Days
	p.kept.Removed += done.Requests + done.Days
	p.kept.At = done.At
	return done, took, err
}

// tell writes down how far it is; whole is how long it took to see to everything.
func (p *removing) tell(ctx context.Context, whole *time.Duration) error {
	try, cancel := context.WithTimeout(ctx, p.timing.Lease/dutyShare)
	defer cancel()
	if err := p.removal.SaveKept(try, p.held, p.kept, whole); err != nil {
		return err
	}
	p.kept.Removed, p.told = 0, p.now()
	return nil
}

// report says in the log what became of a sweep, if anything did.
func (p *removing) report() {
	took := p.now().Sub(p.began)
	switch {
	case p.sum.Days > 0:
		p.log.Info().Int("days", p.sum.Days).Dur("took_ms", took).Msg("days of attempts were removed that were kept long enough")
	case p.sum.Requests+p.sum.Batches > 0:
		p.log.Info().Int("requests", p.sum.Requests).Int("batches", p.sum.Batches).Dur("took_ms", took).Msg("requests were removed that had ended and were kept long enough")
	}
	if p.kept.Held != "" {
		p.log.Warn().Str("what", p.kept.What).Str("why", p.kept.Held).Msg("something stays that was kept long enough")
	}
}
