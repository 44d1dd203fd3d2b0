package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidegate/jobs"
)

// DefaultListen is a free port on loopback.
const DefaultListen = "127.0.0.1:0"

// defaultBurst is how much of a minute's limit may be used at once: all of it,
// as at OpenAI.
const defaultBurst = time.Minute

// A Config says which providers there are. It is plain data with YAML names, so
// that a drill is a file:
//
//	listen: 127.0.0.1:8089
//	providers:
//	  - name: cheap
//	    dialect: openai
//	    models: [small]
//	    latency: {median: 400ms, p99: 2s, per_token: 5ms}
//	    limits: {requests_per_minute: 600, tokens_per_minute: 200000}
//	    capacity: {per_second: 8, cold_from: 0.4, cold_for: 1m, announces: true}
//	    script:
//	      - {at: 30s, mode: rate_limit, rate: 0.25, retry_after: 2s, for: 20s}
//	      - {at: 2m, mode: unavailable, for: 3m}
type Config struct {
	// Listen is the address; DefaultListen when empty.
	Listen string `yaml:"listen"`
	// Seed moves every draw: latencies, brown-outs, ids. Equal seeds give equal
	// draws.
	Seed uint64 `yaml:"seed"`
	// Plain answers with one short line about the document in place of a
	// summary, for tests of load alone.
	Plain bool `yaml:"plain"`
	// Remember keeps a count per distinct request, so that Seen can prove that
	// nothing was asked twice. It costs about 40 bytes a request, for ever.
	Remember bool `yaml:"remember"`
	// Providers has at least one.
	Providers []Provider `yaml:"providers"`
	// Now is the clock of script, limits and counters; nil: time.Now.
	Now func() time.Time `yaml:"-"`
}

// A Provider is one simulated account at a vendor.
type Provider struct {
	// Name is unique and the first part of the provider's path.
	Name string `yaml:"name"`
	// Dialect is the wire format; "openai" when empty.
	Dialect string `yaml:"dialect"`
	// Models are those it has; empty: any name is taken.
	Models []string `yaml:"models"`
	// Endpoints are those it serves, as in embeddings; empty: all of its dialect.
	Endpoints []string `yaml:"endpoints"`
	// Key is the only one that it takes; empty: any or none.
	Key jobs.Secret `yaml:"key"`
	// ContextTokens is the window of its models; zero: no limit.
	ContextTokens int      `yaml:"context_tokens"`
	Latency       Latency  `yaml:"latency"`
	Limits        Limits   `yaml:"limits"`
	Capacity      Capacity `yaml:"capacity"`
	// CachedShare is the part of the input that usage calls cached, in [0, 1].
	CachedShare float64 `yaml:"cached_share"`
	// ReasoningTokens are added to the output of every answer in its usage.
	ReasoningTokens int    `yaml:"reasoning_tokens"`
	Script          []Step `yaml:"script"`
}

// Limits are what a provider answers with 429. A zero is no limit.
type Limits struct {
	RequestsPerMinute int `yaml:"requests_per_minute"`
	TokensPerMinute   int `yaml:"tokens_per_minute"`
	Concurrency       int `yaml:"concurrency"` // calls at once
	// Burst is how much of the limit may be used at once, as the time in which
	// it comes back; zero: a minute.
	Burst time.Duration `yaml:"burst"`
}

// Validate says which field is wrong and what would be right, or nil.
func (c Config) Validate() error {
	if len(c.Providers) == 0 {
		return errors.New("providers: there are none; give at least one, as in {name: cheap, dialect: openai}")
	}
	taken := make(map[string]bool)
	for i, provider := range c.Providers {
		if err := provider.validate(); err != nil {
			return fmt.Errorf("providers[%d] %q: %w", i, provider.Name, err)
		}
		if taken[provider.Name] {
			return fmt.Errorf("providers[%d]: the name %q is taken; give each its own", i, provider.Name)
		}
		taken[provider.Name] = true
	}
	return nil
}

func (p Provider) validate() error {
	if err := jobs.CheckName(p.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if _, ok := dialects[cmp.Or(p.Dialect, defaultDialect)]; !ok {
		return fmt.Errorf("dialect: %q is not known; use one of %s", p.Dialect, strings.Join(Dialects(), ", "))
	}
	for i, name := range p.Endpoints {
		if _, known := jobs.EndpointNamed(name); !known {
			return fmt.Errorf("endpoints[%d]: %q is not known; use chat, embeddings, responses or completions", i, name)
		}
	}
	if err := p.Latency.validate(); err != nil {
		return fmt.Errorf("latency.%w", err)
	}
	if !(p.CachedShare >= 0 && p.CachedShare <= 1) {
		return fmt.Errorf("cached_share: %v is not a share; use a number from 0 to 1", p.CachedShare)
	}
	if err := p.checkCounts(); err != nil {
		return err
	}
	if err := p.Capacity.Validate(); err != nil {
		return fmt.Errorf("capacity.%w", err)
	}
	for i, step := range p.Script {
		if step.At < 0 {
			return fmt.Errorf("script[%d].at: %s is below zero; count from the start, as in 30s", i, step.At)
		}
		if err := step.Validate(); err != nil {
			return fmt.Errorf("script[%d].%w", i, err)
		}
	}
	return nil
}

// lacks tells whether nothing is at a path, although the dialect has something there.
func (p Provider) lacks(path string) bool {
	of, _ := jobs.ParseEndpoint(path)
	return of.Known() && len(p.Endpoints) > 0 && !slices.Contains(p.Endpoints, of.Name())
}

func (p Provider) checkCounts() error {
	counts := map[string]int64{
		"context_tokens":             int64(p.ContextTokens),
		"reasoning_tokens":           int64(p.ReasoningTokens),
		"limits.requests_per_minute": int64(p.Limits.RequestsPerMinute),
		"limits.tokens_per_minute":   int64(p.Limits.TokensPerMinute),
		"limits.concurrency":         int64(p.Limits.Concurrency),
		"limits.burst":               int64(p.Limits.Burst),
	}
	wrong := make([]string, 0, len(counts))
	for name, count := range counts {
		if count < 0 {
			wrong = append(wrong, name)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return fmt.Errorf("%s: below zero; leave it out for no limit", wrong[0])
}
