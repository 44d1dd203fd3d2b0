package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing"
	"tidegate/routing/simulator"
)

const (
	inTheOutage = 60                     // requests of each story
	tripsAt     = 5                      // failures in a row, the default
	soonestWait = 900 * time.Millisecond // between two probes of a target: a second, less the jitter
)

// A faultStory is how all providers fail at once, and come back.
type faultStory struct {
	staging
	begin func(*stage)
	end   func(*stage)
	class jobs.Class // of every call that failed
}

// TestOutageCostsNoAttempt: all providers die while jobs are in flight, and
// come back. Meanwhile nothing but probes goes out; afterwards the backlog
// drains by itself, in order, and nothing was lost, bought twice or burned.
func TestOutageCostsNoAttempt(t *testing.T) {
	t.Parallel()
	fault := func(mode simulator.Mode) func(*stage) {
		return func(s *stage) { s.down("*", simulator.Fault{Mode: mode}) }
	}
	line := &line{}
	for name, story := range map[string]faultStory{
		"unavailable": {begin: fault(simulator.Unavailable), end: (*stage).back, class: jobs.Overload},
		"fair":        {begin: fault(simulator.Unavailable), end: (*stage).back, class: jobs.Overload, staging: staging{config: fairRoute}},
		"reset":       {begin: fault(simulator.Reset), end: (*stage).back, class: jobs.Transient},
		"hang":        {begin: fault(simulator.Hang), end: (*stage).back, class: jobs.Timeout, staging: staging{config: shortTimeouts}},
		"refused":     {begin: line.cut, end: line.mend, class: jobs.Transient, staging: staging{serve: line.serve}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newStage(t, story.staging).throughOutage(story)
		})
	}
}

// shortTimeouts are long enough for an answer on a busy machine: one that is
// given up is bought twice.
func shortTimeouts(c *config.Config) {
	const short = 2 * time.Second
	for i := range c.Targets {
		c.Targets[i].Timeouts = config.Timeouts{Connect: short, FirstByte: short, Idle: short, Total: 2 * short}
	}
}

// throughOutage tells a story of circuits that trip.
func (s *stage) throughOutage(story faultStory) {
	s.Helper()
	crew := s.work(nil)
	batch := s.enqueue(inTheOutage, nil)
	s.awaitResults(inTheOutage / 6)
	began := time.Now()
	story.begin(s)
	fixture.Await(s.T, soon, "every target was probed twice", func() bool {
		return s.count("SELECT count(*) FROM (SELECT 1 FROM tidegate.attempts WHERE probe GROUP BY target HAVING count(*) >= 2) t") == len(s.config.Targets)
	})
	before := s.results()
	if n, _ := crew.Router.Admits(summaries); n == routing.All {
		s.Error("the gate flows while all providers are down")
	}
	if crew.Worker.Waiting(summaries) == 0 {
		s.Error("no job waits at the gate")
	}
	for _, c := range s.circuits() {
		if c.State == jobs.CircuitClosed || c.Reason == "" {
			s.Errorf("the store knows %s as %s, for %q", c.Target, c.State, c.Reason)
		}
	}
	lasted := time.Since(began)
	if before >= inTheOutage-2*inHand || before != s.results() {
		s.Errorf("%d results were stored when the outage ended, and %d before: it was none", s.results(), before)
	}
	story.end(s)
	batch = s.settle(batch)
	if batch.Completed != inTheOutage {
		s.Errorf("%d of %d were answered", batch.Completed, inTheOutage)
	}
	s.onceEach(batch)
	s.onlyProbes(story.class, lasted)
	s.inOrder()
	fixture.Await(s.T, soon, "the store knows a circuit as closed again", func() bool {
		return s.count("SELECT count(*) FROM tidegate.circuits WHERE state = 'closed'") > 0
	})
}

func (s *stage) circuits() []jobs.Circuit {
	s.Helper()
	all, err := s.store.Circuits(s.Context())
	check(s.T, err)
	if len(all) != len(s.config.Targets) {
		s.Errorf("the store knows %d circuits", len(all))
	}
	return all
}

