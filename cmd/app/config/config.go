package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"tidegate/jobs"
	"tidegate/routing/prices"
)

// DefaultFile is looked for in the working directory, and what `init`
// writes.
const DefaultFile = "tidegate.yaml"

// MaxBytes bounds a file that says how tidegate runs: 4 MiB.
const MaxBytes = 4 << 20

// Config is what the configuration file says, checked and with its defaults
// filled in. It is not changed once it was loaded, so it is safe to share.
// Printing it in any way shows no key and no password.
type Config struct {
	Postgres jobs.Secret `yaml:"postgres,omitempty"` // a connection string, so it may hold a password; empty: none is named
	NATS     jobs.Secret `yaml:"nats,omitempty"`     // one URL or several with commas; empty: none is named
	// NATSDoor tells workers to accept requests over NATS; nil: those of `dev` do, on its
	// own NATS.
	NATSDoor *bool  `yaml:"nats_door,omitempty"`
	Listen   string `yaml:"listen"` // host:port of the HTTP server
	// MetricsListen is an address of its own for /metrics, /healthz and /readyz, where
	// nobody is asked for a key; empty: there is none.
	MetricsListen string   `yaml:"metrics_listen,omitempty"`
	Prices        string   `yaml:"prices,omitempty"` // a file of prices; empty: the table that ships
	Targets       []Target `yaml:"targets"`
	Routes        []Route  `yaml:"routes"`
	Canaries      []Canary `yaml:"canaries,omitempty"` // prompts that targets are asked now and then
	Tenants       []Tenant `yaml:"tenants,omitempty"`  // those that are not as all others
	// Strategies are those of one's own, by name.
	Strategies map[string]Weights `yaml:"strategies,omitempty"`
	Estimator  Estimator          `yaml:"estimator"`
	Worker     Worker             `yaml:"worker"`
	Batches    Batches            `yaml:"batches"`
	Retention  Retention          `yaml:"retention"`
	HTTP       HTTP               `yaml:"http"`
	Webhooks   Webhooks           `yaml:"webhooks"`

	// File is where it was read from; empty: there was no file.
	File string `yaml:"-"`
	// Table is what Prices held; nil: the table that ships.
	Table *prices.Table `yaml:"-"`
}

// Target is one model at one provider.
type Target struct {
	Name          string      `yaml:"name"`
	Provider      string      `yaml:"provider"`
	Region        string      `yaml:"region,omitempty"`
	Dialect       string      `yaml:"dialect"`
	BaseURL       string      `yaml:"base_url"`
	APIKey        jobs.Secret `yaml:"api_key,omitempty"` // also what api_key_file held
	APIKeyFile    string      `yaml:"api_key_file,omitempty"`
	Model         string      `yaml:"model"`
	Endpoints     []string    `yaml:"endpoints,omitempty"`      // what it serves, as in chat or embeddings
	ContentPolicy string      `yaml:"content_policy,omitempty"` // empty: the provider's
	ContextTokens int         `yaml:"context_tokens,omitempty"`
	Price         *Price      `yaml:"price,omitempty"`     // nil: as the table of prices says
	PricedAs      string      `yaml:"priced_as,omitempty"` // vendor/model of that table; empty: by base_url and model
	Billing       string      `yaml:"billing"`             // which price of that table: standard or batch
	Limits        Limits      `yaml:"limits,omitempty"`
	Timeouts      Timeouts    `yaml:"timeouts"`
	Circuit       Circuit     `yaml:"circuit"`

	// How it is called otherwise than its dialect says: see jobs.Variant.
	Path       string                 `yaml:"path,omitempty"`
	Query      map[string]string      `yaml:"query,omitempty"`
	AuthHeader string                 `yaml:"auth_header,omitempty"`
	AuthScheme string                 `yaml:"auth_scheme,omitempty"`
	Headers    map[string]jobs.Secret `yaml:"headers,omitempty"`
	Stream     bool                   `yaml:"stream,omitempty"` // answers come in pieces
}

// Price is in US dollars per million tokens.
type Price struct {
	Input       float64  `yaml:"input"`
	CachedInput *float64 `yaml:"cached_input,omitempty"` // nil: as much as Input
	Output      float64  `yaml:"output"`
	Reasoning   *float64 `yaml:"reasoning,omitempty"` // of a part of the output; nil: as much as Output
	// Over is what larger prompts cost, by rising size.
	Over []Over `yaml:"over,omitempty"`
}

// Over is what a whole call costs whose prompt has more than Tokens tokens, in
// US dollars per million tokens.
type Over struct {
	Tokens      int      `yaml:"tokens"`
	Input       float64  `yaml:"input"`
	CachedInput *float64 `yaml:"cached_input,omitempty"` // nil: as much as Input
	Output      float64  `yaml:"output"`
	Reasoning   *float64 `yaml:"reasoning,omitempty"` // nil: as much as Output
}

