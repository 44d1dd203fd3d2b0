package integration

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
)

// A wire is a worker's own way to Postgres. It can be cut as a network is: what
// is said stays in it and arrives when it is mended. Safe for concurrent use.
type wire struct {
	listener net.Listener
	config   *pgx.ConnConfig
	running  sync.WaitGroup

	mu    sync.Mutex
	whole chan struct{}     // closed while it is
	lose  []byte            // the next answer of Postgres that holds this is lost; nil: none is
	conns map[net.Conn]bool // those that were stalled are true
	over  chan struct{}     // closed with the test
}

func newWire(t *testing.T, config *pgx.ConnConfig) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	w := &wire{listener: listener, config: config, whole: make(chan struct{}), conns: map[net.Conn]bool{}, over: make(chan struct{})}
	close(w.whole)
	w.running.Go(w.accept)
	t.Cleanup(func() {
		listener.Close()
		close(w.over)
		w.Break()
		w.running.Wait()
	})
	return w
}

// URL is the database, by this wire.
func (w *wire) URL() string {
	at := url.URL{Scheme: "postgres", User: url.UserPassword(w.config.User, w.config.Password), Host: w.listener.Addr().String(), Path: "/" + w.config.Database}
	return at.String() + "?sslmode=disable"
}

func (w *wire) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return // the test is over
		}
		network, address := pgconn.NetworkAddress(w.config.Host, w.config.Port)
		server, err := net.Dial(network, address)
		if err != nil {
			client.Close()
			continue
		}
		w.keep(client, server)
		w.running.Go(func() { w.carry(client, server, false) })
		w.running.Go(func() { w.carry(server, client, true) })
	}
}

func (w *wire) keep(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range conns {
		w.conns[conn] = false
	}
}

// carry carries what one end says to the other, until one hangs up.
func (w *wire) carry(from, to net.Conn, answers bool) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		lost := answers && w.loses(buffer[:n])
		w.await(from)
		if lost || n > 0 && !carried(to, buffer[:n]) || err != nil {
			return
		}
	}
}

func (w *wire) loses(said []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lose == nil || !bytes.Contains(said, w.lose) {
		return false
	}
	w.lose = nil
	return true
}

// await waits until the wire is whole for a connection.
func (w *wire) await(conn net.Conn) {
	w.mu.Lock()
	whole := w.whole
	if w.conns[conn] {
		whole = nil
	}
	w.mu.Unlock()
	select {
	case <-whole:
	case <-w.over:
	}
}

func carried(to net.Conn, said []byte) bool {
	_, err := to.Write(said)
	return err == nil
}

// Cut lets nothing through until Mend, and hangs nobody up.
func (w *wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whole = make(chan struct{})
}

// Stall lets nothing through any more on the connections that there are, and hangs
// nobody up: as when a router forgets them. New ones are made.
func (w *wire) Stall() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.conns {
		w.conns[conn] = true
	}
}

// Mend lets all through, also what was said meanwhile.
func (w *wire) Mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.whole)
}

// Lose has the next answer of Postgres that holds a text lost, with its connection.
func (w *wire) Lose(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lose = []byte(text)
}

// Lost tells whether it was.
func (w *wire) Lost() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lose == nil
}

// Break hangs up on all.
func (w *wire) Break() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.conns {
		conn.Close()
	}
	clear(w.conns)
}

// A cutting is how a worker is cut off, and comes back.
type cutting struct {
	cut, mend func(*hand, *wire)
	timing    string        // of the workers; empty: the defaults
	lasts     time.Duration // at least; and until it is missed
}

