package integration

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"testing"
	"time"

	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
)

// hurry is how fast the workers of most fleets here notice what becomes of each
// other; a fleet that waits for a death takes 10 s with the defaults.
const (
	hurry    = "beat=200ms,stale=1500ms,dead=2s,read=200ms,lease=1s,hold=300ms,probe=100ms"
	deadTime = 2 * time.Second // of hurry
)

// TestFleet runs workers as processes of their own, and kills, cuts off, freezes
// and replaces them, and what they stand on.
func TestFleet(t *testing.T) {
	t.Parallel()
	p := buildProgram(t)
	for name, test := range map[string]func(*testing.T, program){
		"the worker that probes is killed":        proberIsKilled,
		"the supervisor is killed in an outage":   supervisorIsKilled,
		"a worker is killed with calls in flight": workerIsKilled,
		"a request kills every worker":            requestKills(nil),
		"it does so on a fair route":              requestKills(fairRoute),
		"the supervisor is killed as it admits":   admitterIsKilled,
		"NATS is away in an outage":               natsIsAway,
		"Postgres restarts in order":              postgresRestarts(syscall.SIGINT),
		"Postgres restarts at once":               postgresRestarts(syscall.SIGQUIT),
		"workers are replaced under load":         workersAreReplaced,
		"a worker died before its first beat":     ghostLeftJobs,
		"the whole fleet is killed":               fleetIsKilled,
		"dev is killed with jobs in hand":         devIsKilled,
		"a worker is cut off from Postgres":       workerIsCutOff(cutting{cutWire, mendWire, hurry, 0}),
		"a worker is cut off for 20 s":            workerIsCutOff(cutting{cutWire, mendWire, "", 20 * time.Second}),
		"a worker is cut off while it stops":      workerIsCutOff(cutting{cutAndStop, mendWire, hurry, 0}),
		"a worker dies as it starts":              workerDiesAsItStarts,
		"a worker is frozen":                      workerIsCutOff(cutting{freeze, thaw, hurry, 0}),
		"a worker is frozen for a moment":         workerIsFrozenForAMoment,
		"jobs are lost on their way to a worker":  jobsAreLost,
		"connections to Postgres are forgotten":   connectionsAreForgotten,
		"the whole fleet is killed in an outage":  fleetIsKilledInAnOutage,
		"long prompts pass small windows by":      longPromptsPassSmallWindows,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

// A fleet is a stage whose workers are processes. Unless it was told otherwise
// it has one target.
type fleet struct {
	*stage
	program program
	door    *door
	timing  string // of its workers; empty: the defaults
	log     string // the least level that they log
	file    string // the configuration
	hands   map[string]*hand
}

func newFleet(t *testing.T, p program, s staging) *fleet {
	t.Helper()
	f := &fleet{program: p, door: newDoor(), timing: hurry, log: "warn", hands: map[string]*hand{}}
	change := s.config
	s.serve, s.config = f.door.serve, func(c *config.Config) {
		c.Targets, c.Routes[0].Chain = c.Targets[:1], c.Routes[0].Chain[:1]
		c.Worker.Concurrency, c.Worker.ShutdownTimeout = atOnce, 10*time.Second
		if change != nil {
			change(c)
		}
	}
	f.stage = newStage(t, s)
	f.prepare()
	f.file = write(t, "tidegate.yaml", f.config.String())
	return f
}

// A hand is a worker process.
type hand struct {
	*process
	name string // in the fleet
	conn string // how Postgres names its connections
}

// hire starts a worker, and waits until the fleet knows it.
func (f *fleet) hire() *hand {
	f.Helper()
	return f.hireAt(f.URL)
}

// hireAt starts a worker that reaches Postgres in its own way.
func (f *fleet) hireAt(postgres string) *hand {
	f.Helper()
	at, err := url.Parse(postgres)
	check(f.T, err)
	query, conn := at.Query(), fmt.Sprint("hand-", len(f.hands))
	query.Set("application_name", conn)
	at.RawQuery = query.Encode()
	args := []string{"work", "--config", f.file, "--database-url", at.String(), "--nats-url", f.NATSURL, "--log-level", f.log}
	if f.timing != "" {
		args = append(args, "--timing", f.timing)
	}
	h := &hand{process: f.program.start(f.T, nil, args...), conn: conn}
	pid := fmt.Sprintf("%%-%d-%%", h.cmd.Process.Pid)
	fixture.Await(f.T, soon, "the worker beats", func() bool {
		h.mustLive()
		h.name = f.text("SELECT coalesce(min(id), '') FROM tidegate.workers WHERE id LIKE $1", pid)
		return h.name != ""
	})
	f.hands[h.name] = h
	return h
}

// mustLive ends the test if the worker has ended.
func (h *hand) mustLive() {
	h.Helper()
	select {
	case <-h.ended:
		h.Fatalf("the worker %s ended with %v", h.name, h.cmd.ProcessState)
	default:
	}
}

// kill is kill -9.
func (h *hand) kill() {
	h.Helper()
	h.signal(syscall.SIGKILL)
	h.end()
}

// killCounting kills a worker, and returns how many calls are lost with it: all that it
// began and did not write down, those too whose beginning Postgres had in hand by then.
// Until they are counted nobody takes them for lost: a rescue waits for who has the
// worker's row.
func (f *fleet) killCounting(h *hand) (lost int) {
	f.Helper()
	tx, err := f.Pool.Begin(f.Context())
	check(f.T, err)
	defer func() { check(f.T, tx.Commit(f.Context())) }()
	_, err = tx.Exec(f.Context(), "SELECT FROM tidegate.workers WHERE id = $1 FOR KEY SHARE", h.name)
	check(f.T, err)
	h.kill()
	fixture.Await(f.T, soon, "Postgres is done with what "+h.name+" sent", func() bool {
		return f.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1", h.conn) == 0
	})
	return f.underWay(h)
}

// supervisor is the worker that leads; nil: none of those that were hired does.
func (f *fleet) supervisor() *hand {
	f.Helper()
	return f.hands[f.text("SELECT coalesce(min(holder), '') FROM tidegate.leases WHERE expires_at > now()")]
}

func (f *fleet) awaitSupervisor() (leads *hand) {
	f.Helper()
	fixture.Await(f.T, soon, "a worker leads", func() bool { leads = f.supervisor(); return leads != nil })
	return leads
}

// awaitPaused waits until the route is paused, for its circuits alone.
func (f *fleet) awaitPaused() {
	f.Helper()
	fixture.Await(f.T, soon, "the route is paused", func() bool { return f.paused() })
}

func (f *fleet) paused() bool {
	f.Helper()
	return f.count(`SELECT count(*) FROM tidegate.pauses p JOIN tidegate.river_queue q ON q.name = p.route AND q.paused_at IS NOT NULL
		WHERE p.route = $1 AND p.owner = 'circuit'`, summaries) == 1
}

// awaitDead waits until the fleet has declared a worker dead.
func (f *fleet) awaitDead(h *hand) {
	f.Helper()
	fixture.Await(f.T, soon, h.name+" is missed", func() bool { return f.dead(h.name) == 1 })
}

// dead counts those of the named workers that were declared dead; without names,
// of all.
func (f *fleet) dead(names ...string) int {
	f.Helper()
	return f.count("SELECT count(*) FROM tidegate.workers WHERE dead_at IS NOT NULL AND (id = ANY($1) OR cardinality($1::text[]) = 0)", append([]string{}, names...))
}

// answered checks the end of a batch of which every request is answered. Of the
// calls, at most lost were so when a worker was killed; no others were made twice.
func (f *fleet) answered(batch jobs.Batch, lost int) {
	f.Helper()
	batch = f.settle(batch)
	f.oneEach(batch)
	if batch.Completed != batch.Total {
		f.Errorf("%d of %d were answered", batch.Completed, batch.Total)
	}
	f.boughtOnce(lost)
}

// boughtOnce checks that every call is written down, and that none was repeated
// but those that were lost, at most as many as that.
func (f *fleet) boughtOnce(most int) {
	f.Helper()
	lost, seen := f.calls(jobs.Lost), f.sim.Seen("*")
	if lost > most {
		f.Errorf("%d calls were lost, at most %d", lost, most)
	}
	if seen.AnsweredTwice > lost {
		f.Errorf("%d requests were answered twice, with %d calls lost", seen.AnsweredTwice, lost)
	}
	if written := f.count("SELECT count(*) FROM tidegate.attempts"); f.sim.Calls("*").Total > written {
		f.Errorf("%d calls reached the provider, and %d are written down", f.sim.Calls("*").Total, written)
	}
	const bought = `SELECT count(*) FROM tidegate.results r
		WHERE r.state = 'answered' AND (SELECT count(*) FROM tidegate.attempts a WHERE a.request_id = r.request_id AND a.class = 'OK') <> 1`
	if n := f.count(bought); n > 0 {
		f.Errorf("%d requests have not exactly one call that answered", n)
	}
}

// A door is the way to the providers: it sees who goes in, can be shut, and has a
// trap. Safe for concurrent use.
type door struct {
	providers http.Handler
	caught    chan struct{} // is told of each that was trapped

	mu     sync.Mutex
	inside int           // or before the door, waiting
	most   int           // at once, since the last mark
	open   chan struct{} // closed while it is open
	trap   []byte        // whoever brings it stays, until it leaves; nil: there is none
}

func newDoor() *door {
	d := &door{caught: make(chan struct{}, 100), open: make(chan struct{})}
	close(d.open)
	return d
}

func (d *door) serve(t *testing.T, providers http.Handler) string {
	d.providers = providers
	return serve(t, d)
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client left
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	open, trapped := d.enter(body)
	defer d.leave()
	if trapped {
		d.caught <- struct{}{}
		<-r.Context().Done()
		return
	}
	select {
	case <-open:
		d.providers.ServeHTTP(w, r)
	case <-r.Context().Done():
	}
}

func (d *door) enter(body []byte) (open chan struct{}, trapped bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside++
	d.most = max(d.most, d.inside)
	return d.open, d.trap != nil && bytes.Contains(body, d.trap)
}

func (d *door) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside--
}

// Inside counts the calls that are under way.
func (d *door) Inside() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.inside
}

// Most is how many were at once since the last Mark.
func (d *door) Most() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.most
}

func (d *door) Mark() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.most = d.inside
}

// Shut lets nobody in.
func (d *door) Shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = make(chan struct{})
}

// Open lets all in that wait, too.
func (d *door) Open() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.open)
}

// Trap keeps whoever brings this.
func (d *door) Trap(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trap = []byte(what)
}
