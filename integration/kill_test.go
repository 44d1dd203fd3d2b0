package integration

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
	"tidegate/store"
)

// proberIsKilled: the worker that has the fleet's probe is killed in the middle
// of it. Once it is missed, another probes; there are never two probes at once.
func proberIsKilled(t *testing.T, p program) {
	f := newFleet(t, p, staging{})
	f.hire()
	f.hire()
	batch := f.enqueue(60, nil)
	f.awaitResults(10)
	f.down("*", simulator.Fault{Mode: simulator.Unavailable})
	f.awaitPaused()

	f.door.Shut() // the next probe takes until it opens
	first := f.awaitProbe(nil)
	f.door.Mark()
	first.kill()
	second := f.awaitProbe(first)
	if f.dead(first.name) != 1 {
		t.Errorf("%s probes, and %s was not missed", second.name, first.name)
	}
	f.hire()
	f.back()
	f.door.Open()
	f.answered(batch, 1)
	if n := f.door.Most(); n > atOnce*2 {
		t.Errorf("%d calls at once", n)
	}
}

// awaitProbe waits until a worker other than that one is in the middle of a
// probe, alone.
func (f *fleet) awaitProbe(other *hand) (prober *hand) {
	f.Helper()
	fixture.Await(f.T, soon, "a probe is out", func() bool {
		prober = f.hands[f.text("SELECT coalesce(min(prober), '') FROM tidegate.circuits WHERE state = 'half-open'")]
		if n := f.door.Most(); other != nil && n > 1 {
			f.Fatalf("%d probes at once", n)
		}
		return prober != nil && prober != other && f.door.Inside() == 1
	})
	return prober
}

// supervisorIsKilled while the route is paused: another one takes the lead, keeps
// the pause, and ends it when the provider is back.
func supervisorIsKilled(t *testing.T, p program) {
	f := newFleet(t, p, staging{})
	f.hire()
	f.hire()
	batch := f.enqueue(60, nil)
	f.awaitResults(10)
	f.down("*", simulator.Fault{Mode: simulator.Unavailable})
	f.awaitPaused()
	first := f.awaitSupervisor()
	first.kill()
	var second *hand
	fixture.Await(t, soon, "another one leads", func() bool { second = f.supervisor(); return second != nil && second != first })
	f.awaitDead(first)
	if !f.paused() {
		t.Error("the new supervisor has ended the pause, and the provider is away")
	}
	f.back()
	f.answered(batch, 1)
	if n := f.count("SELECT (SELECT count(*) FROM tidegate.pauses) + count(*) FROM tidegate.river_queue WHERE paused_at IS NOT NULL"); n != 0 {
		t.Error("the route is still paused")
	}
}

// workerIsKilled under load, in a fleet that notices it as fast as a production
// does: its jobs are others' within 30 s, and its calls are written down as lost.
func workerIsKilled(t *testing.T, p program) {
	f := newFleet(t, p, staging{latency: 300 * time.Millisecond})
	f.timing = ""
	dies := f.hire()
	f.hire()
	f.hire()
	batch := f.enqueue(300, nil)
	f.awaitResults(50)
	fixture.Await(t, soon, "the worker calls", func() bool { return f.underWay(dies) == atOnce })
	killed := time.Now()
	dies.kill()
	const held = "SELECT count(*) FROM tidegate.river_job WHERE state = 'running' AND attempted_by[cardinality(attempted_by)] = $1"
	if f.count(held, dies.name) == 0 {
		t.Fatal("the worker was killed with nothing in its hands")
	}
	f.awaitDead(dies)
	if took := time.Since(killed); took > 30*time.Second || f.count(held, dies.name) > 0 {
		t.Errorf("it was missed %s after it was killed, and has %d jobs", took, f.count(held, dies.name))
	}
	f.answered(batch, atOnce)
	if f.calls(jobs.Lost) == 0 {
		t.Error("no call was written down as lost")
	}
}

// underWay counts the calls that a worker began and has not written down.
func (f *fleet) underWay(h *hand) int {
	f.Helper()
	return f.count(`SELECT count(*) FROM tidegate.calls c WHERE c.worker = $1
		AND NOT EXISTS (SELECT FROM tidegate.attempts a WHERE a.request_id = c.request_id AND a.at = c.at)`, h.name)
}

// requestKills: one request kills whoever calls for it. After two deaths it runs
// alone, and after two more it ends as poison. Its neighbours are answered.
func requestKills(conf func(*config.Config)) func(*testing.T, program) {
	return func(t *testing.T, p program) {
		killEvery(newFleet(t, p, staging{latency: 200 * time.Millisecond, config: conf}))
	}
}

