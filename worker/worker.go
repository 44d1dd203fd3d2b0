package worker

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/rs/zerolog"

	"tidegate/jobs"
)

const (
	defaultConcurrency = 200
	defaultStopTimeout = 30 * time.Second
	defaultHoldBudget  = 2 * time.Minute

	loadLinger   = time.Millisecond
	loadAtMost   = 500
	commitLinger = 3 * time.Millisecond
	commitAtMost = 500
	// leaveWithin is how long the last word of a worker may take.
	leaveWithin = 10 * time.Second
	// stopSlack is what a stop may take beyond the calls that are let end.
	stopSlack = 10 * time.Second
)

// A Router says what becomes of a request. It is safe for concurrent use and
// never waits.
type Router interface {
	// Admit gives a request a pass if a target may be called for it now, or says
	// what becomes of it instead. A Blocked outcome that is Held holds for every
	// request of the route. history is what earlier tries added.
	Admit(request *jobs.Request, history jobs.Trace) (jobs.Pass, jobs.Outcome)
	// Admits says how many requests of a route the gate lets go now, and when to
	// ask again if no circuit changes before (zero: only a change will tell).
	Admits(route string) (n int, again time.Time)
	// Beat is what there is to tell the fleet, given how many requests of each
	// route are in hand.
	Beat(inHand map[string]int) jobs.Beat
}

// Circuits are those of a Router's targets. They are safe for concurrent use.
type Circuits interface {
	// Circuits says where every circuit stands.
	Circuits() []jobs.Circuit
	// Follow takes what the fleet says, and returns the circuits whose state
	// changed by it.
	Follow(fleet *jobs.Fleet, worker string) []jobs.Circuit
	// Grant gives this worker the probe of a circuit.
	Grant(target string, generation uint64) bool
	// Probe makes a minimal call as the probe of a target, if it is due and nobody
	// has it, and returns when it has ended. Nil: there was no call.
	Probe(ctx context.Context, target string) *jobs.Attempt
}

// Config is what a Worker is made of.
type Config struct {
	Pool     *pgxpool.Pool // River's; it needs two connections for itself, and a few for fetching
	Store    Store
	Fleet    Fleet
	Router   Router
	Circuits Circuits
	Queues   []string // the routes to work
	// Desk has the worker take no jobs, and act for nobody: it is there for those alone
	// who wait for an answer; see Answer.
	Desk bool
	// Keep does for a batch that came as a file what its state asks for, and goes on
	// where one that was cut off was. Nil: this worker does it for none.
	Keep     func(ctx context.Context, batch string) error
	Webhooks Webhooks // are told of the ends of batches
	// Canaries are asked by Canary; none: nothing is scheduled.
	Canaries []jobs.Canary
	Canary   Canaries
	// Concurrency is how many jobs of each queue are called at once: 1 to
	// 10,000; zero means 200. Up to 200 more are in hand beside them, being
	// loaded or committed; while the gate holds, all of them wait.
	Concurrency int
	// StopTimeout is how long calls may go on after the worker was told to
	// stop; zero means 30 s.
	StopTimeout time.Duration
	// HoldBudget is how long this host alone may see every target of all its
	// routes down, while others reach them, before it leaves the jobs to these;
	// zero means 2 minutes.
	HoldBudget time.Duration
	Timing     Timing
	Rescue     jobs.RescueLimits
	Retention  jobs.Retention // of what has ended
	Version    string         // of the program, for people
	Name       string         // of this start of this worker, unique in the fleet; empty: a random one
	Log        zerolog.Logger
	LogEnds    LogEnds // which requests that end are worth a line; empty: LogSome
	// Stored is called after each commit, so that the relay need not wait for
	// its next poll. It must not block. Nil: nobody is told.
	Stored func()
	// Drills is told, each second, of the outages that were asked for. Nil: nobody
	// is.
	Drills func([]jobs.Drill)
	// Weight is the share of a tenant on routes with fair admission, beside those of
	// others. It is above zero. Nil: all are 1.
	Weight func(tenant string) float64
	// Starts says which of the requests that wait on a route with fair admission, and
	// on which a target may be called, are to start now: all, or those whose deadline
	// is nearer than lead. backlog is about how many wait. Nil: all.
	Starts func(route string, backlog int) (all bool, lead time.Duration)
	Watch  Watch
	Now    func() time.Time // nil: time.Now
}

// A Worker takes jobs out of River. Make one with New, and Run it once.
type Worker struct {
	config     Config
	room       *room
	circuits   *circuits
	heart      *heart
	claims     *claims
	quarantine *quarantine
	budgets    *budgets
	bell       *bell // rung when a wait for a price may be over
	prober     *prober
	supervisor *supervisor
	remover    *remover
	egress     *egress
	gathered   *gathered // since Run
	slots      *slots
	ends       *endLog
	ended      *ended
	surveyor   *surveyor
	desk       *desk
	stuck      chan error
}

