package worker

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"tidegate/jobs"
)

// A realm is the part of a database that supervisors need, on a fake clock.
type realm struct {
	mu      sync.Mutex
	holder  string
	epoch   int64
	expires time.Time
	peers   []jobs.Peer
	paces   map[string]float64
	saved   int
	buried  map[string]time.Time
	expire  func(ctx context.Context, sweep jobs.Sweep) (jobs.Swept, error)
}

func (r *realm) Lead(_ context.Context, worker string, lasts time.Duration) (jobs.Lead, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.holder != worker {
		if time.Now().Before(r.expires) {
			return jobs.Lead{}, false, nil
		}
		r.holder, r.epoch = worker, r.epoch+1
	}
	r.expires = time.Now().Add(lasts)
	return jobs.Lead{Worker: worker, Epoch: r.epoch}, true, nil
}

func (r *realm) Resign(context.Context, jobs.Lead) error { return nil }

func (r *realm) Rescue(_ context.Context, _ jobs.Lead, worker string, _ jobs.RescueLimits) (jobs.Rescue, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buried[worker] = time.Now()
	r.peers = slices.DeleteFunc(r.peers, func(p jobs.Peer) bool { return p.Worker == worker })
	return jobs.Rescue{}, nil
}

func (r *realm) Orphans(context.Context) ([]string, error) { return nil, nil }

func (r *realm) Unpark(context.Context, jobs.Lead, string, int) (int, error) { return 0, nil }

func (r *realm) Beat(context.Context, jobs.Beat) (bool, error) { return false, nil }

func (r *realm) Fleet(context.Context) (jobs.Fleet, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return jobs.Fleet{Peers: slices.Clone(r.peers), LastGood: r.paces}, nil
}

func (r *realm) ShareCircuits(context.Context, string, []jobs.Circuit) error { return nil }
func (r *realm) Leave(context.Context, string) error                         { return nil }

func (r *realm) Pause(context.Context, jobs.Lead, string, string, func(context.Context, pgx.Tx) error) (bool, error) {
	return false, nil
}

func (r *realm) Explain(context.Context, jobs.Lead, string, string) error { return nil }

func (r *realm) Resume(context.Context, jobs.Lead, string, func(context.Context, pgx.Tx) error) (bool, error) {
	return false, nil
}

func (r *realm) Expire(ctx context.Context, _ jobs.Lead, sweep jobs.Sweep) (jobs.Swept, error) {
	r.mu.Lock()
	expire := r.expire
	r.mu.Unlock()
	return expire(ctx, sweep)
}

// looks says how a look for deadlines goes.
func (r *realm) looks(look func(ctx context.Context, sweep jobs.Sweep) (jobs.Swept, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire = look
}

func (r *realm) SavePace(_ context.Context, _ jobs.Lead, target string, rate float64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.saved++
	r.paces = map[string]float64{target: float64(float32(rate))} // as a column of type real keeps it
	return nil
}

func (r *realm) Forget(context.Context, jobs.Lead) error { return nil }

// inRealm runs a test on a fake clock with supervisors of the default timing,
// beside a worker that beats no more.
func inRealm(t *testing.T, supervisors int, test func(t *testing.T, r *realm)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &realm{buried: map[string]time.Time{}, peers: []jobs.Peer{{Beat: jobs.Beat{Worker: "ghost"}, Beats: 3}}}
		r.expire = func(context.Context, jobs.Sweep) (jobs.Swept, error) { return jobs.Swept{}, nil }
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		for i := range supervisors {
			s := newSupervisor(&Config{
				Name: string(rune('A' + i)), Fleet: Fleet{Peers: r, Lead: r, Care: r, Books: r},
				Timing: Timing{}.withDefaults(), Log: zerolog.Nop(), Now: time.Now,
			}, nil, func() {})
			run.Go(func() { s.Run(ctx) })
		}
		test(t, r)
		cancel()
		run.Wait()
	})
}

// slow is a look for deadlines that Postgres does not get done.
func slow(ctx context.Context, _ jobs.Sweep) (jobs.Swept, error) {
	<-ctx.Done()
	return jobs.Swept{}, ctx.Err()
}

// A look for deadlines that never ends neither costs the lead nor keeps the dead
// from being buried in time.
func TestSlowDutyHoldsUpNoOther(t *testing.T) {
	inRealm(t, 2, func(t *testing.T, r *realm) {
		r.looks(slow)
		began := time.Now()
		pass(time.Minute)
		r.mu.Lock()
		defer r.mu.Unlock()
		if after := r.buried["ghost"].Sub(began); after < 10*time.Second || after > 14*time.Second {
			t.Errorf("buried after %s", after)
		}
		if r.epoch != 1 {
			t.Errorf("the lead changed hands: epoch %d", r.epoch)
		}
	})
}

// A supervisor whose lease lapses goes on counting if nobody else led meanwhile.
func TestLapsedLeaseForgetsNothing(t *testing.T) {
	inRealm(t, 1, func(t *testing.T, r *realm) {
		began := time.Now()
		for range 5 {
			pass(3 * time.Second)
			r.mu.Lock()
			r.expires = time.Time{}
			r.mu.Unlock()
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if after := r.buried["ghost"].Sub(began); after < 10*time.Second || after > 13*time.Second {
			t.Errorf("buried after %s", after)
		}
	})
}

// A rate is kept in fewer digits than it is measured in.
func TestPaceIsSavedOnce(t *testing.T) {
	inRealm(t, 1, func(t *testing.T, r *realm) {
		r.mu.Lock()
		r.peers = []jobs.Peer{{Beat: jobs.Beat{Worker: "A", Accepted: map[string]float64{"cheap": 1.3}}}}
		r.mu.Unlock()
		pass(30 * time.Second)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.saved > 2 {
			t.Errorf("it was saved %d times in half a minute", r.saved)
		}
	})
}
