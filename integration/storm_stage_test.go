package integration

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/worker"
)

// quick is how fast the workers of a storm notice what becomes of each other.
// Only their deaths take as long as they do: nobody dies here.
var quick = worker.Timing{Beat: 200 * time.Millisecond, Read: 100 * time.Millisecond, Hold: 300 * time.Millisecond, Probe: 50 * time.Millisecond}

// cheap is the first target of app.DefaultSimulated.
const cheap = "sim-cheap"

// A storm is a stage for several workers, which reads on a tape what reaches the
// providers.
type storm struct {
	*stage
	*tape
	hired int
}

func newStorm(t *testing.T, s staging) *storm {
	t.Helper()
	st := &storm{tape: &tape{}}
	if s.serve == nil {
		s.serve = st.record
	}
	st.stage = newStage(t, s)
	st.prepare()
	return st
}

// oneTarget leaves the cheapest target alone.
func oneTarget(c *config.Config) {
	c.Targets, c.Routes[0].Chain = c.Targets[:1], c.Routes[0].Chain[:1]
}

// twoTargets leaves the two cheapest ones.
func twoTargets(c *config.Config) {
	c.Targets, c.Routes[0].Chain = c.Targets[:2], c.Routes[0].Chain[:2]
}

// crews starts workers of one fleet, each with a name of its own.
func (s *storm) crews(n int, change func(i int, c *app.StackConfig)) []*crew {
	s.Helper()
	all := make([]*crew, n)
	for i := range all {
		all[i] = s.work(func(c *app.StackConfig) {
			s.hired++
			c.Name, c.Timing = fmt.Sprint("worker-", s.hired), quick
			if change != nil {
				change(i, c)
			}
		})
	}
	return all
}

// circuit is that of a worker's target.
func (c *crew) circuit(target string) jobs.Circuit {
	for _, circuit := range c.Router.Circuits() {
		if circuit.Target == target {
			return circuit
		}
	}
	return jobs.Circuit{}
}

// shared is the fleet's circuit of a target.
func (s *storm) shared(target string) jobs.Circuit {
	s.Helper()
	all, err := s.store.Circuits(s.Context())
	check(s.T, err)
	for _, circuit := range all {
		if circuit.Target == target {
			return circuit
		}
	}
	return jobs.Circuit{}
}

// awaitAllShut waits until every worker knows a target's circuit as open, and
// nobody is called any more. It returns when that was.
func (s *storm) awaitAllShut(target string, crews ...*crew) time.Time {
	s.Helper()
	fixture.Await(s.T, soon, "every worker knows that the circuit is open", func() bool {
		return !slices.ContainsFunc(crews, func(c *crew) bool { return c.circuit(target).State == jobs.CircuitClosed })
	})
	fixture.Await(s.T, soon, "nobody is called", func() bool { return s.underWay() == 0 })
	return time.Now()
}

// probes counts those that were made in vain.
func (s *storm) probes() int {
	s.Helper()
	return s.count("SELECT count(*) FROM tidegate.attempts WHERE probe AND class <> 'OK'")
}

func (s *storm) awaitProbes(n int) {
	s.Helper()
	fixture.Await(s.T, soon, fmt.Sprintf("%d probes were made in vain", n), func() bool { return s.probes() >= n })
}

// awaitClosed waits until all workers take a target's circuit as closed.
func (s *storm) awaitClosed(target string, crews ...*crew) {
	s.Helper()
	fixture.Await(s.T, soon, "every worker knows that the circuit is closed", func() bool {
		return !slices.ContainsFunc(crews, func(c *crew) bool { return c.circuit(target).State != jobs.CircuitClosed })
	})
}

// drained settles batches of which every request was answered, each with one
// result, one event and the first attempt of River.
func (s *storm) drained(batches ...jobs.Batch) {
	s.Helper()
	for i := range batches {
		batches[i] = s.settle(batches[i])
	}
	s.onceEach(batches...)
	for i := range batches {
		if batch := &batches[i]; batch.Completed != batch.Total {
			s.Errorf("%d of %d requests were answered", batch.Completed, batch.Total)
		}
	}
}

// owners are who pauses the route of summaries, in order.
func (s *storm) owners() (owners []string) {
	s.Helper()
	pauses, err := s.store.Pauses(s.Context())
	check(s.T, err)
	for _, p := range pauses {
		owners = append(owners, string(p.Owner))
	}
	return owners
}