// New returns a Worker that has not begun to work.
func New(config Config) (*Worker, error) {
	config = withDefaults(config)
	if config.Concurrency < 1 || config.Concurrency > river.QueueNumWorkersMax {
		return nil, fmt.Errorf("worker.concurrency: %d is not between 1 and %d", config.Concurrency, river.QueueNumWorkersMax)
	}
	if len(config.Queues) == 0 && !config.Desk {
		return nil, fmt.Errorf("a worker needs at least one route")
	}
	w := &Worker{config: config, circuits: newCircuits(&config), claims: newClaims(&config), quarantine: newQuarantine(config.Queues), budgets: &budgets{}, bell: newBell(), slots: &slots{}, ends: newEndLog(&config), ended: &ended{}, desk: newDesk(), stuck: make(chan error, 1)}
	w.heart = newHeart(&config, w.says, w.heard)
	w.room = newRoom(config.Router, config.Concurrency, w.heart.Lives, config.Now)
	w.room.spent = w.budgets.Holds
	w.prober = newProber(&config, w.heart.Lives, w.room.Changed, w.keepProbe)
	w.egress = newEgress(&config)
	queues, err := newRiverQueues(config.Pool)
	if err != nil {
		return nil, err
	}
	w.supervisor = newSupervisor(&config, queues, w.heart.Wake)
	w.remover = newRemover(&config, w.supervisor.Leads)
	w.surveyor = newSurveyor(&config, w.supervisor.Leads)
	return w, nil
}

func withDefaults(config Config) Config {
	config.Concurrency = cmp.Or(config.Concurrency, defaultConcurrency)
	config.StopTimeout = cmp.Or(config.StopTimeout, defaultStopTimeout)
	config.HoldBudget = cmp.Or(config.HoldBudget, defaultHoldBudget)
	config.Timing = config.Timing.withDefaults()
	if config.Name == "" {
		config.Name = "worker-" + uuid.NewString()
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Weight == nil {
		config.Weight = func(string) float64 { return 1 }
	}
	if config.Stored == nil {
		config.Stored = func() {}
	}
	if config.Drills == nil {
		config.Drills = func([]jobs.Drill) {}
	}
	return config
}

// CircuitChanged tells the worker that a circuit changed: those who wait at the
// gate look again, and the fleet is told. It never blocks, so it may be what a
// router calls with a circuit locked.
func (w *Worker) CircuitChanged(circuit jobs.Circuit) {
	w.room.Changed()
	w.circuits.changed(circuit)
	w.prober.Wake()
	w.back(&circuit)
}

// back tells those who wait for a price that a target may be called again.
func (w *Worker) back(circuit *jobs.Circuit) {
	if circuit.State == jobs.CircuitClosed && !circuit.CooldownUntil.After(w.config.Now()) {
		w.bell.Ring()
	}
}

// Reloaded tells the worker that its router took a new configuration: those who
// wait at a gate look again, and so does whoever probes. It never blocks.
func (w *Worker) Reloaded() {
	w.room.Changed()
	w.prober.Wake()
	w.bell.Ring()
	w.Wake()
}

// Wake tells the worker that another one has written something down that all
// should see. It never blocks.
func (w *Worker) Wake() {
	w.heart.Wake()
	w.supervisor.Wake()
}

// Enqueued tells the worker that something waits on a route with fair admission
// where nothing did. It never blocks.
func (w *Worker) Enqueued() { w.supervisor.Admit() }

// says is what the worker tells the fleet of itself.
func (w *Worker) says() jobs.Beat {
	beat := w.config.Router.Beat(w.room.InHand())
	beat.Ended, beat.Version, beat.Desk = w.ended.All(), w.config.Version, w.config.Desk
	return beat
}

// heard is what the others said, and which circuits have changed by it.
func (w *Worker) heard(fleet jobs.Fleet, changed []jobs.Circuit) {
	for i := range changed {
		w.back(&changed[i])
	}
	w.config.Drills(fleet.Drills)
	w.egress.Look(&fleet)
	w.quarantine.Look(&fleet)
	w.budgets.Look(&fleet, w.config.Now())
	w.room.Changed()
	w.prober.Wake()
}

// Waiting counts the jobs of a route that wait at its gate in this worker.
func (w *Worker) Waiting(route string) int { return w.room.Waiting(route) }

// Run works until ctx ends, then stops in order: nothing new is fetched, jobs
// that wait go back to their queues, calls get StopTimeout to end, and what
// they answered is committed. It returns an error if it could not begin, if the
// fleet declared the worker dead, or if a job does not end: then the process must
// end, for jobs of this worker are still in its hands.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.heart.Begin(ctx); err != nil {
		if ctx.Err() == nil {
			return err
		}
		w.leave() // its first beat may have arrived
		return nil
	}
	w.gathered = w.newGathered(ctx)
	stopParts := w.runParts(ctx)
	defer stopParts()
	shut := w.desk.Open(w.newCompletion(ctx))
	closeDesk := sync.OnceFunc(func() { shut(w.config.StopTimeout) })
	defer closeDesk()
	context.AfterFunc(ctx, closeDesk)
	for ctx.Err() == nil {
		if err := w.shift(ctx); err != nil {
			return err
		}
		w.egress.AwaitBack(ctx)
	}
	closeDesk()
	stopParts()
	w.leave()
	return nil
}

