package integration

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tidegate/deploy/embedded"
	"tidegate/integration/fixture"
	"tidegate/routing/simulator"
)

// A server is a Postgres that its test stops and starts.
type server struct {
	*testing.T
	*embedded.Postgres
	dir string
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{T: t, dir: dataFolder(t)}
	s.start()
	t.Cleanup(func() { _ = s.Stop() }) // how it ended is the test's business
	return s
}

// start starts it on what is there. What was committed outlives a crash of the
// server, though not of the machine.
func (s *server) start() {
	s.Helper()
	var err error
	s.Postgres, err = embedded.StartPostgres(s.Context(), embedded.PostgresConfig{
		Dir: s.dir, Ephemeral: true, Settings: map[string]string{"synchronous_commit": "on"},
	})
	check(s.T, err)
}

// end ends it with a signal, as `pg_ctl stop` does: SIGINT is fast, SIGQUIT
// immediate.
func (s *server) end(signal syscall.Signal) {
	s.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "data", "postmaster.pid"))
	check(s.T, err)
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	check(s.T, err)
	check(s.T, syscall.Kill(pid, signal))
	<-s.Done()
	_ = s.Stop() // which gives the folder back
}

// restart leaves the fleet without Postgres for longer than it takes to be
// declared dead.
func (f *fleet) restart(s *server, signal syscall.Signal) {
	f.Helper()
	s.end(signal)
	f.pass(deadTime + time.Second)
	s.start()
	f.Pool.Reset()
	fixture.Await(f.T, soon, "Postgres answers", func() bool { return f.Pool.Ping(f.Context()) == nil })
}

// pass lets time pass, and nothing else.
func (f *fleet) pass(span time.Duration) {
	f.Helper()
	over := time.After(span)
	fixture.Await(f.T, span+soon, span.String()+" are over", func() bool {
		select {
		case <-over:
			return true
		default:
			return false
		}
	})
}

// beats is how often the youngest worker has beaten.
func (f *fleet) beats() int {
	f.Helper()
	return f.count("SELECT coalesce(min(beats), 0) FROM tidegate.workers")
}

// postgresRestarts while the route is paused, and while the backlog drains:
// nobody is declared dead for it, and nothing is called for twice.
func postgresRestarts(signal syscall.Signal) func(*testing.T, program) {
	return func(t *testing.T, p program) {
		s := newServer(t)
		f := newFleet(t, p, staging{postgres: s.URL(), latency: 100 * time.Millisecond})
		hands := []*hand{f.hire(), f.hire()}
		batch := f.enqueue(200, nil)
		f.awaitResults(10)
		f.down("*", simulator.Fault{Mode: simulator.Unavailable})
		f.awaitPaused()
		f.restart(s, signal)
		before := f.beats()
		fixture.Await(t, soon, "all workers beat again", func() bool { return f.beats() > before+3 })
		if !f.paused() {
			t.Error("the pause was ended, and the provider is away")
		}
		f.awaitSupervisor()
		f.back()
		f.awaitResults(f.results() + 40)
		f.restart(s, signal)
		f.answered(batch, 0)
		if f.dead() != 0 {
			t.Error("a worker was declared dead while nobody could beat")
		}
		for _, h := range hands {
			h.mustLive()
		}
	}
}

// workersAreReplaced one after the other, under load: whoever is told to stop
// leaves nothing behind.
func workersAreReplaced(t *testing.T, p program) {
	f := newFleet(t, p, staging{latency: 200 * time.Millisecond})
	old := []*hand{f.hire(), f.hire(), f.hire()}
	batch := f.enqueue(500, nil)
	for i, h := range old {
		f.awaitResults(20 + 30*i)
		h.signal(syscall.SIGTERM)
		if code := h.end(); code != 0 {
			t.Errorf("told to stop, it ended with %d", code)
		}
		f.hire()
	}
	if left := batch.Total - f.results(); left < 50 {
		t.Errorf("%d requests were left when the last one was replaced: it was not under load", left)
	}
	f.answered(batch, 0)
	if seen := f.sim.Seen("*"); seen.Repeated != 0 {
		t.Errorf("asked twice: %+v", seen)
	}
	if n := f.count("SELECT count(*) FROM tidegate.workers"); n != len(old) {
		t.Errorf("the fleet knows %d workers", n)
	}
}