func killEvery(f *fleet) {
	f.door.Trap(poisonous)
	f.hire()
	f.hire()
	const bad = 20
	batch := f.enqueue(200, func(i int, r *jobs.Request) {
		if i == bad {
			r.Body = json.RawMessage(`{"messages":[{"role":"user","content":"` + poisonous + `"}]}`)
		}
	})
	poison := f.text("SELECT id::text FROM tidegate.requests WHERE custom_id = $1", fmt.Sprintf("n-%03d", bad))
	lost := 0
	for death := range 4 {
		lost += f.killForPoison(poison, death)
		f.hire()
	}
	batch = f.settle(batch)
	f.oneEach(batch)
	f.boughtOnce(lost)
	if batch.Completed != batch.Total-1 || batch.Failed != 1 {
		f.Errorf("%d of %d were answered, %d failed", batch.Completed, batch.Total, batch.Failed)
	}
	for e, err := range f.store.Results(f.Context(), store.Filter{BatchID: batch.ID, State: jobs.StatePoison}) {
		check(f.T, err)
		if e.RequestID != poison || e.Attempts != 4 {
			f.Errorf("poison: %s after %d calls, and it should be %s", e.RequestID, e.Attempts, poison)
		}
	}
	const suspected = "SELECT count(*) FROM tidegate.suspects WHERE request_id = $1 AND crashes = 2 AND alone = 2"
	if f.count(suspected, poison) != 1 || f.count("SELECT count(*) FROM tidegate.suspects WHERE alone > 0") != 1 {
		f.Error("deaths were counted wrongly")
	}
}

// killForPoison kills the worker that calls for a request, and returns how many
// calls were lost with it.
func (f *fleet) killForPoison(request string, death int) (lost int) {
	f.Helper()
	fixture.Await(f.T, soon, fmt.Sprintf("the request is called for the time %d", death+1), func() bool { return len(f.door.caught) > 0 })
	<-f.door.caught
	dies := f.hands[f.text("SELECT c.worker FROM tidegate.calls c JOIN tidegate.workers w ON w.id = c.worker AND w.dead_at IS NULL WHERE c.request_id = $1", request)]
	if dies == nil {
		f.Fatal("nobody has written down that it calls for the request")
	}
	lost = f.killCounting(dies)
	if alone := death >= 2; alone && lost != 1 {
		f.Errorf("death %d: %d calls were under way beside what is suspected", death+1, lost-1)
	}
	f.awaitDead(dies)
	return lost
}

// natsIsAway: NATS goes in an outage, and is back after it. The events are whole.
func natsIsAway(t *testing.T, p program) {
	f := newFleet(t, p, staging{})
	f.hire()
	f.hire()
	batch := f.enqueue(60, nil)
	f.awaitResults(10)
	f.down("*", simulator.Fault{Mode: simulator.Unavailable})
	f.awaitPaused()
	f.nats.Stop()
	f.back()
	batch = f.awaitBatch(batch)
	f.nats = fixture.RestartNATS(t, f.nats)
	fixture.Await(t, soon, "the test is connected again", f.Conn.IsConnected)
	f.answered(batch, 0)
}

// ghostLeftJobs: jobs are in the hands of a worker that nobody ever heard of.
func ghostLeftJobs(t *testing.T, p program) {
	f := newFleet(t, p, staging{})
	batch := f.enqueue(20, nil)
	_, err := f.Pool.Exec(t.Context(), "UPDATE tidegate.river_job SET state = 'running', attempt = 1, attempted_by = '{ghost}', attempted_at = now() WHERE id % 2 = 0")
	check(t, err)
	f.hire()
	f.answered(batch, 0)
	if f.dead("ghost") != 1 {
		t.Error("the fleet does not know that the ghost is dead")
	}
}

// fleetIsKilled: all workers die at once, and one new one takes over.
func fleetIsKilled(t *testing.T, p program) {
	f := newFleet(t, p, staging{latency: 300 * time.Millisecond})
	old := []*hand{f.hire(), f.hire(), f.hire()}
	batch := f.enqueue(100, nil)
	f.awaitResults(20)
	for _, h := range old {
		h.signal(syscall.SIGKILL)
	}
	for _, h := range old {
		h.end()
	}
	f.hire()
	f.answered(batch, len(old)*inHand) // those that had their answer, and had not committed it, are lost, too
	if f.dead() != len(old) {
		t.Errorf("%d workers are known to be dead", f.dead())
	}
}

// fleetIsKilledInAnOutage: all workers die while the route is paused. Who comes
// after them calls nobody but to probe, and resumes the route.
func fleetIsKilledInAnOutage(t *testing.T, p program) {
	f := newFleet(t, p, staging{})
	old := []*hand{f.hire(), f.hire()}
	batch := f.enqueue(60, nil)
	f.awaitResults(10)
	f.down("*", simulator.Fault{Mode: simulator.Unavailable})
	f.awaitPaused()
	for _, h := range old {
		h.kill()
	}
	const calls = "SELECT count(*) FROM tidegate.attempts WHERE NOT probe AND class <> 'LOST'"
	before, probes := f.count(calls), f.count("SELECT count(*) FROM tidegate.attempts WHERE probe")
	f.hire()
	fixture.Await(t, soon, "the old ones are missed, and the new one probes", func() bool {
		return f.dead() == len(old) && f.count("SELECT count(*) FROM tidegate.attempts WHERE probe") > probes+1
	})
	if n := f.count(calls) - before; n != 0 || !f.paused() {
		t.Errorf("in an outage, the new worker made %d calls that were no probes", n)
	}
	f.back()
	f.answered(batch, len(old)*inHand) // those that had their answer, and had not committed it, are lost, too
}