// runParts runs all that goes on beside the jobs and outlives the last of them.
// Its stop waits, and ends the probes first: a minimal call that is cut off is
// still to be written down.
func (w *Worker) runParts(ctx context.Context) (stop func()) {
	lasting, end := context.WithCancel(context.WithoutCancel(ctx))
	probing, endProbes := context.WithCancel(lasting)
	running := []func(context.Context){
		w.gathered.loads.Run, w.gathered.begins.Run, w.gathered.commits.Run, w.room.Run, w.circuits.Run, w.heart.Run,
	}
	if !w.config.Desk {
		running = append(running, w.claims.Run, w.supervisor.Run, w.remover.Run, w.surveyor.Run)
	}
	parts := runAll(lasting, running...)
	probes := runAll(probing, w.prober.Run)
	return func() {
		endProbes()
		probes.Wait()
		end()
		parts.Wait()
	}
}

func runAll(ctx context.Context, parts ...func(context.Context)) *sync.WaitGroup {
	var all sync.WaitGroup
	for _, part := range parts {
		all.Go(func() { part(ctx) })
	}
	return &all
}

// leave tells the fleet that this worker has ended in order.
func (w *Worker) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	if err := w.config.Fleet.Peers.Leave(ctx, w.config.Name); err != nil {
		w.config.Log.Warn().Err(err).Msg("the fleet was not told that this worker has ended; it is missed in a while, and nothing is lost")
	}
}

// gathered are what many jobs have done at once.
type gathered struct {
	loads   *group[wanted, loaded]
	begins  *group[jobs.Begun, begun]
	commits *group[jobs.Entry, committed]
}

func (w *Worker) newGathered(stopping context.Context) *gathered {
	p := patient{log: w.config.Log, stopping: stopping}
	return &gathered{
		loads:   newGroup(loadLinger, loadAtMost, p.load(w.config.Store)),
		begins:  newGroup(loadLinger, loadAtMost, p.begin(w.config.Store, w.config.Fleet.Ledger, w.config.Name)),
		commits: newGroup(commitLinger, commitAtMost, p.commit(w.config.Store, w.config.Stored, w.config.Watch.kept)),
	}
}

// keepProbe writes down a probe that was made for no request.
func (w *Worker) keepProbe(attempt *jobs.Attempt) {
	w.keep(jobs.Entry{Request: &jobs.Request{ID: jobs.NoRequest}, Trace: jobs.Trace{{Attempt: attempt}}})
}

// keep writes down a call that was made for no request.
func (w *Worker) keep(entry jobs.Entry) {
	ctx, cancel := context.WithTimeout(context.Background(), w.config.Timing.Lease)
	defer cancel()
	if done, err := w.gathered.commits.Do(ctx, entry); cmp.Or(err, done.err) != nil {
		w.config.Log.Warn().Err(cmp.Or(err, done.err)).Str("target", entry.Trace[0].Attempt.Target).Msg("a probe or a canary was not written down")
	}
}

func (w *Worker) newCanaryWorker() *canaryWorker {
	return &canaryWorker{
		canaries: w.config.Canaries, asks: w.config.Canary, claims: w.claims, slots: w.slots, budgets: w.budgets, begins: w.gathered.begins,
		lives: w.heart.Lives, keep: w.keep, log: w.config.Log,
	}
}

func (w *Worker) newCompletion(stopping context.Context) *completion {
	return &completion{
		room:       w.room,
		heart:      w.heart,
		claims:     w.claims,
		slots:      w.slots,
		ended:      w.ended,
		quarantine: w.quarantine,
		budgets:    w.budgets,
		bell:       w.bell,
		gathered:   w.gathered,
		stopping:   stopping,
		stuck:      w.callStuck,
		slack:      w.config.Timing.Stuck,
		patience:   w.config.Timing.Begin,
		log:        w.config.Log,
		ends:       w.ends,
		now:        w.config.Now,
	}
}

// callStuck ends the worker for a call that does not end.
func (w *Worker) callStuck(call jobs.Begun) {
	w.config.Log.Error().Str("request", call.RequestID).Str("target", call.Target).Dur("timeout_ms", call.Within).
		Msg("a call ignores its own timeout: this worker ends, and others get its jobs")
	select {
	case w.stuck <- fmt.Errorf("a call of %s ignores its timeout of %s", call.Target, call.Within):
	default:
	}
}
