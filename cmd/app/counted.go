package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"tidegate/cmd/app/metrics"
	"tidegate/jobs"
	"tidegate/store"
	"tidegate/worker"
)

const (
	// exampleMetrics is what messages show for metrics_listen.
	exampleMetrics = "127.0.0.1:9464"
	// metricsFlag names an address for metrics.
	metricsFlag = "--metrics-listen"
	// metricsConns is what reading how the fleet stands needs of a pool of its own, so
	// that a scrape waits for nothing else, and nothing for it.
	metricsConns = 2
)

// newMetrics are those of this process, and of the fleet on a database.
func newMetrics(pool *pgxpool.Pool) *metrics.Metrics {
	m := metrics.New(programVersion())
	m.Fleet(store.New(pool).Gauges, time.Now)
	return m
}

// registerMetrics gives a command the flag that says where metrics are.
func registerMetrics(cmd *cobra.Command) {
	cmd.Flags().String(strings.TrimPrefix(metricsFlag, "--"), "", "also answer /metrics, /healthz and /readyz at this address, and ask nobody for a key; wins over the configuration")
}

func checkMetricsFlag(cmd *cobra.Command) error {
	if address, _ := cmd.Flags().GetString(strings.TrimPrefix(metricsFlag, "--")); address != "" {
		return checkAddress(metricsFlag, address)
	}
	return nil
}

// openMetrics is what serves the metrics of this process, at an address of their own if
// there is one. Call done at the end.
func (o *options) openMetrics(cmd *cobra.Command, config *Config) (m *metrics.Metrics, at *probed, done func(), err error) {
	address := config.MetricsListen
	if flag := cmd.Flags().Lookup(strings.TrimPrefix(metricsFlag, "--")); flag.Changed {
		address = flag.Value.String()
	}
	pool, err := o.connect(cmd.Context(), metricsConns)
	if err != nil {
		return nil, nil, nil, err
	}
	m = newMetrics(pool)
	if at, err = listenProbed(cmd.Context(), address, pool, m); err != nil {
		pool.Close()
		return nil, nil, nil, err
	}
	if at.listener != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "metrics on http://%s/metrics\n", at.listener.Addr())
	}
	return m, at, pool.Close, nil
}

// watchBy is what a worker tells metrics; nil: nobody is told.
func watchBy(m *metrics.Metrics) worker.Watch {
	if m == nil {
		return worker.Watch{}
	}
	return worker.Watch{Kept: m.Kept, Expired: m.Expired, Rescued: m.Rescued}
}

// sentBy is what a relay tells them.
func sentBy(m *metrics.Metrics) func(*jobs.Event, bool) {
	if m == nil {
		return nil
	}
	return m.Sent
}

// counted has the metrics show what this stack's worker says of itself.
func (s *Stack) counted() *Stack {
	if m := s.config.Metrics; m != nil && s.Worker != nil {
		works := metrics.Works{Paces: s.Router.Paces, InHand: s.Worker.InHand, Waiting: s.Worker.Waiting}
		if !s.config.Desk {
			works.Leads = s.Worker.Leads
		}
		m.Follow(works)
		s.know(s.config.Routes)
	}
	return s
}

// know tells the metrics what targets there are.
func (s *Stack) know(routes []jobs.Route) {
	if s.config.Metrics == nil {
		return
	}
	names, known := make([]string, len(routes)), map[string]metrics.Target{}
	for i := range routes {
		names[i] = routes[i].Name
	}
	for _, t := range targetsOf(routes) {
		known[t.Name] = metrics.Target{Provider: t.Provider, Model: t.Model}
	}
	s.config.Metrics.Know(names, known)
}

// targetsOf lists all targets of routes; one that stands in several comes as often.
func targetsOf(routes []jobs.Route) (targets []*jobs.Target) {
	for _, route := range routes {
		targets = append(append(targets, route.Chain...), route.EscalateTo...)
	}
	return targets
}

// A probed is an address of its own where orchestrators and Prometheus ask, and nobody
// needs a key.
type probed struct {
	listener net.Listener // nil: there is none
	handler  http.Handler
}

// listenProbed listens on an address; empty: nowhere.
func listenProbed(ctx context.Context, address string, pool *pgxpool.Pool, m *metrics.Metrics) (*probed, error) {
	if address == "" {
		return &probed{}, nil
	}
	listener, err := listen(ctx, metricsFlag, address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", alive)
	mux.Handle("GET /readyz", ready(pool))
	mux.Handle("GET /metrics", m)
	return &probed{listener, mux}, nil
}

// beside serves while something runs, and returns what that does.
func (p *probed) beside(ctx context.Context, run func(context.Context) error) error {
	if p.listener == nil {
		return run(ctx)
	}
	server := &http.Server{
		Handler: p.handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: idleTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(p.listener) }()
	err := run(ctx)
	_ = server.Close()
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		return errors.Join(err, fmt.Errorf("serving metrics: %w", served))
	}
	return err
}