// workerIsCutOff from Postgres, and nothing else, with calls in flight and jobs
// that wait; another has its jobs when it returns. What it has to say then is an
// answer that nobody else has given yet, and no more.
func workerIsCutOff(story cutting) func(*testing.T, program) {
	return func(t *testing.T, p program) {
		f := newFleet(t, p, staging{})
		f.timing = story.timing
		w := newWire(t, f.Pool.Config().ConnConfig)
		f.door.Shut()
		lost := f.hireAt(w.URL())
		batch := f.enqueue(inHand, nil)
		fixture.Await(t, soon, "it calls", func() bool { return f.door.Inside() == atOnce })
		const held = "SELECT count(*) FROM tidegate.river_job WHERE state = 'running' AND attempted_by[cardinality(attempted_by)] = $1"
		fixture.Await(t, soon, "it has jobs that wait", func() bool { return f.count(held, lost.name) == inHand })
		returns := time.After(story.lasts)
		story.cut(lost, w)
		f.door.Open() // it hears its answers, and cannot store them
		fixture.Await(t, soon, "it has answers", func() bool { return f.sim.Calls("*").Outcomes[simulator.OK] == atOnce })
		f.door.Shut()

		other := f.hire()
		f.awaitDead(lost)
		fixture.Await(t, soon, "another has its jobs", func() bool { return f.count(held, other.name) == inHand && f.door.Inside() == atOnce })
		<-returns
		before := f.jobRows()
		story.mend(lost, w)
		if code := lost.end(); code != 1 || !strings.Contains(lost.errors.String(), "declared dead") {
			t.Errorf("it ended with %d", code)
		}
		if diff := gocmp.Diff(before, f.jobRows()); diff != "" {
			t.Errorf("it touched what is another's (-before +after):\n%s", diff)
		}
		f.door.Open()
		f.oneEach(f.settle(batch))
		if n := f.sim.Seen("*").AnsweredTwice; n > atOnce {
			t.Errorf("%d requests were answered twice", n)
		}
		if n := f.count("SELECT count(*) FROM tidegate.attempts"); n != f.sim.Calls("*").Total {
			t.Errorf("%d calls were made, and %d are written down", f.sim.Calls("*").Total, n)
		}
	}
}

// workerIsFrozenForAMoment, longer than its calls may take and not so long that it
// is missed: the answers that came meanwhile are read, and none is bought twice.
func workerIsFrozenForAMoment(t *testing.T, p program) {
	f := newFleet(t, p, staging{latency: 500 * time.Millisecond, config: shortTimeouts})
	f.timing = ""
	worker := f.hire()
	batch := f.enqueue(10*atOnce, nil)
	f.awaitResults(atOnce)
	for range 2 {
		fixture.Await(t, soon, "it calls", func() bool { return f.door.Inside() == atOnce })
		thaws := time.After(5 * time.Second)
		worker.signal(syscall.SIGSTOP)
		<-thaws
		worker.signal(syscall.SIGCONT)
		before := f.results()
		fixture.Await(t, soon, "it goes on", func() bool { return f.results() >= before+atOnce })
	}
	f.answered(batch, 0)
	if n := f.calls(jobs.Timeout); n != 0 {
		t.Errorf("%d calls are said to have taken too long", n)
	}
}

// jobRows is what stands in River's table, a line for each job.
func (f *fleet) jobRows() (lines []string) {
	f.Helper()
	rows, err := f.Pool.Query(f.Context(), "SELECT id, state::text, attempt, queue, attempted_by, metadata::text FROM tidegate.river_job ORDER BY id")
	check(f.T, err)
	var id, attempt int
	var state, queue, metadata string
	var by []string
	_, err = pgx.ForEachRow(rows, []any{&id, &state, &attempt, &queue, &by, &metadata}, func() error {
		lines = append(lines, fmt.Sprintf("%d %s %d %s %v %s", id, state, attempt, queue, by, metadata))
		return nil
	})
	check(f.T, err)
	return lines
}

func cutWire(_ *hand, w *wire)  { w.Cut() }
func mendWire(_ *hand, w *wire) { w.Mend() }

// cutAndStop tells the worker to stop just when it is cut off: its jobs that wait
// are on their way back to their queue, and arrive late.
func cutAndStop(h *hand, w *wire) {
	w.Cut()
	h.signal(syscall.SIGTERM)
}

func freeze(h *hand, _ *wire) { h.signal(syscall.SIGSTOP) }
func thaw(h *hand, _ *wire)   { h.signal(syscall.SIGCONT) }

// jobsAreLost: the connection breaks when a worker has taken jobs and has not yet
// heard which. It does not know that they are its own, and yet they are answered.
func jobsAreLost(t *testing.T, p program) {
	f := newFleet(t, p, staging{})
	w := newWire(t, f.Pool.Config().ConnConfig)
	deaf := f.hireAt(w.URL())
	w.Lose("completion") // the kind of every job
	batch := f.enqueue(40, nil)
	fixture.Await(t, soon, "it has taken jobs", w.Lost)
	f.answered(batch, 0)
	deaf.mustLive()
	if f.dead() != 0 {
		t.Error("it was declared dead")
	}
}

// connectionsAreForgotten on their way, and nobody says so: what was asked on them
// is asked again on others.
func connectionsAreForgotten(t *testing.T, p program) {
	f := newFleet(t, p, staging{latency: 100 * time.Millisecond})
	w := newWire(t, f.Pool.Config().ConnConfig)
	worker := f.hireAt(w.URL())
	batch := f.enqueue(100, nil)
	f.awaitResults(30)
	w.Stall()
	f.answered(batch, 0)
	worker.mustLive()
	if f.dead() != 0 {
		t.Error("it was declared dead")
	}
}
