package metrics

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tidegate/jobs"
	"tidegate/store"
)

const (
	// readingLasts is how long a reading serves all who scrape.
	readingLasts = 4 * time.Second
	// readsWithin is how long it may take, so that a scrape tells of the process, at
	// least, while Postgres is away.
	readsWithin = 4 * time.Second
	// silentAfter is the age of a beat from which a worker counts as silent: it beats
	// every two seconds, and is declared dead after ten.
	silentAfter = 10 * time.Second
)

// fleet shows how the fleet stands, by Postgres. Safe for concurrent use.
type fleet struct {
	read    func(context.Context) (store.Gauges, error)
	now     func() time.Time
	metrics *Metrics

	mu     sync.Mutex
	last   *store.Gauges // nil: it could not be read
	at     time.Time     // when it was asked for last
	failed float64
	took   time.Duration
	is     fleetDescs
}

// fleetDescs are what there is to be shown.
type fleetDescs struct {
	up, failed, took                           *prometheus.Desc
	jobs, oldest, paused, holding, targets     *prometheus.Desc
	state, down, cooldown, degraded, person    *prometheus.Desc
	outbox, behind, batches, workers, lease    *prometheus.Desc
	budgets, budgetsSpent, spent, drills, beat *prometheus.Desc
	webhooks, failing, webhooksWait            *prometheus.Desc
	removal, swept                             *prometheus.Desc
}

// Fleet has the metrics show how the fleet stands, as read says.
func (m *Metrics) Fleet(read func(context.Context) (store.Gauges, error), now func() time.Time) {
	m.registry.MustRegister(&fleet{read: read, now: now, metrics: m, is: newFleetDescs()})
}

func newFleetDescs() fleetDescs {
	of := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return fleetDescs{
		up:           of("tidegate_fleet_up", "1 if how the fleet stands could be read from Postgres; all that is of the fleet is absent otherwise."),
		failed:       of("tidegate_fleet_reads_failed_total", "How often this process could not read how the fleet stands."),
		took:         of("tidegate_fleet_read_duration_seconds", "How long the last reading took."),
		jobs:         of("tidegate_queue_jobs", "Jobs of a route: those that wait, also until a time, those in the hands of workers, and those that River gave up.", "route", "state"),
		oldest:       of("tidegate_queue_oldest_age_seconds", "Age of the oldest of the jobs that are first in the queue of a route; 0: there is none.", "route"),
		paused:       of("tidegate_route_paused", "1 while the queue of a route is paused by an owner: circuit, budget or person.", "route", "owner"),
		holding:      of("tidegate_route_holding", "1 while no target of the chain of a route may be called.", "route"),
		targets:      of("tidegate_route_targets", "Targets of the chain of a route: all, and those that may be called.", "route", "state"),
		state:        of("tidegate_circuit_state", "1 for the state that the circuit of a target is in: closed, open or half-open.", "target", "state"),
		down:         of("tidegate_circuit_down_seconds", "For how long the circuit of a target has not been closed; 0: it is.", "target"),
		cooldown:     of("tidegate_circuit_cooldown_seconds", "For how long a target is still left alone; 0: it is not; +Inf: until somebody closes its circuit.", "target"),
		degraded:     of("tidegate_circuit_degraded", "1 while the answers of a target are worse than they were.", "target"),
		person:       of("tidegate_circuit_by_person", "1 while the circuit of a target stands where a person put it, or was probed since its target was configured anew.", "target"),
		outbox:       of("tidegate_outbox_events", "Events that owe a message on NATS, counted up to 50,000."),
		behind:       of("tidegate_outbox_oldest_age_seconds", "Age of the oldest of them; 0: there is none."),
		batches:      of("tidegate_batches", "Batches that have not ended, by state.", "state"),
		workers:      of("tidegate_workers", "Workers, and desks that only answer who waits: alive, silent for longer than they should be, or declared dead in the last hour.", "kind", "state"),
		beat:         of("tidegate_worker_beat_age_seconds", "The longest time since the last beat, of workers that are not declared dead."),
		lease:        of("tidegate_supervisor_lease_held", "1 while a worker supervises the fleet."),
		budgets:      of("tidegate_budgets", "Budgets that are in effect, by what they are of: tenant, route or batch.", "scope"),
		budgetsSpent: of("tidegate_budgets_exhausted", "Budgets that are spent, so that requests wait.", "scope"),
		spent:        of("tidegate_budget_spent_ratio", "How much of a budget is spent: of each route, and of tenants and batches the highest.", "scope", "route", "period"),
		drills:       of("tidegate_drills", "Outages on demand that are on."),
		webhooks:     of("tidegate_webhooks", "Webhooks: those that are told of events, those of them whose last try failed, and those that are disabled.", "state"),
		failing:      of("tidegate_webhooks_failing_seconds", "For how long an enabled webhook has not been told what it was to be told, the longest; 0: all were."),
		webhooksWait: of("tidegate_webhook_events_oldest_age_seconds", "For how long the oldest event has waited for a worker that tells a webhook of it; 0: none waits."),
		removal:      of("tidegate_retention_behind_seconds", "How far the removal of what was kept long enough is behind: requests, or attempts; absent: they are kept for ever.", "what"),
		swept:        of("tidegate_retention_swept_age_seconds", "For how long nobody has said how far that is.", "what"),
	}
}