// paused tells whether River's queue is.
func (s *storm) paused() bool {
	s.Helper()
	return s.count("SELECT count(*) FROM tidegate.river_queue WHERE name = $1 AND paused_at IS NOT NULL", summaries) == 1
}

// rounds waits until the supervisor has done some more rounds: whatever it would
// do, it has done.
func (s *storm) rounds(n int) {
	s.Helper()
	for range n {
		const renewed = "SELECT (extract(epoch FROM expires_at) * 1000000)::bigint FROM tidegate.leases WHERE name = 'supervisor'"
		before := s.count(renewed)
		fixture.Await(s.T, soon, "the supervisor did a round", func() bool { return s.count(renewed) > before })
	}
}

// A span is one call at the providers.
type span struct {
	began, ended time.Time // ended is zero while it goes on
	status       int
}

// A tape records the calls that reach the providers, whatever workers write down.
// It is safe for concurrent use.
type tape struct {
	mu    sync.Mutex
	spans []span
	out   int
}

// record serves the providers and records who comes.
func (t *tape) record(test *testing.T, providers http.Handler) string {
	return serve(test, t.before(providers))
}

// before records the calls of a handler.
func (t *tape) before(providers http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard := &listened{ResponseWriter: w}
		n := t.begin()
		defer func() { t.end(n, heard.status) }()
		providers.ServeHTTP(heard, r)
	})
}

func (t *tape) begin() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spans = append(t.spans, span{began: time.Now()})
	t.out++
	return len(t.spans) - 1
}

func (t *tape) end(n, status int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spans[n].ended, t.spans[n].status = time.Now(), status
	t.out--
}

// underWay counts the calls that go on.
func (t *tape) underWay() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.out
}

// since lists the calls that began in a time, in order.
func (t *tape) since(from, to time.Time) []span {
	t.mu.Lock()
	defer t.mu.Unlock()
	var found []span
	for _, s := range t.spans {
		if !s.began.Before(from) && s.began.Before(to) {
			found = append(found, s)
		}
	}
	return found
}

// listened notes the status of an answer.
type listened struct {
	http.ResponseWriter
	status int
}

func (l *listened) WriteHeader(status int) {
	l.status = status
	l.ResponseWriter.WriteHeader(status)
}

// Unwrap lets a handler close the connection.
func (l *listened) Unwrap() http.ResponseWriter { return l.ResponseWriter }

// apart checks calls that only probes may have made: one after the other, with a
// wait between the end of one and the next that is not shorter than least, nor
// longer than most.
func (s *storm) apart(calls []span, least, most time.Duration) {
	s.Helper()
	for i := 1; i < len(calls); i++ {
		wait := calls[i].began.Sub(calls[i-1].ended)
		if calls[i-1].ended.IsZero() || wait < 0 {
			s.Errorf("two probes at once: the %dth of %d began before the one before it had ended", i+1, len(calls))
			continue
		}
		if wait < least || wait > most {
			s.Errorf("the %dth of %d probes came %s after the one before, not %s to %s", i+1, len(calls), wait, least, most)
		}
	}
}

// writtenApart checks probes since a time as workers with right clocks have written them
// down: with a wait between the end of one and the next that is not shorter than least, nor
// longer than most. The provider cannot tell that as well: a call that is late on its way
// comes soon before the next.
func (s *storm) writtenApart(since time.Time, probes int, least, most time.Duration) {
	s.Helper()
	rows, err := s.Pool.Query(s.Context(), `
		SELECT at, at + make_interval(secs => latency_us / 1e6) FROM tidegate.attempts
		WHERE probe AND at >= (SELECT coalesce(max(at), '-infinity') FROM tidegate.attempts WHERE probe AND at < $1) ORDER BY at`, since)
	check(s.T, err)
	written, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c span, err error) { return c, row.Scan(&c.began, &c.ended) })
	check(s.T, err)
	if len(written) < probes {
		s.Errorf("%d probes are written down of %d", len(written), probes)
	}
	for i := 1; i < len(written); i++ {
		if wait := written[i].began.Sub(written[i-1].ended); wait < least || wait > most {
			s.Errorf("the %dth of %d probes came %s after the one before, not %s to %s", i+1, len(written), wait, least, most)
		}
	}
}
