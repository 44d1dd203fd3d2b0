package worker_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/store"
)

// A cutter is a store whose connections are cut, really cut, at bad moments.
type cutter struct {
	*store.Store
	cut  func()
	left atomic.Int64 // how often it cuts
	when string
}

func (c *cutter) now(when string) bool { return c.when == when && c.left.Add(-1) >= 0 }

func (c *cutter) Load(ctx context.Context, ids []string) ([]jobs.Loaded, error) {
	if c.now("loading") {
		c.cut()
	}
	return c.Store.Load(ctx, ids)
}

func (c *cutter) Commit(ctx context.Context, entries []jobs.Entry) (jobs.Committed, []*jobs.EntryError, error) {
	if c.now("committing") {
		c.cut()
	}
	done, refused, err := c.Store.Commit(ctx, entries)
	if err == nil && c.now("acknowledging") {
		c.cut()
		return jobs.Committed{}, nil, errors.New("the connection was lost after the commit, before its answer")
	}
	return done, refused, err
}

// Every connection of the worker is cut, River's too, a few times: nothing is
// lost, no attempt is burned, no answer is bought twice.
func TestPostgresIsCutOff(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"loading", "committing", "acknowledging"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			const total = 60
			s := newSite(t)
			s.config.Log = s.config.Log.Level(100) // it is expected to complain
			s.config.Concurrency = 7               // so that there are many rounds
			c := &cutter{Store: store.New(s.config.Pool), when: when}
			c.left.Store(2)
			c.cut = func() {
				const workers = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'worker'"
				if _, err := s.pool.Exec(context.Background(), workers); err != nil {
					t.Errorf("cutting: %v", err)
				}
			}
			s.config.Store = c
			requests := s.enqueue(total)
			s.start()
			s.awaitJobs(total, "completed", 1)
			if n := s.script.called(); n != total {
				t.Errorf("%d calls for %d requests", n, total)
			}
			for _, r := range requests {
				if got := s.result(r.ID); got.State != jobs.StateAnswered {
					t.Errorf("%s ended as %+v", r.CustomID, got.Result)
				}
			}
			if n := s.number("SELECT count(*) FROM tidegate.outbox"); n != total {
				t.Errorf("%d events are owed for %d results", n, total)
			}
			if n, err := s.store.AttemptsBurned(t.Context()); n != 0 || err != nil {
				t.Errorf("%d attempts were burned, %v", n, err)
			}
			if c.left.Load() > 0 {
				t.Error("it was cut less often than this test says")
			}
		})
	}
}

// A slowCommit is a store that writes no result down until it is let.
type slowCommit struct {
	*store.Store
	let chan struct{}
}

func (s *slowCommit) Commit(ctx context.Context, entries []jobs.Entry) (jobs.Committed, []*jobs.EntryError, error) {
	<-s.let
	return s.Store.Commit(ctx, entries)
}

// A call that has ended and is not yet written down is still known, when the next
// one has begun: its worker may die now.
func TestCallIsKnownUntilItIsWrittenDown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.config.Concurrency = 1
	c := &slowCommit{store.New(s.config.Pool), make(chan struct{})}
	s.config.Store = c
	requests := s.enqueue(2)
	s.start()
	fixture.Await(t, soon, "both have been called", func() bool { return s.script.called() == len(requests) })
	if n := s.number("SELECT count(DISTINCT request_id) FROM tidegate.calls"); n != len(requests) {
		t.Errorf("of %d calls that ended, %d are known", len(requests), n)
	}
	close(c.let)
	s.awaitJobs(len(requests), "completed", 1)
}