// devIsKilled: dev is killed with jobs in hand, and Postgres dies with it. They are
// given back within 30 s of its next start.
func devIsKilled(t *testing.T, p program) {
	dir := dataFolder(t)
	conf := write(t, "tidegate.yaml", "worker: {concurrency: 4}")
	const requests = 24
	d := p.startDev(t, dir, "--config", conf)
	d.tidegate("enqueue", write(t, "in.jsonl", numbered(requests, openaiLine)...))
	pool := d.pool()
	const running = "SELECT count(*) FROM tidegate.river_job WHERE state = 'running'"
	fixture.Await(t, soon, "jobs are in flight", func() bool { return count(t, pool, running) >= 4 })
	pool.Close()
	d.signal(syscall.SIGKILL)
	d.end()
	d.awaitNobody()

	d = p.startDev(t, dir, "--config", conf)
	began := time.Now()
	pool = d.pool()
	if count(t, pool, running) == 0 {
		t.Error("it was killed with nothing in its hands")
	}
	fixture.Await(t, soon, "the killed one is missed", func() bool {
		return count(t, pool, "SELECT count(*) FROM tidegate.workers WHERE dead_at IS NOT NULL") == 1
	})
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it was missed %s after the start", took)
	}
	fixture.Await(t, soon, "all jobs completed, each at its first attempt", func() bool {
		return count(t, pool, "SELECT count(*) FROM tidegate.river_job WHERE state = 'completed' AND attempt = 1") == requests
	})
	if n := count(t, pool, "SELECT count(*) FROM tidegate.results WHERE state = 'answered'"); n != requests {
		t.Errorf("%d of %d were answered", n, requests)
	}
	const again = "SELECT count(*) FROM (SELECT FROM tidegate.attempts WHERE class <> 'LOST' GROUP BY request_id HAVING count(*) > 1) t"
	if n := count(t, pool, again); n > 0 {
		t.Errorf("%d requests were bought twice", n)
	}
}

// workerDiesAsItStarts: a worker is declared dead when River has begun one of its queues
// and waits to begin the next. It ends at once, with the answer in its hands stored,
// though River waits for jobs that it took by then, and those of the dead never end.
func workerDiesAsItStarts(t *testing.T, p program) {
	f := newFleet(t, p, staging{})
	batch := f.enqueue(2, nil)
	for _, sql := range []string{
		// Whichever queue is the first, it has a job.
		"UPDATE tidegate.river_job SET queue = '" + jobs.QuarantineQueue + "' WHERE id = (SELECT max(id) FROM tidegate.river_job)",
		`CREATE FUNCTION tidegate.halfway() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF EXISTS (SELECT FROM tidegate.river_queue WHERE name <> NEW.name AND name IN ('summaries', '` + jobs.QuarantineQueue + `')) THEN
				PERFORM pg_advisory_xact_lock(1);
			END IF;
			RETURN NEW;
		END $$`,
		"CREATE TRIGGER halfway BEFORE INSERT ON tidegate.river_queue FOR EACH ROW EXECUTE FUNCTION tidegate.halfway()",
	} {
		_, err := f.Pool.Exec(t.Context(), sql)
		check(t, err)
	}
	waits, err := f.Pool.Begin(t.Context())
	check(t, err)
	defer func() { _ = waits.Rollback(afterwards(t)) }() // does nothing after the end of it
	_, err = waits.Exec(t.Context(), "SELECT pg_advisory_xact_lock(1)")
	check(t, err)
	f.door.Shut()
	dies := f.hire()
	const halfway = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted"
	fixture.Await(t, soon, "it calls, and River has more to begin", func() bool { return f.door.Inside() == 1 && f.count(halfway) > 0 })
	_, err = f.Pool.Exec(t.Context(), "UPDATE tidegate.workers SET dead_at = now()")
	check(t, err)
	fixture.Await(t, soon, "it knows", func() bool { return strings.Contains(dies.errors.String(), "declared this worker dead") })
	f.door.Open()
	if code := dies.end(); code != 1 || f.results() != 1 {
		t.Errorf("it ended with %d, and %d results", code, f.results())
	}
	check(t, waits.Rollback(t.Context()))
	f.hire()
	f.oneEach(f.settle(batch))
	if n := f.sim.Seen("*").AnsweredTwice; n != 0 {
		t.Errorf("%d requests were answered twice", n)
	}
}
