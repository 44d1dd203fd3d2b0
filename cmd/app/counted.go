package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"tidegate/cmd/app/config"
	"tidegate/cmd/app/metrics"
	"tidegate/cmd/app/tracing"
	"tidegate/jobs"
	"tidegate/routing/prices"
	"tidegate/store"
	"tidegate/worker"
	"tidegate/worker/publish"
)

const (
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

// A telemetry is what this process tells of itself.
type telemetry struct {
	metrics *metrics.Metrics
	tracer  *tracing.Tracer // nil: nobody wants traces
	*probed
	pool *pgxpool.Pool
	log  zerolog.Logger
}

// openTelemetry prepares it, with an address of its own for metrics if there is one.
// Close it at the end.
func (o *options) openTelemetry(cmd *cobra.Command, conf *config.Config, log zerolog.Logger) (t *telemetry, err error) {
	address := conf.MetricsListen
	if flag := cmd.Flags().Lookup(strings.TrimPrefix(metricsFlag, "--")); flag.Changed {
		address = flag.Value.String()
	}
	t = &telemetry{log: log}
	if t.tracer, err = newTracer(cmd.Context(), log); err != nil {
		return nil, err
	}
	if t.pool, err = o.connect(cmd.Context(), metricsConns); err != nil {
		return nil, err
	}
	t.metrics = newMetrics(t.pool)
	if t.probed, err = listenProbed(cmd.Context(), address, t.pool, t.metrics); err != nil {
		t.pool.Close()
		return nil, err
	}
	if t.listener != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "metrics on http://%s/metrics\n", t.listener.Addr())
	}
	return t, nil
}

// newTracer sends traces if the environment says where to; nil: it does not.
func newTracer(ctx context.Context, log zerolog.Logger) (*tracing.Tracer, error) {
	return tracing.New(ctx, programVersion(), os.Getenv, func(err error) {
		log.Warn().Err(err).Msg("spans were not sent; they are lost")
	})
}

func (t *telemetry) close() {
	if err := t.tracer.Close(); err != nil {
		t.log.Warn().Err(err).Msg("the last spans were not sent")
	}
	t.pool.Close()
}

// watched is what a worker tells metrics and traces.
func (c *StackConfig) watched() worker.Watch {
	var w worker.Watch
	m, t := c.Metrics, c.Tracer
	if m != nil {
		w = worker.Watch{Kept: m.Kept, Expired: m.Expired, Rescued: m.Rescued}
	}
	if t != nil {
		w.Kept = func(entry *jobs.Entry, stored bool) {
			if m != nil {
				m.Kept(entry, stored)
			}
			t.Kept(entry, stored)
		}
	}
	return w
}

// relayed is what a relay is made of, with what it tells them.
func (c *StackConfig) relayed(outbox publish.Outbox) publish.Config {
	made := publish.Config{Outbox: outbox, Conn: c.Conn, Log: c.Log}
	m, t := c.Metrics, c.Tracer
	if m != nil || t != nil {
		made.Sent = func(event *jobs.Event, acknowledged bool) {
			if m != nil {
				m.Sent(event, acknowledged)
			}
			t.Sent(event, acknowledged)
		}
	}
	if t != nil {
		made.Trace = t.Traceparent
	}
	return made
}

// counted has the metrics show what this stack's worker says of itself.
func (s *Stack) counted() *Stack {
	if m := s.config.Metrics; m != nil && s.Worker != nil {
		works := metrics.Works{Paces: s.Router.Paces, InHand: s.Worker.InHand, Waiting: s.Worker.Waiting}
		if !s.config.Desk {
			works.Leads = s.Worker.Leads
		}
		m.Follow(works)
	}
	s.know(s.config.Routes)
	return s
}

// know tells metrics and traces what targets there are.
func (s *Stack) know(routes []jobs.Route) {
	traced := map[string]tracing.Target{}
	for _, t := range targetsOf(routes) {
		traced[t.Name] = tracing.Target{Provider: genAIProvider(t), Model: t.Model, BaseURL: t.BaseURL}
	}
	s.config.Tracer.Know(traced)
	if s.config.Metrics == nil {
		return
	}
	chains, known := map[string][]string{}, map[string]metrics.Target{}
	for i := range routes {
		chain := []string{}
		for _, t := range targetsOf(routes[i : i+1]) {
			chain = append(chain, t.Name)
			known[t.Name] = metrics.Target{Provider: genAIProvider(t), Model: t.Model}
		}
		chains[routes[i].Name] = chain
	}
	s.config.Metrics.Know(chains, known)
}

// genAIProviders are vendors, as who sends the bill, under the names that OpenTelemetry's
// conventions for GenAI have for them.
var genAIProviders = map[string]string{
	"anthropic": "anthropic", "azure": "azure.ai.openai", "bedrock": "aws.bedrock", "cohere": "cohere", "deepseek": "deepseek", "google": "gcp.gemini", "groq": "groq",
	"mistral": "mistral_ai", "openai": "openai", "perplexity": "perplexity", "vertex": "gcp.vertex_ai", "xai": "x_ai",
}

// genAIProvider is who answers at a target as the conventions name him, or, where they
// have no name for him, as the configuration does.
func genAIProvider(t *jobs.Target) string {
	return cmp.Or(genAIProviders[prices.VendorOf(t.BaseURL)], t.Provider)
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
