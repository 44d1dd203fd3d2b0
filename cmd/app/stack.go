package app

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"tidegate/cmd/app/config"
	"tidegate/cmd/app/metrics"
	"tidegate/cmd/app/tracing"
	"tidegate/jobs"
	"tidegate/jobs/batchapi"
	"tidegate/jobs/queue"
	"tidegate/routing"
	"tidegate/routing/provider"
	"tidegate/store"
	"tidegate/worker"
	"tidegate/worker/publish"
	"tidegate/worker/webhook"
)

// What the floors below declare and what fits it: all in one place.
var (
	_ worker.Store     = (*store.Store)(nil)
	_ worker.Router    = (*routing.Router)(nil)
	_ worker.Circuits  = (*routing.Router)(nil)
	_ publish.Outbox   = (*store.Store)(nil)
	_ batchapi.Desk    = (*worker.Worker)(nil)
	_ publish.Intake   = (*queue.Door)(nil)
	_ webhook.Store    = (*store.Store)(nil)
	_ routing.Provider = (*provider.Client)(nil)
	_ routing.Provider = (*provider.Drills)(nil)
)

const (
	// dayEvery is how often a worker looks whether the partitions of the next days
	// are there.
	dayEvery = time.Hour
)

// A StackConfig says what a Stack is put together from.
type StackConfig struct {
	Pool        *pgxpool.Pool
	Conn        *nats.Conn // not for a Desk
	Desk        bool       // it works no queue, and is there for those alone who wait for an answer
	Routes      []jobs.Route
	Canaries    []jobs.Canary      // that are asked now and then
	Budgets     []store.FileBudget // what the configuration says of them
	Choosing    routing.Choosing   // how targets are chosen
	Weights     map[string]float64 // of tenants, on routes with fair admission; those that are not named have 1
	Batches     BatchLimits        // of batches that come as files
	Retention   jobs.Retention     // of what has ended; zero: for ever
	Door        bool               // requests are accepted over NATS, too
	Webhooks    config.Webhooks    // how webhooks are told of the ends of batches
	Concurrency int                // of the worker; zero: its default
	StopTimeout time.Duration      // of the worker; zero: its default
	HoldBudget  time.Duration      // of the worker; zero: its default
	Timing      worker.Timing
	Name        string           // of this start of the worker, unique in the fleet; empty: of host, process and time
	LogEnds     worker.LogEnds   // which requests that end are worth a line; empty: some
	Metrics     *metrics.Metrics // counts what it does; nil: nobody does
	Tracer      *tracing.Tracer  // makes spans of it; nil: nobody does
	Log         zerolog.Logger
	Now         func() time.Time // nil: time.Now
	// Provider stands between the router and what makes the calls; nil: nothing
	// does.
	Provider func(routing.Provider) routing.Provider
}

// BatchLimits are what a batch may be that comes as a file, and how long its files are
// kept.
type BatchLimits struct {
	MaxLines  int           // zero: the queue's default
	FilesLive time.Duration // zero: for ever
}

func batchLimits(c *config.Config) BatchLimits {
	return BatchLimits{MaxLines: c.Batches.MaxLines, FilesLive: c.Batches.Keep}
}

// A Stack is one worker process: store, router, provider, worker, relay. Make
// one with NewStack, and Run it once.
type Stack struct {
	Store    *store.Store
	Router   *routing.Router
	Worker   *worker.Worker
	relay    *publish.Relay
	provider *provider.Client
	drills   *provider.Drills
	courier  *webhook.Courier
	door     *publish.Door // nil: it has none
	config   StackConfig
	name     string
	weights  atomic.Pointer[map[string]float64] // by tenant
	taken    atomic.Pointer[config.Config]      // nil: that of the start is in effect
	tidings  tidings
}

// NewStack puts a worker process together and tells producers its routes. The
// database must have been migrated.
func NewStack(ctx context.Context, conf StackConfig) (*Stack, error) {
	s := &Stack{
		Store:    store.New(conf.Pool).OnClock(conf.Now),
		provider: provider.New(provider.Config{UserAgent: userAgent()}),
		config:   conf,
		tidings:  tidings{routes: conf.Routes, said: conf.Budgets, wake: make(chan struct{}, 1)},
	}
	s.weights.Store(&conf.Weights)
	s.courier = webhook.New(webhook.Config{Store: s.Store, UserAgent: userAgent(), Private: conf.Webhooks.AllowPrivate})
	if !conf.Desk { // which routes and budgets there are is for those to say who work them
		if err := s.Store.SaveRoutes(ctx, conf.Routes); err != nil {
			return nil, err
		}
		if err := s.Store.FileBudgets(ctx, conf.Budgets); err != nil {
			return nil, err
		}
	}
	s.drills = provider.NewDrills(s.provider, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), conf.Now)
	called := routing.Provider(s.drills)
	if conf.Provider != nil {
		called = conf.Provider(called)
	}
	s.Router = routing.New(routing.Config{
		Routes: conf.Routes, Provider: called, Seed: rand.Uint64(), Fleet: true, Choosing: conf.Choosing, Now: conf.Now,
		OnChange: func(c jobs.Circuit) { s.Worker.CircuitChanged(c) },
	})
	s.name = cmp.Or(conf.Name, workerName())
	if conf.Desk {
		var err error
		s.Worker, err = worker.New(s.workerConfig())
		return s.counted(), err
	}
	relay, err := publish.New(conf.relayed(s.Store))
	if err != nil {
		return nil, err
	}
	s.relay = relay
	producer, err := queue.New(conf.Pool)
	if err != nil {
		return nil, err
	}
	if conf.Door {
		s.door, err = publish.NewDoor(publish.DoorConfig{Conn: conf.Conn, Intake: queue.NewDoor(producer, routing.Goals()), Log: conf.Log})
		if err != nil {
			return nil, err
		}
	}
	keeper := &queue.Keeper{Queue: producer, Store: s.Store, Goals: routing.Goals(), MaxLines: conf.Batches.MaxLines, FilesLive: conf.Batches.FilesLive}
	made := s.workerConfig()
	for _, route := range conf.Routes {
		made.Queues = append(made.Queues, route.Name)
	}
	made.Keep, made.Stored, made.Canaries, made.Canary = keeper.Keep, relay.Wake, conf.Canaries, s.Router
	made.Webhooks = worker.Webhooks{Deliver: s.courier.Deliver, Wait: webhook.Wait}
	s.Worker, err = worker.New(made)
	return s.counted(), err
}

