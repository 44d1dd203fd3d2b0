package app

import (
	"context"
	"slices"
	"sync"
	"time"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
	"tidegate/routing"
	"tidegate/store"
)

const (
	// forecastsLive is for how long what forecasts are made of is good enough, but for what
	// came since it was counted.
	forecastsLive = 3 * time.Second
	// cameLive is for how many times as long as it took to read that is good enough. So who
	// enqueues knows of what others enqueued before, and a thousand who do it in a second
	// cost a twentieth of one connection.
	cameLive = 20
)

// forecasts say when what waits will be done: of what the fleet wrote down, and the
// configuration here. Whoever asks, what they are made of is read every few seconds at
// most, and is a few rows for each route and worker. Safe for concurrent use.
type forecasts struct {
	store  *store.Store
	config func() *config.Config

	mu    sync.Mutex
	known *foundation
	last  *outlook
	until time.Time // it is good enough
}

func newForecasts(s *store.Store, conf func() *config.Config) *forecasts {
	return &forecasts{store: s, config: conf}
}

// A foundation is what forecasts stand on for some seconds.
type foundation struct {
	read    time.Time
	fleet   jobs.Fleet
	seen    []jobs.Progress
	router  *routing.Router
	weights map[string]float64
}

// An outlook is what forecasts are made of, at one moment. It is only read.
type outlook struct {
	of      *routing.Forecasts
	seen    map[string]*jobs.Progress
	weights map[string]float64
}

// outlook reads what has changed.
func (f *forecasts) outlook(ctx context.Context) (*outlook, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil || time.Since(f.known.read) >= forecastsLive {
		known, err := f.found(ctx)
		if err != nil {
			return nil, err
		}
		f.known, f.last = known, nil
	}
	began := time.Now()
	if f.last != nil && began.Before(f.until) {
		return f.last, nil
	}
	seen := slices.Clone(f.known.seen)
	if err := f.store.CountSince(ctx, seen); err != nil {
		return nil, err
	}
	made := &outlook{of: f.known.router.Forecasts(&f.known.fleet, seen), seen: map[string]*jobs.Progress{}, weights: f.known.weights}
	for i := range seen {
		made.seen[seen[i].Route] = &seen[i]
	}
	now := time.Now()
	f.last, f.until = made, now.Add(cameLive*now.Sub(began))
	return made, nil
}

// found reads what forecasts stand on.
func (f *forecasts) found(ctx context.Context) (*foundation, error) {
	fleet, err := f.store.Fleet(ctx)
	if err != nil {
		return nil, err
	}
	seen, err := f.store.Progress(ctx)
	if err != nil {
		return nil, err
	}
	conf := f.config()
	router := routing.New(routing.Config{Routes: routesOf(&fleet, conf), Fleet: true, Choosing: conf.Choosing()})
	router.Follow(&fleet, "a forecast")
	return &foundation{read: time.Now(), fleet: fleet, seen: seen, router: router, weights: conf.Weights()}, nil
}

// routesOf are the routes that workers announced, with what the configuration here says
// of their targets.
func routesOf(fleet *jobs.Fleet, conf *config.Config) []jobs.Route {
	targets, routes := conf.Build()
	known := map[string]jobs.Route{}
	for _, route := range routes {
		known[route.Name] = route
	}
	named := map[string]*jobs.Target{}
	for _, target := range targets {
		named[target.Name] = target
	}
	all := make([]jobs.Route, 0, len(fleet.Chains))
	for name, chain := range fleet.Chains {
		route := known[name]
		route.Name, route.Chain = name, nil
		for _, target := range chain {
			if named[target] == nil {
				named[target] = &jobs.Target{Name: target, Timeouts: jobs.DefaultTimeouts}
			}
			route.Chain = append(route.Chain, named[target])
		}
		all = append(all, route)
	}
	return all
}

func (o *outlook) weight(tenant string) float64 {
	if weight, known := o.weights[tenant]; known {
		return weight
	}
	return 1
}