// onlyProbes checks that the calls of an outage were those that it takes to
// trip a circuit, with what was in flight then, and the probes of the time it
// lasted; and that every call was written down.
func (s *stage) onlyProbes(class jobs.Class, lasted time.Duration) {
	s.Helper()
	all, written := s.attempts(), 0
	for _, n := range all {
		written += n
	}
	for _, target := range s.config.Targets {
		failed, probed := all[target.Name+" "+string(class)], all[target.Name+" "+string(class)+" probe"]
		if failed < tripsAt || failed > tripsAt+atOnce {
			s.Errorf("%s met %d failures: %d trip it, and %d more may be in flight", target.Name, failed, tripsAt, atOnce)
		}
		if most := int(lasted/soonestWait) + 1; probed > most {
			s.Errorf("%s was probed in vain %d times in %s, at most %d", target.Name, probed, lasted, most)
		}
		delete(all, target.Name+" "+string(class))
		delete(all, target.Name+" "+string(class)+" probe")
		delete(all, target.Name+" OK")
		delete(all, target.Name+" OK probe")
	}
	const hasty = `SELECT count(*) FROM (
		SELECT at - lag(at) OVER (PARTITION BY target ORDER BY at) AS since FROM tidegate.attempts WHERE probe) probes WHERE since < $1`
	if n := s.count(hasty, soonestWait); n > 0 {
		s.Errorf("%d probes came less than %s after the one before", n, soonestWait)
	}
	if len(all) > 0 {
		s.Errorf("calls that nobody expected: %v", all)
	}
	const bought = "SELECT count(*) FROM tidegate.attempts WHERE class = 'OK' AND request_id <> $1"
	if answered := s.count(bought, jobs.NoRequest); answered != inTheOutage {
		s.Errorf("%d answers were bought for %d requests", answered, inTheOutage)
	}
	if reached := s.sim.Calls("*").Total; reached > written {
		s.Errorf("%d calls reached a provider, and %d were written down", reached, written)
	}
}

// inOrder checks that those who waited untouched for the end of the outage were
// answered in the order in which they came, as far as several go at once.
func (s *stage) inOrder() {
	s.Helper()
	const overtaking = `SELECT coalesce(max(abs(came - went)), 0) FROM (
		SELECT row_number() OVER (ORDER BY q.id) AS came, row_number() OVER (ORDER BY r.id) AS went
		FROM tidegate.results r JOIN tidegate.requests q ON q.id = r.request_id WHERE r.attempts = 1) ranks`
	if most := s.count(overtaking); most > 2*inHand {
		s.Errorf("a request was overtaken by %d others, with %d in hand", most, inHand)
	}
}

// A line is how the providers are reached; it can be cut, so that connections
// are refused.
type line struct {
	handler http.Handler
	address string
	server  *http.Server
	served  chan struct{} // closed when the server has ended
}

func (l *line) serve(t *testing.T, handler http.Handler) string {
	l.handler = handler
	// No port of those that the system hands out: it has to be free a second time.
	for l.server == nil {
		l.address = fmt.Sprintf("127.0.0.1:%d", 20_000+rand.N(10_000))
		if t.Context().Err() != nil {
			t.Fatal("there is no free port")
		}
		_ = l.listen(t.Context()) // taken: another, then
	}
	t.Cleanup(func() {
		_ = l.server.Close()
		<-l.served
	})
	return "http://" + l.address
}

func (l *line) listen(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.address)
	if err != nil {
		return err
	}
	server, served := &http.Server{Handler: l.handler}, make(chan struct{})
	l.server, l.served = server, served
	go func() {
		defer close(served)
		_ = server.Serve(listener) // it was closed
	}()
	return nil
}

// cut lets answers that are under way arrive, and refuses what comes after.
func (l *line) cut(s *stage) {
	s.Helper()
	check(s.T, l.server.Shutdown(s.Context()))
	<-l.served
}

func (l *line) mend(s *stage) {
	s.Helper()
	check(s.T, l.listen(s.Context()))
}

// TestThrottleCostsNoAttempt: every provider answers 429 and names a time. No
// circuit trips; nobody calls before that time; then the backlog drains. What
// asks for long is a cooldown, and the next target is asked; what asks for a
// moment is a matter of the pace, and nobody else is paid for it.
func TestThrottleCostsNoAttempt(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		wait    time.Duration
		targets int // that meet a 429
	}{"for long": {5 * time.Second, 3}, "for a moment": {time.Second, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newStage(t, staging{}).throughThrottle(story.wait, story.targets)
		})
	}
}

func (s *stage) throughThrottle(wait time.Duration, targets int) {
	s.Helper()
	s.work(nil)
	batch := s.enqueue(inTheOutage, nil)
	s.awaitResults(inTheOutage / 6)
	began := time.Now()
	s.down("*", simulator.Fault{Mode: simulator.RateLimit, RetryAfter: wait})
	fixture.Await(s.T, soon, "targets are left alone for the second time", func() bool {
		return s.count("SELECT count(*) FROM (SELECT 1 FROM tidegate.attempts WHERE class = 'RATE' GROUP BY target HAVING max(at) - min(at) > $1) t", wait) >= targets
	})
	for _, c := range s.circuits() {
		if c.State != jobs.CircuitClosed {
			s.Errorf("%s is %s: a 429 must not trip it", c.Target, c.State)
		}
	}
	s.back()
	waves := int(time.Since(began)/wait) + 1
	batch = s.settle(batch)
	s.onceEach(batch)
	if batch.Completed != inTheOutage {
		s.Errorf("%d were answered", batch.Completed)
	}
	if n := s.count("SELECT count(DISTINCT target) FROM tidegate.attempts WHERE class = 'RATE'"); n != targets {
		s.Errorf("%d targets met a 429, not %d", n, targets)
	}
	if most := waves * atOnce * targets; s.calls(jobs.Rate) > most {
		s.Errorf("%d calls met a 429 in %d waves of %d at once", s.calls(jobs.Rate), waves, atOnce)
	}
}

