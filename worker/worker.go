package worker

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"

	"tidegate/jobs"
)

const (
	defaultConcurrency = 200
	defaultStopTimeout = 30 * time.Second
	defaultHoldBudget  = 30 * time.Minute

	// fetchCooldown is deliberate: River's default of 100 ms caps short jobs at
	// MaxWorkers × 10 a second.
	fetchCooldown = 10 * time.Millisecond
	// timeoutSlack is what a job may spend in calls beyond its hold budget
	// before River's own timeout would burn an attempt.
	timeoutSlack = 30 * time.Minute
	// rescueSlack comes on top before River takes a job for one whose worker
	// died.
	rescueSlack = 5 * time.Minute

	loadLinger   = time.Millisecond
	loadAtMost   = 500
	commitLinger = 3 * time.Millisecond
	commitAtMost = 500
	// overlap is how many jobs beyond those that are called a worker may have in
	// hand, so that loads and commits of some go on beside the calls of others.
	overlap = 200
)

// Indexes that migrations drop, so River must not look after them.
var dropped = []string{"river_job_args_index", "river_job_metadata_index"}

// A Router says what becomes of a request. It is safe for concurrent use.
type Router interface {
	// Route tries the chain of a request once. history is what earlier tries
	// added.
	Route(ctx context.Context, request *jobs.Request, history jobs.Trace) jobs.Outcome
	// Admits says how many of those that wait for a route may be let go now, and
	// when to ask again if no circuit changes before (zero: only a change will
	// tell).
	Admits(route string) (n int, again time.Time)
	// Circuits says where every circuit stands.
	Circuits() []jobs.Circuit
}

// Config is what a Worker is made of.
type Config struct {
	Pool   *pgxpool.Pool // River's; it needs two connections for itself, and a few for fetching
	Store  Store
	Router Router
	Queues []string // the routes to work
	// Concurrency is how many jobs of each queue are called at once: 1 to
	// 10,000; zero means 200. Up to 200 more are in hand beside them, being
	// loaded or committed; while the gate holds, all of them wait.
	Concurrency int
	// StopTimeout is how long calls may go on after the worker was told to
	// stop; zero means 30 s.
	StopTimeout time.Duration
	// HoldBudget is how long a job waits here before it goes back to its queue,
	// attempt and all; zero means 30 minutes.
	HoldBudget time.Duration
	Name       string // of this start of this worker, unique in the fleet; empty: River chooses
	Log        zerolog.Logger
	// Stored is called after each commit, so that the relay need not wait for
	// its next poll. It must not block. Nil: nobody is told.
	Stored func()
	Now    func() time.Time // nil: time.Now
}

// A Worker takes jobs out of River. Make one with New, and Run it once.
type Worker struct {
	config   Config
	room     *room
	circuits *circuits
}

// New returns a Worker that has not begun to work.
func New(config Config) (*Worker, error) {
	config.Concurrency = cmp.Or(config.Concurrency, defaultConcurrency)
	config.StopTimeout = cmp.Or(config.StopTimeout, defaultStopTimeout)
	config.HoldBudget = cmp.Or(config.HoldBudget, defaultHoldBudget)
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Stored == nil {
		config.Stored = func() {}
	}
	if config.Concurrency < 1 || config.Concurrency > river.QueueNumWorkersMax {
		return nil, fmt.Errorf("worker.concurrency: %d is not between 1 and %d", config.Concurrency, river.QueueNumWorkersMax)
	}
	if len(config.Queues) == 0 {
		return nil, fmt.Errorf("a worker needs at least one route")
	}
	return &Worker{
		config:   config,
		room:     newRoom(func(route string) (int, time.Time) { return config.Router.Admits(route) }, config.Now),
		circuits: newCircuits(config),
	}, nil
}

// CircuitChanged tells the worker that a circuit changed: those who wait at the
// gate look again, and the change is written down. It never blocks, so it may
// be what a router calls with a circuit locked.
func (w *Worker) CircuitChanged(circuit jobs.Circuit) {
	w.room.Changed()
	w.circuits.changed(circuit)
}

// Waiting counts the jobs of a route that wait at its gate in this worker.
func (w *Worker) Waiting(route string) int { return w.room.Waiting(route) }

// Run works until ctx ends, then stops in order: nothing new is fetched, jobs
// that wait go back to their queues, calls get StopTimeout to end, and what
// they answered is committed. It returns an error only if it could not begin.
func (w *Worker) Run(ctx context.Context) error {
	lasting, stopParts := context.WithCancel(context.WithoutCancel(ctx)) // outlives the last job
	defer stopParts()
	completion := w.newCompletion(ctx)
	client, err := w.newRiver(completion)
	if err != nil {
		return err
	}
	var parts sync.WaitGroup
	for _, run := range []func(context.Context){completion.loads.Run, completion.endings.Run, completion.commits.Run, w.room.Run, w.circuits.Run} {
		parts.Go(func() { run(lasting) })
	}
	defer parts.Wait()
	defer stopParts()
	if err := client.Start(ctx); err != nil {
		return fmt.Errorf("starting River: %w", err)
	}
	<-client.Stopped()
	return nil
}

func (w *Worker) newCompletion(stopping context.Context) *completion {
	p := patient{log: w.config.Log, stopping: stopping}
	return &completion{
		router:   w.config.Router,
		room:     w.room,
		calls:    newCalls(w.config.Queues, w.config.Concurrency),
		loads:    newGroup(loadLinger, loadAtMost, p.load(w.config.Store)),
		endings:  newGroup(loadLinger, loadAtMost, p.ended(w.config.Store)),
		commits:  newGroup(commitLinger, commitAtMost, p.commit(w.config.Store, w.config.Stored)),
		stopping: stopping,
		budget:   w.config.HoldBudget,
		log:      w.config.Log,
		now:      w.config.Now,
	}
}

// newCalls bounds the calls of each queue.
func newCalls(queues []string, most int) map[string]*semaphore.Weighted {
	calls := make(map[string]*semaphore.Weighted, len(queues))
	for _, name := range queues {
		calls[name] = semaphore.NewWeighted(int64(most))
	}
	return calls
}

func (w *Worker) newRiver(completion *completion) (*river.Client[pgx.Tx], error) {
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, completion); err != nil {
		return nil, fmt.Errorf("registering the worker: %w", err)
	}
	queues := make(map[string]river.QueueConfig, len(w.config.Queues))
	for _, name := range w.config.Queues {
		queues[name] = river.QueueConfig{MaxWorkers: min(w.config.Concurrency+min(w.config.Concurrency, overlap), river.QueueNumWorkersMax)}
	}
	client, err := river.NewClient(riverpgxv5.New(w.config.Pool), &river.Config{
		FetchCooldown:        fetchCooldown,
		ID:                   w.config.Name,
		Logger:               slog.New(zerolog.NewSlogHandler(w.config.Log.Level(max(zerolog.WarnLevel, w.config.Log.GetLevel())))),
		Queues:               queues,
		ReindexerIndexNames:  slices.DeleteFunc(river.ReindexerIndexNamesDefault(), func(name string) bool { return slices.Contains(dropped, name) }),
		RescueStuckJobsAfter: w.config.HoldBudget + timeoutSlack + rescueSlack,
		Schema:               "tidegate",
		SoftStopTimeout:      w.config.StopTimeout,
		Workers:              workers,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing River: %w", err)
	}
	return client, nil
}
