package config

import (
	"strings"
	"time"

	"tidegate/jobs"
)

// The defaults of what the file leaves out.
const (
	DefaultListen          = "127.0.0.1:8080"
	DefaultDialect         = "openai"
	DefaultGoal            = "ordered"
	DefaultBilling         = "standard"
	DefaultWhenOpen        = "reroute"
	DefaultWhenFiltered    = "refuse"
	DefaultAdmission       = jobs.AdmissionDirect
	DefaultWeight          = 1
	DefaultConcurrency     = 200
	DefaultShutdownTimeout = 30 * time.Second
	DefaultHoldBudget      = 2 * time.Minute
)

// A defaulter fills in what its part of the file may leave out, before that part
// is read.
type defaulter interface{ setDefaults() }

func (c *Config) setDefaults() {
	c.Listen = DefaultListen
	c.Estimator.setDefaults()
	c.Worker.setDefaults()
	c.Batches.setDefaults()
	c.Retention.setDefaults()
	c.HTTP.setDefaults()
}

func (t *Target) setDefaults() {
	t.Dialect = DefaultDialect
	t.Billing = DefaultBilling
	t.Timeouts = Timeouts(jobs.DefaultTimeouts)
	t.Circuit = Circuit(jobs.DefaultThresholds)
}

func (r *Route) setDefaults() {
	r.Goal = DefaultGoal
	r.WhenOpen = DefaultWhenOpen
	r.WhenFiltered = DefaultWhenFiltered
	r.Admission = DefaultAdmission
}

func (t *Tenant) setDefaults() { t.Weight = DefaultWeight }

func (w *Worker) setDefaults() {
	w.Concurrency = DefaultConcurrency
	w.ShutdownTimeout = DefaultShutdownTimeout
	w.HoldBudget = DefaultHoldBudget
}

// DefaultSimulated is the configuration of a machine without any provider: three
// simulated ones, of different price and speed, below base (as in
// "http://127.0.0.1:9090"), and one route for summaries that prefers the
// cheapest. Postgres and NATS are left empty.
func DefaultSimulated(base string) *Config {
	base = strings.TrimRight(base, "/")
	target := func(kind, model string, input, output float64) Target {
		t := Target{
			Name: "sim-" + kind, Provider: "sim-" + kind, BaseURL: base + "/" + kind + "/v1",
			Model: model, Endpoints: endpointNames(), ContextTokens: 128_000,
		}
		t.setDefaults()
		cached := input / 10
		t.Price = &Price{Input: input, CachedInput: &cached, Output: output}
		return t
	}
	route := Route{Name: "summaries", Chain: []string{"sim-cheap", "sim-fast", "sim-dear"}, Deadline: 24 * time.Hour}
	route.setDefaults()
	c := &Config{
		Targets: []Target{
			target("cheap", "sim-small", 0.10, 0.40),
			target("fast", "sim-medium", 0.60, 2.40),
			target("dear", "sim-large", 3.00, 15.00),
		},
		Routes: []Route{route},
	}
	c.setDefaults()
	return c
}