func (d *fleetDescs) all() []*prometheus.Desc {
	return []*prometheus.Desc{
		d.up, d.failed, d.took, d.jobs, d.oldest, d.paused, d.holding, d.targets, d.state, d.down, d.cooldown, d.degraded,
		d.person, d.outbox, d.behind, d.batches, d.workers, d.beat, d.lease, d.budgets, d.budgetsSpent, d.spent, d.drills,
		d.webhooks, d.failing, d.webhooksWait, d.removal, d.swept,
	}
}

// Describe is for prometheus.Collector.
func (f *fleet) Describe(to chan<- *prometheus.Desc) {
	for _, d := range f.is.all() {
		to <- d
	}
}

// Collect is for prometheus.Collector. Who comes while another one reads waits for what
// that one gets.
func (f *fleet) Collect(to chan<- prometheus.Metric) {
	f.mu.Lock()
	defer f.mu.Unlock()
	began := f.now()
	if f.at.IsZero() || began.Sub(f.at) >= readingLasts || began.Before(f.at) {
		ctx, cancel := context.WithTimeout(context.Background(), readsWithin)
		gauges, err := f.read(ctx)
		cancel()
		f.at, f.last = began, &gauges
		f.took = f.now().Sub(began)
		if err != nil {
			f.last = nil
			f.failed++
		}
	}
	s := shown{to: to, fleet: f, now: f.now(), is: &f.is}
	s.gauge(s.is.up, number(f.last != nil))
	to <- prometheus.MustNewConstMetric(s.is.failed, prometheus.CounterValue, f.failed)
	if f.last == nil {
		return
	}
	s.gauge(s.is.took, f.took.Seconds())
	s.queues(f.last)
	s.routes(&f.last.Fleet)
	s.circuits(f.last.Fleet.Circuits)
	s.workers(f.last)
	s.budgets(f.last.Fleet.Budgets)
	s.chores(f.last)
}

// shown is one answer to a scrape.
type shown struct {
	to    chan<- prometheus.Metric
	fleet *fleet
	now   time.Time
	is    *fleetDescs
}

func (s *shown) gauge(of *prometheus.Desc, value float64, labels ...string) {
	s.to <- prometheus.MustNewConstMetric(of, prometheus.GaugeValue, value, labels...)
}

func (s *shown) route(name string) string { return s.fleet.metrics.routes.of(name) }

// openBatches are the states of batches that have not ended.
var openBatches = []jobs.BatchState{jobs.BatchValidating, jobs.BatchInProgress, jobs.BatchFinalizing, jobs.BatchCancelling}

func (s *shown) queues(g *store.Gauges) {
	seen := map[string]bool{}
	for i := range g.Routes {
		r := &g.Routes[i]
		route := s.route(r.Route)
		if seen[route] { // one of those beyond the bound
			continue
		}
		seen[route] = true
		s.gauge(s.is.jobs, float64(r.Waiting), route, "waiting")
		s.gauge(s.is.jobs, float64(r.InHand), route, "in_hand")
		s.gauge(s.is.jobs, float64(r.Discarded), route, "discarded")
		s.gauge(s.is.oldest, g.Ages[r.Route], route)
	}
	s.gauge(s.is.outbox, float64(g.Outbox))
	s.gauge(s.is.behind, g.Behind)
	for _, state := range openBatches {
		s.gauge(s.is.batches, float64(g.Batches[state]), string(state))
	}
	s.gauge(s.is.drills, float64(len(g.Fleet.Drills)))
}

