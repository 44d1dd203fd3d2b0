package worker

import (
	"context"
	"time"

	"tidegate/jobs"
)

// deaths is what a supervisor has seen of the beats of others: for how long each
// stood still. Only time counts in which the supervisor itself reached Postgres,
// so that a restart of Postgres, which nobody can beat through, kills nobody.
type deaths struct {
	round time.Time // the last one
	still map[string]stillness
}

type stillness struct {
	beats int64
	since time.Duration // of rounds in which the beats stood still
}

const (
	// orphanBeats marks those who are no peers: they have no beats that could move.
	orphanBeats = -1
	// orphansEvery is how often a supervisor looks for them: it reads every job
	// that is in somebody's hands.
	orphansEvery = 5 * time.Second
)

// orphans are workers that the fleet does not know, and when they were looked
// for.
type orphans struct {
	at      time.Time
	workers []string
}

// see adds a round, and returns those whose beats stood still for as long as the
// dead's do.
func (d *deaths) see(now time.Time, period, dead time.Duration, beats map[string]int64) []string {
	passed := min(now.Sub(d.round), 2*period)
	if d.round.IsZero() {
		passed = 0
	}
	d.round = now
	still := make(map[string]stillness, len(beats))
	var gone []string
	for worker, n := range beats {
		s := stillness{beats: n}
		if before, known := d.still[worker]; known && before.beats == n {
			s.since = before.since + passed
		}
		still[worker] = s
		if s.since >= dead {
			gone = append(gone, worker)
		}
	}
	d.still = still
	return gone
}

// bury gives the jobs of the dead to others.
func (s *supervisor) bury(ctx context.Context, fleet *jobs.Fleet) error {
	if now := s.now(); now.Sub(s.orphans.at) >= orphansEvery {
		var found []string
		err := s.briefly(ctx, func(ctx context.Context) (err error) {
			found, err = s.fleet.Lead.Orphans(ctx)
			return err
		})
		if err != nil {
			return err
		}
		s.orphans = orphans{at: now, workers: found}
	}
	beats := make(map[string]int64, len(fleet.Peers))
	for _, worker := range s.orphans.workers {
		beats[worker] = orphanBeats
	}
	for i := range fleet.Peers {
		if peer := &fleet.Peers[i]; !peer.Dead && peer.Worker != s.name {
			beats[peer.Worker] = peer.Beats
		}
	}
	for _, worker := range s.deaths.see(s.now(), s.timing.Read, s.timing.Dead, beats) {
		if err := s.renew(ctx); err != nil || !s.leads {
			return err
		}
		if err := s.rescue(ctx, worker); err != nil {
			return err
		}
	}
	return nil
}

// rescue may take as long as the lease lasts, whatever is left of it: until its
// transaction ends nobody else takes the lead, and one that was cut off for its
// length would be as long the next time.
func (s *supervisor) rescue(ctx context.Context, worker string) error {
	try, cancel := context.WithTimeout(ctx, s.timing.Lease)
	defer cancel()
	done, err := s.fleet.Lead.Rescue(try, s.held, worker, s.limits)
	if err != nil {
		return err
	}
	s.watch.rescued(done)
	delete(s.deaths.still, worker)
	s.orphans.at = time.Time{}
	s.log.Warn().Str("dead", worker).Int("jobs", done.Returned).Int("calls_lost", done.Lost).
		Int("quarantined", done.Quarantined).Int("poisoned", done.Poisoned).Msg("a worker died: others have its jobs")
	s.told()
	return nil
}
