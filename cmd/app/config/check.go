package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"tidegate/jobs"
)

// maxConcurrency bounds the jobs in one worker at once.
const maxConcurrency = 10_000

// exampleMetrics is what messages show for metrics_listen.
const exampleMetrics = "127.0.0.1:9464"

// check looks at the configuration as a whole and notes everything that is wrong
// with it.
func (r *reader) check(c *Config, known Known) {
	if r.broken[""] {
		return
	}
	if len(known.Goals) == 0 {
		known.Goals = []string{DefaultGoal}
	}
	if len(known.Dialects) == 0 {
		known.Dialects = []string{DefaultDialect}
	}
	r.checkAddresses(c)
	r.checkWorker(&c.Worker)
	r.checkBatches(&c.Batches)
	r.checkRetention(&c.Retention)
	r.checkHTTP(&c.HTTP)
	r.readPrices(c, known)
	names := map[string]int{}
	for i := range c.Targets {
		r.checkTarget(&c.Targets[i], fmt.Sprintf("targets[%d]", i), known)
		r.checkPricing(c, &c.Targets[i], fmt.Sprintf("targets[%d]", i))
		r.unique(names, c.Targets[i].Name, "targets[%d].name", i)
	}
	r.checkStrategies(c, known)
	r.checkEstimator(c)
	known.Goals = append(known.Goals[:len(known.Goals):len(known.Goals)], c.AllGoals()...)
	r.checkRoutes(c, known)
	r.checkCanaries(c)
	r.checkTenants(c)
	r.warnIdle(c)
}

func (r *reader) checkAddresses(c *Config) {
	r.checkAddress("listen", c.Listen, DefaultListen)
	if c.MetricsListen != "" {
		r.checkAddress("metrics_listen", c.MetricsListen, exampleMetrics)
	}
	if at := c.Postgres.Reveal(); at != "" && !hasScheme(at, "postgres", "postgresql") && !strings.Contains(at, "=") {
		r.problem("postgres", "is not a connection string, as in postgres://user@host:5432/name or host=… dbname=…")
	}
	for one := range strings.SplitSeq(c.NATS.Reveal(), ",") {
		if one = strings.TrimSpace(one); strings.Contains(one, "://") && !hasScheme(one, natsSchemes...) {
			r.problem("nats", "is not a NATS URL, as in nats://host:4222")
		}
	}
	if fault := NATSFault(c.NATS.Reveal()); fault != "" {
		r.problem("nats", "cannot be read: %s", fault)
	}
}

func (r *reader) checkAddress(field, address, example string) {
	if _, port, err := net.SplitHostPort(address); err != nil {
		r.problem(field, "%s is not host:port, as in %s", r.shown(field, address), example)
	} else if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		r.problem(field, "the port must be a number from 0 (any free one) to 65535")
	}
}

func hasScheme(text string, schemes ...string) bool {
	scheme, _, found := strings.Cut(text, "://")
	return found && slices.Contains(schemes, scheme)
}

func (r *reader) checkWorker(w *Worker) {
	if w.Concurrency < 1 || w.Concurrency > maxConcurrency {
		r.problem("worker.concurrency", "must be from 1 to %d", maxConcurrency)
	}
	if w.ShutdownTimeout <= 0 {
		r.problem("worker.shutdown_timeout", "must be longer than nothing, as in %v", DefaultShutdownTimeout)
	}
	if w.HoldBudget <= 0 {
		r.problem("worker.hold_budget", "must be longer than nothing, as in %v", DefaultHoldBudget)
	}
}

// unique notes a name that was taken before.
func (r *reader) unique(names map[string]int, name, field string, i int) {
	if name == "" {
		return
	}
	if first, taken := names[name]; taken {
		at := fmt.Sprintf(field, i)
		r.problem(at, "%s is the name of %s already; names are unique", r.shown(at, name), fmt.Sprintf(strings.TrimSuffix(field, ".name"), first))
		return
	}
	names[name] = i
}

// required notes a field that is missing or empty, and says whether it is there.
func (r *reader) required(field, value, remedy string) bool {
	if value != "" {
		return true
	}
	what := "is missing"
	if r.given(field) {
		what = "is empty"
	}
	r.problem(field, "%s: %s", what, remedy)
	return false
}

// name checks what becomes part of subjects, queues and tables.
func (r *reader) name(field, name string) {
	if jobs.CheckName(name) == nil {
		return
	}
	text := r.shown(field, name) + " cannot be a name: use 1 to 64 of a-z, 0-9, '-' and '_', beginning and ending with a letter or digit"
	if strings.Contains(name, ".") {
		text += "; a dot would split the NATS subject in two"
	}
	if better := lawfulName(name); better != "" && !r.places[field].hidden {
		text += fmt.Sprintf("; %q would do", better)
	}
	r.problem(field, "%s", text)
}

// lawfulName is the nearest lawful name; empty: there is none.
func lawfulName(name string) string {
	lawful := strings.Trim(strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-':
			return c
		default:
			return '-'
		}
	}, strings.ToLower(name)), "-_")
	if jobs.CheckName(lawful) != nil {
		return ""
	}
	return lawful
}