// workerConfig is what a worker is made of, whatever it is there for.
func (s *Stack) workerConfig() worker.Config {
	conf := &s.config
	return worker.Config{
		Pool: conf.Pool, Store: s.Store, Router: s.Router, Circuits: s.Router, Desk: conf.Desk, Concurrency: conf.Concurrency,
		Fleet:       worker.Fleet{Peers: s.Store, Probes: s.Store, Claims: s.Store, Lead: s.Store, Care: s.Store, Books: s.Store, Admission: s.Store, Parking: s.Store, Ledger: s.Store, Budgets: s.Store, Removal: s.Store, History: s.Store, Survey: s.Store, Queues: s.Store},
		StopTimeout: conf.StopTimeout, HoldBudget: conf.HoldBudget, Retention: conf.Retention, Timing: conf.Timing, Name: s.name, Version: programVersion(),
		Log: conf.Log, LogEnds: conf.LogEnds, Drills: s.drills.Set, Weight: s.weight, Starts: s.Router.Starts, Watch: conf.watched(), Now: conf.Now,
	}
}

// workerName is unique to this start of this process.
func workerName() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%s-%d-%s-%04x", cmp.Or(host, "worker"), os.Getpid(), time.Now().UTC().Format("20060102T150405"), rand.N(1<<16))
}

// userAgent is how this program calls itself over HTTP.
func userAgent() string { return "tidegate/" + programVersion() }

// Run works until ctx ends, then stops in order: the worker first, then the
// relay, which sends what the last commits owed.
func (s *Stack) Run(ctx context.Context) error {
	lasting, stop := context.WithCancel(context.WithoutCancel(ctx))
	var parts sync.WaitGroup
	if !s.config.Desk {
		parts.Go(func() { s.relay.Run(lasting) })
		parts.Go(func() { s.addDays(lasting) })
		parts.Go(func() { s.countBacklogs(lasting) })
		parts.Go(func() { s.tell(lasting) })
		parts.Go(func() { s.removeFiles(lasting) })
	}
	if s.door != nil {
		parts.Go(func() { s.door.Run(ctx) })
	}
	parts.Go(func() { s.remember(lasting) })
	parts.Go(func() {
		wake := func(word store.Word) {
			if word.Fleet {
				s.Worker.Wake()
				if s.relay != nil {
					s.relay.Wake() // what changed is an event, too
				}
			}
			if word.Waiting && !s.config.Desk {
				s.Worker.Enqueued()
			}
		}
		s.Store.Listen(lasting, wake, func(err error) {
			s.config.Log.Warn().Err(err).Msg("changes of the fleet are seen a second late, until this connection is back")
		})
	})
	err := s.Worker.Run(ctx)
	stop()
	parts.Wait()
	s.provider.Close()
	s.courier.Close()
	return err
}

// remember learns how targets did before this worker started: from the others of the
// fleet, or from what stands in the attempts of the last day. The start does not wait
// for it, and nothing depends on it.
func (s *Stack) remember(ctx context.Context) {
	fleet, err := s.Store.Fleet(ctx)
	if err == nil {
		s.Router.Learn(&fleet, s.name)
		var past []jobs.PastAttempt
		past, err = s.Store.Recent(ctx)
		s.Router.Remember(past)
	}
	if err != nil && ctx.Err() == nil {
		s.config.Log.Warn().Err(err).Msg("how targets did before this start is not known; it is learned anew")
	}
}

// addDays keeps partitions ready for the attempts of the next days.
func (s *Stack) addDays(ctx context.Context) {
	ticker := time.NewTicker(dayEvery)
	defer ticker.Stop()
	for {
		if _, err := s.Store.AddAttemptDays(ctx, time.Now()); err != nil && ctx.Err() == nil {
			s.config.Log.Warn().Err(err).Msg("partitions for the next days were not made; it is repeated")
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