// Route says when what waits on a route now will be done.
func (o *outlook) Route(name string) jobs.Forecast { return o.of.Route(name) }

// turn says when those who stand there are done.
func (o *outlook) turn(turn *jobs.Turn) (worst jobs.Forecast) {
	for i, route := range turn.Routes {
		p := o.seen[route]
		if p == nil {
			p = &jobs.Progress{Route: route}
		}
		least, most := p.Ahead(turn, o.weight)
		own := 1.0 // of several routes, nobody knows how many are here
		if len(turn.Routes) == 1 {
			own = float64(turn.Own)
		}
		said := o.of.Until(route, float64(least), float64(most), own)
		if i == 0 {
			worst = said
		} else {
			worst = worst.Worse(said)
		}
	}
	return worst
}

// Batch says when a batch will be done, and its deadline (zero: none).
func (f *forecasts) Batch(ctx context.Context, batch *jobs.Batch) (said jobs.Forecast, deadline time.Time, err error) {
	all, err := f.Batches(ctx, []jobs.Batch{*batch})
	if err != nil {
		return said, deadline, err
	}
	return all[0].Said, all[0].Deadline, nil
}

// Batches says it of many, in their order, for what it costs to ask of one.
func (f *forecasts) Batches(ctx context.Context, batches []jobs.Batch) ([]jobs.Foreseen, error) {
	all := make([]jobs.Foreseen, len(batches))
	var at []int // of those that stand in queues
	var standing []*jobs.Batch
	for i := range batches {
		b := &batches[i]
		if b.Order != nil {
			all[i].Deadline = b.Order.ExpiresAt
		}
		switch {
		case b.Ended():
		case b.State == jobs.BatchValidating:
			all[i].Said = f.atLeast(ctx, b)
		case b.State == jobs.BatchFinalizing:
			all[i].Said.Reason = "its files are being written"
		case b.State == jobs.BatchCancelling:
			all[i].Said.Reason = "it is being cancelled"
		default:
			at, standing = append(at, i), append(standing, b)
		}
	}
	if len(at) == 0 {
		return all, nil
	}
	outlook, err := f.outlook(ctx)
	if err != nil {
		return nil, err
	}
	turns, err := f.store.BatchTurns(ctx, standing)
	if err != nil {
		return nil, err
	}
	for i := range turns {
		made, turn := &all[at[i]], &turns[i]
		if made.Deadline.IsZero() {
			made.Deadline = turn.Deadline
		}
		if made.Said = (jobs.Forecast{Ahead: turn.Own, Reason: "it is being enqueued"}); len(turn.Routes) > 0 {
			made.Said = outlook.turn(turn)
		}
	}
	return all, nil
}

// atLeast says when the first line of a batch will be done whose lines are being checked,
// if that is later than it may be; else no more than that they are.
func (f *forecasts) atLeast(ctx context.Context, batch *jobs.Batch) jobs.Forecast {
	said := jobs.Forecast{Reason: "its lines are being checked"}
	outlook, err := f.outlook(ctx)
	route := batch.Order.Route
	if err == nil && route == "" && len(outlook.seen) == 1 {
		for route = range outlook.seen {
		}
	}
	if err != nil || route == "" {
		return said
	}
	first := outlook.turn(&jobs.Turn{Tenant: batch.Tenant, Routes: []string{route}, Priority: jobs.DefaultPriority, Own: 1})
	if will, _ := first.Misses(batch.Order.ExpiresAt); will {
		first.Reason = "and that is its first line; " + said.Reason
		return first
	}
	return said
}

// Request says when a request will be done that waits, or is about to be enqueued.
func (f *forecasts) Request(ctx context.Context, request *jobs.Request) (jobs.Forecast, error) {
	outlook, err := f.outlook(ctx)
	if err != nil {
		return jobs.Forecast{}, err
	}
	return outlook.turn(&jobs.Turn{Tenant: request.Tenant, Routes: []string{request.Route}, Priority: request.Rank(), Last: request.CreatedAt, Own: 1}), nil
}
