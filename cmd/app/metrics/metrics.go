package metrics

import (
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tidegate/jobs"
)

// atOnce is how many may scrape at a time, and scrapeWithin how long one may take:
// Prometheus itself gives up after 10 s.
const (
	atOnce       = 4
	scrapeWithin = 9 * time.Second
)

// A Target is what labels say of a target.
type Target struct{ Provider, Model string }

// Metrics are those of one process. Make them with New; they are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	counts   *counts
	routes   names
	targets  names
	known    atomic.Pointer[map[string]Target]
	works    atomic.Pointer[Works]
}

// Works is what a worker says of itself when it is asked. Each of them may be nil.
type Works struct {
	Paces   func() []jobs.Pace
	InHand  func() map[string]int
	Waiting func(route string) int // of those in hand: at the gate
	Leads   func() bool
}

// New returns metrics of a process that runs a version of the program.
func New(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.counts = newCounts(m.registry)
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tidegate_build_info", Help: "The version that runs; always 1."}, []string{"version", "go_version"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	m.registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newWorking(m))
	return m
}

// Know says what routes the configuration has, with the targets of their chains, and what
// these are. What is counted of them begins at zero: Prometheus sees no rise in what it
// sees for the first time.
func (m *Metrics) Know(chains map[string][]string, targets map[string]Target) {
	m.known.Store(&targets)
	for route, chain := range chains {
		for _, target := range chain {
			m.counts.cost.WithLabelValues(m.routes.of(route), m.targets.of(target))
		}
		for _, state := range jobs.States() {
			m.counts.ended.WithLabelValues(m.routes.of(route), string(state))
			m.counts.sent.WithLabelValues(m.routes.of(route), string(state))
		}
	}
	for target := range targets {
		target = m.targets.of(target)
		for _, class := range jobs.Classes() {
			m.counts.attempts.WithLabelValues(target, string(class))
		}
		for _, why := range []string{wastedLost, wastedDiscarded, wastedBad} {
			m.counts.wasted.WithLabelValues(target, why)
			m.counts.wastedCost.WithLabelValues(target, why)
		}
		for _, kind := range tokenKinds {
			m.counts.tokens.WithLabelValues(target, kind)
		}
		m.counts.unpriced.WithLabelValues(target)
	}
}

// Follow has the metrics show what a worker says of itself. The next one takes its place.
func (m *Metrics) Follow(works Works) { m.works.Store(&works) }

// ServeHTTP answers a scrape.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: atOnce, Timeout: scrapeWithin,
	}).ServeHTTP(w, r)
}

// Gather is for tests, and for whoever has another way out.
func (m *Metrics) Gather() prometheus.Gatherer { return m.registry }

func (m *Metrics) target(name string) Target {
	if known := m.known.Load(); known != nil {
		return (*known)[name]
	}
	return Target{}
}