// Limits is what a target may be asked at most. A zero is no limit.
type Limits struct {
	RequestsPerMinute int `yaml:"requests_per_minute,omitempty"` // of the whole fleet
	TokensPerMinute   int `yaml:"tokens_per_minute,omitempty"`   // of the whole fleet, prompts and answers
	Concurrency       int `yaml:"concurrency,omitempty"`         // calls at once from one worker
}

// Timeouts bounds one call. All but Total may be zero, which leaves that
// part to Total.
type Timeouts struct {
	Connect   time.Duration `yaml:"connect"`
	FirstByte time.Duration `yaml:"first_byte"`
	Idle      time.Duration `yaml:"idle"`
	Total     time.Duration `yaml:"total"`
}

// Circuit says when a target's circuit opens.
type Circuit struct {
	FailuresInARow int           `yaml:"failures_in_a_row"`
	FailureRate    float64       `yaml:"failure_rate"` // in (0, 1], of the last Window calls
	Window         int           `yaml:"window"`
	Cooldown       time.Duration `yaml:"cooldown"` // the first wait before a probe
}

// Route is a named chain of targets.
type Route struct {
	Name     string   `yaml:"name"`
	Chain    []string `yaml:"chain"`
	Goal     string   `yaml:"optimization_goal"`
	WhenOpen string   `yaml:"when_open"`
	// WhenFiltered is what becomes of a request whose content a target refuses:
	// "refuse", or "reroute" to one with another policy.
	WhenFiltered string        `yaml:"when_filtered"`
	Deadline     time.Duration `yaml:"deadline,omitempty"` // zero: none
	// Admission is when requests come to workers: "direct", as they arrive, or
	// "fair", by the shares of their tenants.
	Admission  string   `yaml:"admission"`
	Models     []string `yaml:"models,omitempty"`
	Expect     *Expect  `yaml:"expect,omitempty"`      // nil: nothing
	EscalateTo []string `yaml:"escalate_to,omitempty"` // targets that are asked after a bad answer
	Budget     *Budget  `yaml:"budget,omitempty"`      // nil: none
}

// Worker is how a worker process behaves.
type Worker struct {
	Concurrency     int           `yaml:"concurrency"`      // jobs at once, those that wait at the gate too
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout"` // for calls in flight to end
	HoldBudget      time.Duration `yaml:"hold_budget"`      // how long a job waits in a worker before something else is done with it
}

// Known is what a configuration may choose from. A nil list means the one entry
// that is always there.
type Known struct {
	Goals    []string // nil: ordered
	Dialects []string // nil: openai
	// Keyless is for those who call no target: a key whose variable is not set, or
	// whose file cannot be read, is no mistake, and no key is read.
	Keyless bool
	// Prices reads a table from a file; nil: it is read, and counts as a part of the
	// configuration.
	Prices func(path string) (*prices.Table, error)
	// Before is what is in effect, for one who reads the configuration anew: its
	// prices stay where the new ones are broken. Nil: nothing is.
	Before *Config
}

// Find says which file to load: the one that the flag names, else
// $TIDEGATE_CONFIG, else tidegate.yaml in the working directory if there is one,
// else none (empty).
func Find(flag string, env func(string) (string, bool)) string {
	named, _ := env("TIDEGATE_CONFIG")
	if path := cmp.Or(flag, named); path != "" {
		return path
	}
	if _, err := os.Stat(DefaultFile); err == nil {
		return DefaultFile
	}
	return ""
}

// Load reads and checks the file at path. No path gives the defaults, with
// $DATABASE_URL and $NATS_URL. A file with mistakes is an *Error that names
// all of them; warnings come with a configuration that may be used.
func Load(path string, env func(string) (string, bool), known Known) (*Config, []Warning, error) {
	read := Read(path, env, known)
	return read.Config, read.Warnings, read.Err
}

// Parse is Load for text that is there already. The name stands in
// messages, and a relative api_key_file is looked for beside it.
func Parse(data []byte, name string, env func(string) (string, bool), known Known) (*Config, []Warning, error) {
	read := newReader(name, env).parse(data, known)
	return read.Config, read.Warnings, read.Err
}

// ReadSmall reads a file that people write, whole. What has no end is refused,
// and so is what nobody would write; a pipe is what a shell makes of <(…).
func ReadSmall(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if kind := info.Mode().Type(); kind != 0 && kind != os.ModeNamedPipe {
		return nil, fmt.Errorf("%s is neither a file nor a pipe", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	if int64(len(text)) > most {
		return nil, fmt.Errorf("%s has more than %d bytes: it cannot be the file that was meant", path, most)
	}
	return text, nil
}