func (s *shown) routes(f *jobs.Fleet) {
	type key struct {
		route string
		owner jobs.Owner
	}
	paused := map[key]bool{}
	for i := range f.Pauses {
		paused[key{s.route(f.Pauses[i].Route), f.Pauses[i].Owner}] = true
	}
	seen := map[string]bool{}
	for name, chain := range f.Chains {
		route := s.route(name)
		if seen[route] { // one of those beyond the bound
			continue
		}
		seen[route] = true
		for _, owner := range []jobs.Owner{jobs.OwnerCircuit, jobs.OwnerBudget, jobs.OwnerPerson} {
			s.gauge(s.is.paused, number(paused[key{route, owner}]), route, string(owner))
		}
		callable := 0
		for _, target := range chain {
			if !jobs.Hold([]string{target}, f.Circuits, s.now).Holds {
				callable++
			}
		}
		s.gauge(s.is.holding, number(jobs.Hold(chain, f.Circuits, s.now).Holds), route)
		s.gauge(s.is.targets, float64(len(chain)), route, "all")
		s.gauge(s.is.targets, float64(callable), route, "callable")
	}
}

func (s *shown) circuits(circuits []jobs.Circuit) {
	seen := map[string]bool{}
	for i := range circuits {
		c := &circuits[i]
		target := s.fleet.metrics.targets.of(c.Target)
		if seen[target] {
			continue
		}
		seen[target] = true
		for _, state := range []jobs.CircuitState{jobs.CircuitClosed, jobs.CircuitOpen, jobs.CircuitHalfOpen} {
			s.gauge(s.is.state, number(c.State == state), target, string(state))
		}
		down := 0.0
		if c.State != jobs.CircuitClosed && !c.DownSince.IsZero() {
			down = max(0, s.now.Sub(c.DownSince).Seconds())
		}
		cooldown := max(0, c.CooldownUntil.Sub(s.now).Seconds())
		if c.UntilClosed(s.now) {
			cooldown = math.Inf(1)
		}
		s.gauge(s.is.down, down, target)
		s.gauge(s.is.cooldown, cooldown, target)
		s.gauge(s.is.degraded, number(c.Degraded != ""), target)
		s.gauge(s.is.person, number(c.Person), target)
	}
}

func (s *shown) workers(g *store.Gauges) {
	type key struct{ kind, state string }
	n, oldest := map[key]int{}, 0.0
	for i := range g.Fleet.Peers {
		peer := &g.Fleet.Peers[i]
		age, kind, state := s.fleet.at.Sub(peer.At), "worker", "alive"
		if jobs.IsDesk(peer.Worker) {
			kind = "desk"
		}
		switch {
		case peer.Dead:
			state = "dead"
		case age > silentAfter:
			state = "silent"
		}
		n[key{kind, state}]++
		if !peer.Dead {
			oldest = max(oldest, age.Seconds())
		}
	}
	for _, kind := range []string{"worker", "desk"} {
		for _, state := range []string{"alive", "silent", "dead"} {
			s.gauge(s.is.workers, float64(n[key{kind, state}]), kind, state)
		}
	}
	s.gauge(s.is.beat, oldest)
	s.gauge(s.is.lease, number(g.Lead != ""))
}

func (s *shown) budgets(budgets []jobs.Budget) {
	type key struct{ scope, route, period string }
	all, out, spent := map[string]int{}, map[string]int{}, map[key]float64{}
	for i := range budgets {
		b := &budgets[i]
		if b.None() {
			continue
		}
		scope, route := string(b.Scope), ""
		if b.Scope == jobs.BudgetRoute {
			route = s.route(b.Name)
		}
		all[scope]++
		if !b.OutSince.IsZero() {
			out[scope]++
		}
		for period, of := range map[string][2]jobs.MicroUSD{"day": {b.SpentToday, b.PerDay}, "total": {b.Spent, b.Total}} {
			if k := (key{scope, route, period}); of[1] > 0 {
				spent[k] = max(spent[k], float64(of[0])/float64(of[1]))
			}
		}
	}
	for _, scope := range []jobs.BudgetScope{jobs.BudgetTenant, jobs.BudgetRoute, jobs.BudgetBatch} {
		s.gauge(s.is.budgets, float64(all[string(scope)]), string(scope))
		s.gauge(s.is.budgetsSpent, float64(out[string(scope)]), string(scope))
	}
	for k, ratio := range spent {
		s.gauge(s.is.spent, ratio, k.scope, k.route, k.period)
	}
}

// chores are what is done beside the work.
func (s *shown) chores(g *store.Gauges) {
	w := &g.Webhooks
	s.gauge(s.is.webhooks, float64(w.Enabled), "enabled")
	s.gauge(s.is.webhooks, float64(w.Failing), "failing")
	s.gauge(s.is.webhooks, float64(w.Disabled), "disabled")
	s.gauge(s.is.failing, w.FailingFor)
	s.gauge(s.is.webhooksWait, w.Waits)
	for _, k := range g.Kept {
		s.gauge(s.is.removal, k.Behind, k.What)
		s.gauge(s.is.swept, k.Silent, k.What)
	}
}