// TestOneDeadProviderIsPassedOver: the cheapest dies alone, and its jobs go to
// the next; nothing waits.
func TestOneDeadProviderIsPassedOver(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	batch := s.enqueue(inTheOutage, nil)
	s.awaitResults(inTheOutage / 6)
	s.down("cheap", simulator.Fault{Mode: simulator.ServerError})
	batch = s.settle(batch)
	s.onceEach(batch)
	if batch.Completed != inTheOutage {
		t.Errorf("%d were answered", batch.Completed)
	}
	cheap := s.count("SELECT count(*) FROM tidegate.results WHERE target = 'sim-cheap'")
	fast := s.count("SELECT count(*) FROM tidegate.results WHERE target = 'sim-fast'")
	if cheap < inTheOutage/6 || cheap+fast != inTheOutage || fast < inTheOutage/2 {
		t.Errorf("%d were answered by the cheapest, %d by the next, of %d", cheap, fast, inTheOutage)
	}
	if n := s.attempts()["sim-cheap TRANSIENT"]; n < tripsAt || n > tripsAt+atOnce {
		t.Errorf("the dead one was called in vain %d times", n)
	}
	if n := s.count("SELECT count(*) FROM tidegate.attempts WHERE target = 'sim-fast' AND decision::text LIKE '%sim-cheap%'"); n == 0 {
		t.Error("no attempt says that the cheapest was passed over")
	}
}

// TestLongOutageCostsNoAttempt: in an outage that lasts, the queue is paused, and
// resumed when it is over. Nobody's row is rewritten meanwhile: jobs that are in
// a worker's hands stay there, the others were never touched.
func TestLongOutageCostsNoAttempt(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	s.down("*", simulator.Fault{Mode: simulator.Unavailable})
	crew := s.work(func(c *app.StackConfig) { c.Timing.Hold = 300 * time.Millisecond })
	batch := s.enqueue(4*inHand, nil)
	fixture.Await(t, soon, "the queue is paused for its circuits", func() bool {
		return s.count("SELECT count(*) FROM tidegate.pauses p JOIN tidegate.river_queue q ON q.name = p.route AND q.paused_at IS NOT NULL WHERE p.owner = 'circuit' AND p.reason LIKE '%OVERLOAD%'") == 1
	})
	const versions = "SELECT coalesce(sum(xmin::text::bigint), 0)::bigint FROM tidegate.river_job"
	fixture.Await(t, soon, "nobody is called but as a probe", func() bool { return crew.Worker.Waiting(summaries) == inHand })
	before, probes := s.count(versions), s.count("SELECT count(*) FROM tidegate.attempts WHERE probe")
	fixture.Await(t, soon, "more probes went out", func() bool { return s.count("SELECT count(*) FROM tidegate.attempts WHERE probe") > probes+2 })
	if after := s.count(versions); after != before {
		t.Error("rows of jobs were rewritten in the outage")
	}
	s.back()
	batch = s.settle(batch)
	s.onceEach(batch)
	if batch.Completed != batch.Total {
		t.Errorf("%d of %d were answered", batch.Completed, batch.Total)
	}
	if n := s.count("SELECT (SELECT count(*) FROM tidegate.pauses) + count(*) FROM tidegate.river_queue WHERE paused_at IS NOT NULL"); n != 0 {
		t.Error("the queue is still paused")
	}
}

// TestPostgresCutsConnections: every connection to Postgres breaks, three
// times, while a batch is worked. What was paid for is kept.
func TestPostgresCutsConnections(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	batch := s.enqueue(120, nil)
	admin, err := pgxpool.New(t.Context(), fixture.Postgres(t))
	check(t, err)
	defer admin.Close()
	for _, n := range []int{20, 50, 80} {
		fixture.Await(t, soon, "some more are answered", func() bool { return s.sim.Calls("*").Outcomes[simulator.OK] >= n })
		const cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1"
		if cut := count(t, admin, cut, s.Pool.Config().ConnConfig.Database); cut == 0 {
			t.Error("there was no connection to cut")
		}
	}
	fixture.Await(t, soon, "the batch ended", func() bool {
		now, err := s.store.Batch(t.Context(), batch.ID)
		return err == nil && now.Ended()
	})
	batch = s.settle(batch)
	s.onceEach(batch)
	if batch.Completed != batch.Total {
		t.Errorf("%d of %d were answered", batch.Completed, batch.Total)
	}
}
