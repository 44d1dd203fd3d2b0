package config

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"tidegate/jobs"
)

// Build makes the targets and the routes of a checked configuration, in its
// order, with the prices that hold now. Routes that share a target share the pointer.
func (c *Config) Build() ([]*jobs.Target, []jobs.Route) { return c.BuildAt(time.Now()) }

// BuildAt is Build with the prices that hold at a time.
func (c *Config) BuildAt(now time.Time) ([]*jobs.Target, []jobs.Route) {
	targets := make([]*jobs.Target, len(c.Targets))
	named := map[string]*jobs.Target{}
	for i := range c.Targets {
		targets[i] = c.Targets[i].build()
		c.Targets[i].setPrice(targets[i], c.Pricing(&c.Targets[i], now))
		named[targets[i].Name] = targets[i]
	}
	routes := make([]jobs.Route, len(c.Routes))
	for i, r := range c.Routes {
		routes[i] = jobs.Route{
			Name: r.Name, Goal: r.Goal, Goals: c.AllGoals(), Choosing: fmt.Sprint(c.Strategies, c.Estimator), Deadline: r.Deadline, WhenOpen: jobs.WhenOpen(r.WhenOpen),
			OtherPolicies: r.WhenFiltered != DefaultWhenFiltered, Models: r.Models, Expect: r.Expect.Build(), ExpectsNothing: r.Expect == nil,
		}
		if r.Admission != DefaultAdmission {
			routes[i].Admission = r.Admission
		}
		for _, name := range r.Chain {
			routes[i].Chain = append(routes[i].Chain, named[name])
		}
		for _, name := range r.EscalateTo {
			routes[i].EscalateTo = append(routes[i].EscalateTo, named[name])
		}
	}
	return targets, routes
}

func (t *Target) build() *jobs.Target {
	return &jobs.Target{
		Name: t.Name, Provider: t.Provider, Region: t.Region, Dialect: t.Dialect,
		BaseURL: t.BaseURL, Key: t.APIKey, Model: t.Model, Endpoints: t.endpoints(), Policy: t.ContentPolicy, ContextTokens: t.ContextTokens, Variant: t.variant(), Stream: t.Stream,
		Limits:  jobs.Limits(t.Limits),
		Circuit: jobs.Thresholds(t.Circuit),
		Timeouts: jobs.Timeouts{
			Connect:   min(t.Timeouts.Connect, t.Timeouts.Total),
			FirstByte: min(t.Timeouts.FirstByte, t.Timeouts.Total),
			Idle:      min(t.Timeouts.Idle, t.Timeouts.Total),
			Total:     t.Timeouts.Total,
		},
	}
}

// LineOptions reads lines for the routes of this configuration: a line's model
// may choose the route, a route gives its deadline, and where there is one route
// only it takes what no other would.
func (c *Config) LineOptions() jobs.LineOptions {
	byModel, deadlines := map[string]string{}, map[string]time.Duration{}
	served := map[string]jobs.EndpointSet{}
	_, routes := c.Build()
	for _, route := range routes {
		served[route.Name] = route.Serves()
	}
	for _, route := range c.Routes {
		deadlines[route.Name] = route.Deadline
		for _, model := range route.Models {
			byModel[model] = route.Name
		}
	}
	opts := jobs.LineOptions{
		Routes:     func(model string) (string, bool) { route, ok := byModel[model]; return route, ok },
		KnownRoute: func(route string) bool { _, ok := deadlines[route]; return ok },
		Served:     func(route string) jobs.EndpointSet { return served[route] },
		Deadline:   func(route string) time.Duration { return deadlines[route] },
	}
	if len(c.Routes) == 1 {
		opts.DefaultRoute = c.Routes[0].Name
	}
	return opts
}

// String writes the configuration as YAML with everything that its file left
// out, and without its secrets.
func (c Config) String() string {
	out, err := yaml.Marshal(struct {
		Postgres   string             `yaml:"postgres,omitempty"`
		NATS       string             `yaml:"nats,omitempty"`
		NATSDoor   *bool              `yaml:"nats_door,omitempty"`
		Listen     string             `yaml:"listen"`
		Metrics    string             `yaml:"metrics_listen,omitempty"`
		Prices     string             `yaml:"prices,omitempty"`
		Targets    []Target           `yaml:"targets"`
		Routes     []Route            `yaml:"routes"`
		Canaries   []Canary           `yaml:"canaries,omitempty"`
		Tenants    []Tenant           `yaml:"tenants,omitempty"`
		Strategies map[string]Weights `yaml:"strategies,omitempty"`
		Estimator  Estimator          `yaml:"estimator"`
		Worker     Worker             `yaml:"worker"`
		Batches    Batches            `yaml:"batches"`
		Retention  Retention          `yaml:"retention"`
		Webhooks   Webhooks           `yaml:"webhooks"`
	}{RedactURL(c.Postgres), RedactURL(c.NATS), c.NATSDoor, c.Listen, c.MetricsListen, c.Prices, c.Targets, c.Routes, c.Canaries, c.Tenants, c.Strategies, c.Estimator, c.Worker, c.Batches, c.Retention, c.Webhooks})
	if err != nil {
		return "configuration of " + c.File
	}
	return string(out)
}

// RedactURL shows where a connection goes: scheme, host and path of each URL of
// a list with commas. Who connects, and everything else that may hold a
// password, is left out; what is no URL is hidden whole.
func RedactURL(list jobs.Secret) string {
	if list == "" {
		return ""
	}
	var shown []string
	for one := range strings.SplitSeq(list.Reveal(), ",") {
		at, err := url.Parse(strings.TrimSpace(one))
		if err != nil || at.Scheme == "" || at.Opaque != "" || at.User == nil && strings.Contains(at.Path, "@") {
			return list.String()
		}
		shown = append(shown, (&url.URL{Scheme: at.Scheme, Host: at.Host, Path: at.Path}).String())
	}
	return strings.Join(shown, ",")
}
