package worker_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/integration/fixture"
	"tidegate/worker"
)

// awayFromRiver gives River a pool of its own to a Postgres that is away until
// the test says otherwise, and tells how often it was tried.
func (s *site) awayFromRiver() (away *atomic.Bool, tried *atomic.Int64) {
	s.t.Helper()
	away, tried = new(atomic.Bool), new(atomic.Int64)
	away.Store(true)
	config := s.pool.Config()
	config.MaxConns = 8
	config.PrepareConn = func(context.Context, *pgx.Conn) (bool, error) {
		if away.Load() {
			tried.Add(1)
			return true, errors.New("Postgres is away")
		}
		return true, nil
	}
	pool, err := pgxpool.NewWithConfig(s.t.Context(), config)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(pool.Close)
	s.config.Pool = pool
	s.config.Log = s.config.Log.Level(100) // it complains
	return away, tried
}

// A Postgres that is away for longer than a few tries costs no worker.
func TestRiverStartsWhenPostgresIsBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	away, tried := s.awayFromRiver()
	s.enqueue(1)
	s.start()
	fixture.Await(t, soon, "it tries for long", func() bool { return tried.Load() > 6 })
	away.Store(false)
	s.awaitJobs(1, "completed", 1)
}

// A worker that is told to stop while it starts ends in order, and leaves.
func TestStopWhileItStarts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, tried := s.awayFromRiver()
	_, stop := s.start()
	fixture.Await(t, soon, "it tries", func() bool { return tried.Load() > 0 })
	stop() // any error fails the test
	if n := s.number("SELECT count(*) FROM tidegate.workers"); n != 0 {
		t.Errorf("%d workers are left", n)
	}
}

// So does one that is told so before its first word to the fleet was answered.
func TestStopBeforeItStarts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w, err := worker.New(s.config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Run(ctx); err != nil {
		t.Errorf("it says %v", err)
	}
	if n := s.number("SELECT count(*) FROM tidegate.workers"); n != 0 {
		t.Errorf("%d workers are left", n)
	}
}
