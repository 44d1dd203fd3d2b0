package integration

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
)

// TestReload has processes take another configuration while they run.
func TestReload(t *testing.T) {
	t.Parallel()
	heard := make(chan os.Signal, 1) // what ignores SIGHUP, as under nohup, has its children ignore it, too
	signal.Notify(heard, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(heard) })
	p := buildProgram(t)
	for name, test := range map[string]func(*testing.T, program){
		"a key that was wrong is mended":          keyIsMended,
		"a broken file is refused, a good one is": brokenFileIsRefused,
		"SIGHUP ends nobody":                      hangupEndsNobody,
		"with nohup nobody is told":               hangupIsIgnored,
		"dev has no other than its own":           devReadsAgain,
		"the leader was killed just before":       leaderIsKilledBeforeAReload(jobs.AdmissionDirect),
		"it was, on a fair route":                 leaderIsKilledBeforeAReload(jobs.AdmissionFair),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

const (
	wrongKey = "the-key-that-was-revoked"
	rightKey = "the-key-that-is-good"
)

// says waits until a process has logged something, and returns all of it.
func (r *process) says(text string) string {
	r.Helper()
	fixture.Await(r.T, soon, "the log says "+text, func() bool {
		select {
		case <-r.ended:
			r.Fatalf("it ended with %v", r.cmd.ProcessState)
		default:
		}
		return strings.Contains(r.errors.String(), text)
	})
	return r.errors.String()
}

// A revoked key shuts its target for an hour, as after a night. The key is mended
// in its file: without a restart everything is answered, long before.
func keyIsMended(t *testing.T, p program) {
	dir := t.TempDir()
	keyFile := filepath.Join(dir, "key")
	check(t, os.WriteFile(keyFile, []byte(wrongKey), 0o600))
	f := newFleet(t, p, staging{key: rightKey, config: func(c *config.Config) { c.Targets[0].APIKeyFile = keyFile }})
	f.log = "info"
	hands := []*hand{f.hire(), f.hire()}
	batch := f.enqueue(60, nil)
	fixture.Await(t, soon, "the circuit is open for the key", func() bool {
		return f.count("SELECT count(*) FROM tidegate.circuits WHERE state = 'open' AND reason LIKE 'AUTH%'") == 1
	})
	f.awaitPaused()
	_, err := f.Pool.Exec(t.Context(), "UPDATE tidegate.circuits SET cooldown_until = now() + interval '1 hour', trip_wait = interval '1 hour'")
	check(t, err)
	if n := f.results(); n != 0 {
		t.Fatalf("%d results by a wrong key", n)
	}
	mended := time.Now()
	check(t, os.WriteFile(keyFile, []byte(rightKey), 0o600))
	for _, h := range hands {
		h.says("configuration taken: targets.sim-cheap.api_key")
	}
	f.answered(batch, 0)
	if took := time.Since(mended); took > 45*time.Second {
		t.Errorf("all was answered %s after the key was mended", took)
	}
	for _, h := range hands {
		if log := h.errors.String(); strings.Contains(log, wrongKey) || strings.Contains(log, rightKey) {
			t.Errorf("the log shows a key:\n%s", log)
		}
	}
	const rows = `SELECT count(*) FROM (SELECT c::text FROM tidegate.circuits c UNION ALL SELECT a::text FROM tidegate.attempts a
		UNION ALL SELECT o::text FROM tidegate.outbox o) AS all_of_them (row) WHERE row LIKE '%the-key-that%'`
	if n := f.count(rows); n != 0 {
		t.Errorf("%d rows show a key", n)
	}
}

// leaderIsKilledBeforeAReload: of two workers the one that supervises is killed, and
// the other one is told of a configuration under which nobody waits any more for the
// target that is down. Each request that waits is given back once, whoever leads by then
// and whoever is hired with the new configuration afterwards; all are answered.
func leaderIsKilledBeforeAReload(admission string) func(*testing.T, program) {
	return func(t *testing.T, p program) {
		f := newFleet(t, p, staging{config: func(c *config.Config) {
			*c = *config.DefaultSimulated(strings.TrimSuffix(c.Targets[0].BaseURL, "/cheap/v1"))
			twoTargets(c)
			c.Worker.Concurrency, c.Routes[0].Admission = atOnce, admission
			c.Routes[0].WhenOpen, c.Routes[0].Goal, c.Routes[0].Deadline = string(jobs.WhenOpenWait), "ordered", 0
		}})
		f.log = "info"
		f.countGivenBack()
		f.closedLongAgo()
		f.down("cheap", simulator.Fault{Mode: simulator.Unavailable})
		hands := []*hand{f.hire(), f.hire()}
		const n = 12
		batch := f.enqueue(n, nil)
		fixture.Await(t, soon, "all of them wait", func() bool { return f.parkedLong() == n })
		leads := f.awaitSupervisor()
		leads.kill()
		stays := hands[0]
		if stays == leads {
			stays = hands[1]
		}
		good, err := os.ReadFile(f.file)
		check(t, err)
		text := strings.Replace(string(good), "when_open: wait", "when_open: reroute", 1)
		if text == string(good) {
			t.Fatalf("the configuration does not wait:\n%s", good)
		}
		check(t, os.WriteFile(f.file, []byte(text), 0o600))
		stays.signal(syscall.SIGHUP)
		stays.says("configuration taken: routes.summaries.when_open")
		f.awaitDead(leads)
		f.hire()
		if batch = f.settle(batch); batch.Completed != n {
			t.Errorf("%d of %d were answered", batch.Completed, n)
		}
		f.onceEach(batch) // a minimal call of the one that was killed is perhaps not written down
		const times = "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM public.given_back GROUP BY job) g"
		if most, given := f.count(times), f.count("SELECT count(DISTINCT job) FROM public.given_back"); most != 1 || given != n {
			t.Errorf("%d of %d were given back, at most %d times", given, n, most)
		}
		f.nothingWaits()
	}
}

// closedLongAgo has the fleet know all circuits as closed for long. Of one that closed
// just now all that waits is looked at again, at once and 10 s later.
func (s *stage) closedLongAgo() {
	s.Helper()
	for _, target := range s.config.Targets {
		s.share(jobs.Circuit{Target: target.Name, State: jobs.CircuitClosed, Generation: 1, Since: time.Now().Add(-time.Hour)})
	}
}

// parkedLong counts requests that wait for a time that is far.
func (s *stage) parkedLong() int {
	s.Helper()
	return s.count(`SELECT (SELECT count(*) FROM tidegate.waiting WHERE not_before > now() + interval '10 minutes')
		+ (SELECT count(*) FROM tidegate.river_job WHERE state = 'scheduled' AND scheduled_at > now() + interval '10 minutes')`)
}

// countGivenBack has the database write down whose wait for a time is cut short.
func (s *stage) countGivenBack() {
	s.Helper()
	_, err := s.Pool.Exec(s.Context(), `CREATE TABLE public.given_back (job bigint);
		CREATE FUNCTION public.note_job() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.given_back VALUES (NEW.id); RETURN NULL; END $$;
		CREATE FUNCTION public.note_waiting() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.given_back VALUES (NEW.job_id); RETURN NULL; END $$;
		CREATE TRIGGER note_job AFTER UPDATE ON tidegate.river_job FOR EACH ROW
			WHEN (OLD.state = 'scheduled' AND NEW.state IN ('scheduled', 'available') AND NEW.scheduled_at < OLD.scheduled_at) EXECUTE FUNCTION public.note_job();
		CREATE TRIGGER note_waiting AFTER UPDATE ON tidegate.waiting FOR EACH ROW
			WHEN (OLD.not_before > now() AND NEW.not_before IS NULL) EXECUTE FUNCTION public.note_waiting()`)
	check(s.T, err)
}

// answeredBy asserts that n requests more were answered, all by one target.
func (f *fleet) answeredBy(target string, n int) {
	f.Helper()
	const by = "SELECT count(*) FROM tidegate.attempts WHERE class = 'OK' AND target = $1"
	before := f.count(by, target)
	f.settle(f.enqueue(n, func(i int, r *jobs.Request) {
		r.CustomID, r.Body = fmt.Sprintf("%s-%d-%d", target, before, i), body(1000*before+i)
	}))
	if got := f.count(by, target) - before; got != n {
		f.Errorf("%s answered %d of %d: %v", target, got, n, f.attempts())
	}
}

func brokenFileIsRefused(t *testing.T, p program) {
	f := newFleet(t, p, staging{config: func(c *config.Config) {
		*c = *config.DefaultSimulated(strings.TrimSuffix(c.Targets[0].BaseURL, "/cheap/v1"))
		c.Worker.Concurrency = atOnce
	}})
	f.log = "info"
	h := f.hire()
	f.answeredBy("sim-cheap", 4)
	good, err := os.ReadFile(f.file)
	check(t, err)
	rewrite := func(old, now string) {
		t.Helper()
		text := strings.Replace(string(good), old, now, 1)
		if text == string(good) {
			t.Fatalf("the configuration has no %q:\n%s", old, good)
		}
		check(t, os.WriteFile(f.file, []byte(text), 0o600))
	}

	rewrite("model: sim-small", "modell: sim-small")
	log := h.says("the one of before stays")
	if !strings.Contains(log, `unknown key; did you mean \"model\"?`) || !strings.Contains(log, f.file+":") {
		t.Errorf("it does not say what is wrong, and where:\n%s", log)
	}
	f.answeredBy("sim-cheap", 4)

	rewrite("  - sim-cheap\n  - sim-fast\n", "  - sim-fast\n  - sim-cheap\n")
	h.says("configuration taken: routes.summaries.chain")
	f.answeredBy("sim-fast", 4)
	fixture.Await(t, soon, "the fleet knows the chain", func() bool {
		return f.text("SELECT chain[1] FROM tidegate.routes") == "sim-fast"
	})

	check(t, os.WriteFile(f.file, append(good, []byte("# as before\n")...), 0o600))
	fixture.Await(t, soon, "the first chain is back", func() bool { return strings.Count(h.errors.String(), "configuration taken") == 2 })
	f.answeredBy("sim-cheap", 4)
	f.noneBurned()
}

// hangupEndsNobody: those that run in the background read again what there is.
func hangupEndsNobody(t *testing.T, p program) {
	f := newFleet(t, p, staging{})
	f.log = "info"
	worker := f.hire()
	server := p.start(t, nil, "serve", "--config", f.file, "--database-url", f.URL, "--listen", "127.0.0.1:0")
	server.says("listening on")
	for _, r := range []*process{worker.process, server} {
		r.signal(syscall.SIGHUP)
	}
	worker.says("there is nothing to take")
	server.says("there is nothing to take")
	check(t, os.WriteFile(f.file, []byte("listen: 1\n"), 0o600))
	for _, r := range []*process{worker.process, server} {
		r.signal(syscall.SIGHUP)
		r.says("the one of before stays")
		r.signal(syscall.SIGTERM)
		if code := r.end(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
}

// hangupIsIgnored: what was started to outlive its terminal is not told by it, and
// sees a file that changes all the same.
func hangupIsIgnored(t *testing.T, p program) {
	f := newFleet(t, p, staging{})
	args := []string{"-c", `trap "" HUP; exec "$0" "$@"`, string(p), "work", "--config", f.file, "--database-url", f.URL, "--nats-url", f.NATSURL}
	r := program("sh").start(t, nil, args...)
	r.says(`"message":"working"`)
	r.signal(syscall.SIGHUP)
	good, err := os.ReadFile(f.file)
	check(t, err)
	check(t, os.WriteFile(f.file, []byte(strings.Replace(string(good), "model: sim-small", "model: sim-large", 1)), 0o600))
	log := r.says("configuration taken: targets.sim-cheap.model")
	if strings.Contains(log, "nothing to take") {
		t.Errorf("it was told by its terminal:\n%s", log)
	}
	r.signal(syscall.SIGTERM)
	if code := r.end(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// devReadsAgain: without a file there is what it has itself, still.
func devReadsAgain(t *testing.T, p program) {
	d := p.startDev(t, dataFolder(t))
	d.signal(syscall.SIGHUP)
	fixture.Await(t, soon, "it has read again", func() bool {
		log, err := os.ReadFile(filepath.Join(d.dir, "tidegate.log"))
		check(t, err)
		return strings.Contains(string(log), "there is nothing to take")
	})
	if status, _ := d.get("/readyz"); status != http.StatusOK {
		t.Errorf("it is not ready any more: %d", status)
	}
}

// Jobs that wait for hours, parked for the cooldown of the only target, go to one
// that a new configuration puts into the chain.
func TestReloadGivesWhatWaitsToANewTarget(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	all := s.config.Routes[0].Chain
	s.config.Routes[0].Chain = all[:1]
	w := s.work(nil)
	s.down("cheap", simulator.Fault{Mode: simulator.RateLimit, RetryAfter: 5 * time.Hour})
	batch := s.enqueue(40, nil)
	fixture.Await(t, soon, "the target cools down", func() bool {
		return s.count("SELECT count(*) FROM tidegate.circuits WHERE cooldown_until > now() + interval '4 hours'") == 1
	})
	s.config.Routes[0].Chain = []string{all[0], all[1]}
	_, routes := s.config.Build()
	w.Reload(routes)
	batch = s.settle(batch)
	if batch.Completed != batch.Total || s.sim.Seen("fast").Answered == 0 {
		t.Errorf("%d of %d were answered: %v", batch.Completed, batch.Total, s.attempts())
	}
	s.onceEach(batch)
}

// A target that is taken out of the chain is called no more, and what another says
// of it later changes nothing.
func TestReloadTakesATargetAway(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	w := s.work(nil)
	s.settle(s.enqueue(4, nil))
	s.config.Routes[0].Chain = s.config.Routes[0].Chain[1:]
	_, routes := s.config.Build()
	w.Reload(routes)
	s.share(jobs.Circuit{Target: "sim-cheap", State: jobs.CircuitOpen, Generation: 9, Reason: "of another worker", CooldownUntil: time.Now()})
	before := s.sim.Calls("cheap").Total
	s.settle(s.enqueue(4, func(i int, r *jobs.Request) { r.Body = body(100 + i) }))
	if now := s.sim.Calls("cheap").Total; now != before {
		t.Errorf("it was called %d times more", now-before)
	}
	s.noneBurned()
}

// Jobs that wait for hours, for a target that costs less, are looked at again when a
// new configuration lets them go to another one, however it says that: both where River
// has them and where they wait for their turn.
func TestReloadLooksAgainAtWhatWaits(t *testing.T) {
	t.Parallel()
	for how, change := range map[string]func(*config.Config){
		"it waits no more": func(c *config.Config) { c.Routes[0].WhenOpen = string(jobs.WhenOpenReroute) },
		"the others cost less": func(c *config.Config) {
			c.Targets[1].Price, c.Targets[2].Price = c.Targets[0].Price, c.Targets[0].Price
		},
		"the target is gone":          func(c *config.Config) { c.Routes[0].Chain = c.Routes[0].Chain[1:] },
		"the one to wait for is last": func(c *config.Config) { c.Routes[0].Chain = append(c.Routes[0].Chain[1:], c.Routes[0].Chain[0]) },
	} {
		for _, admission := range []string{jobs.AdmissionDirect, jobs.AdmissionFair} {
			t.Run(how+", "+admission, func(t *testing.T) {
				t.Parallel()
				s := newStage(t, staging{config: func(c *config.Config) {
					c.Routes[0].WhenOpen, c.Routes[0].Goal, c.Routes[0].Deadline, c.Routes[0].Admission = string(jobs.WhenOpenPrice), "ordered", 0, admission
				}})
				s.down("cheap", simulator.Fault{Mode: simulator.Unavailable})
				w := s.work(nil)
				const n = 12
				batch := s.enqueue(n, nil)
				// With fair admission, what was given back meanwhile may wait for its turn,
				// which does not come as long as all would wait for the target.
				fixture.Await(t, soon, "all jobs wait for the target", func() bool {
					return s.count("SELECT count(*) FROM tidegate.circuits WHERE target = 'sim-cheap' AND state = 'open'") == 1 &&
						s.count(`SELECT (SELECT count(*) FROM tidegate.waiting)
							+ (SELECT count(*) FROM tidegate.river_job WHERE state = 'scheduled' AND scheduled_at > now() + interval '10 minutes')`) == n
				})
				after := *s.config
				after.Targets, after.Routes = slices.Clone(after.Targets), slices.Clone(after.Routes)
				after.Routes[0].Chain = slices.Clone(after.Routes[0].Chain)
				change(&after)
				w.Take(&after)
				s.settle(batch)
				if got := s.answeredBy("sim-cheap"); got != 0 {
					t.Errorf("the target that is down answered %d", got)
				}
				s.noneBurned()
			})
		}
	}
}
