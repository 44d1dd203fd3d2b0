package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"tidegate/cmd/app/config"
	"tidegate/deploy/embedded"
	"tidegate/jobs"
	"tidegate/routing/provider"
	"tidegate/store"
	"tidegate/worker/publish"
)

const (
	oldestPostgres = 140000 // as server_version_num says it
	skewAllowed    = 2 * time.Second
	doctorProbe    = ".tidegate-doctor-" // a file that shows that the data folder can be written
	leastFree      = int64(200 << 20)    // what a Postgres of dev takes before it has done anything, and some room
)

func (e *examination) checkConfig(context.Context) {
	const about = "configuration"
	conf, warnings, err := e.options.loadConfig()
	if err != nil {
		e.wrong(about, e.configRemedy(), "%v", err)
		for _, other := range []string{"postgres", "queues", "nats", "targets"} {
			e.skip(other, "the configuration, which says where and what, cannot be read")
		}
		return
	}
	e.config, e.where = conf, e.options.endpoints(conf)
	for _, warning := range warnings {
		e.warn(about, "", "%s", warning)
	}
	if conf.File == "" {
		e.warn(about, "`tidegate init` writes one", "there is no file; `tidegate dev` uses simulated providers then")
		return
	}
	e.checkPrices()
	e.checkLimits()
	e.ok(about, "%s: %s, %s", conf.File, counted(len(conf.Targets), "target"), counted(len(conf.Routes), "route"))
}

// checkPrices says whether every target has a price; which have none stands among the
// warnings of the configuration.
func (e *examination) checkPrices() {
	says := map[string]int{}
	view := viewPrices(e.config, time.Now())
	for _, t := range view.Targets {
		says[t.Says]++
	}
	unknown := says[""]
	if unknown > 0 {
		e.warn("prices", "`tidegate prices` says why, and what to do", "nobody knows what %s", together(unknown, "target", "costs", "cost"))
		return
	}
	e.ok("prices", "every target has one: %d by the configuration, %d by %s", says["configuration"], says["table"], cmp.Or(view.Table.File, "the table that ships"))
}

// configRemedy says where to mend a configuration: without a file, it is made of
// two variables.
func (e *examination) configRemedy() string {
	if config.Find(e.options.config, os.LookupEnv) == "" {
		return "correct the variable: $DATABASE_URL for `postgres`, $NATS_URL for `nats`"
	}
	return "mend the file; `tidegate init -` prints one that is right"
}

func (e *examination) checkPostgres(ctx context.Context) {
	const about = "postgres"
	if e.config == nil {
		return
	}
	if e.where.postgres == "" {
		e.warn(about, "start `tidegate dev`, say with --data in which folder it runs, or set `postgres:`, $DATABASE_URL or --database-url", "none is named, and no dev runs here")
		e.skip("queues", "no Postgres is named")
		return
	}
	pool, err := store.Connect(ctx, e.where.postgres, 2)
	if err != nil {
		e.noPostgres(about, err)
		return
	}
	defer pool.Close()
	e.checkPooler(ctx, about, pool)
	e.checkServer(ctx, about, pool)
	pending, err := pendingMigrations(ctx, pool)
	switch {
	case err != nil:
		e.wrong(about, schemaRemedy(ctx, pool, err), "%v", err)
		e.skip("queues", "the schema could not be read")
	case len(pending) > 0:
		e.wrong(about, "run `tidegate migrate`", "%s", missingMigrations(len(pending)))
		e.skip("queues", "the database is not up to date")
	default:
		e.ok(about, "%s, up to date", config.RedactURL(jobs.Secret(e.where.postgres)))
		e.checkQueues(ctx, pool)
		e.checkBudgets(ctx, pool)
		e.checkKeys(ctx, pool)
		e.checkWebhooks(ctx, pool)
	}
}

// noPostgres tells a URL that cannot be read from a server that is away.
func (e *examination) noPostgres(about string, err error) {
	if errors.Is(err, store.ErrURL) {
		e.wrong(about, "correct it where it is named: --database-url, `postgres:` in the configuration, or $DATABASE_URL", "%v", err)
		e.skip("queues", "the Postgres URL cannot be read")
		return
	}
	e.wrong(about, refusedRemedy(err), "%v", err)
	e.skip("queues", "Postgres does not answer")
}

func (e *examination) checkServer(ctx context.Context, about string, pool *pgxpool.Pool) {
	var version, connections int
	var now time.Time
	var replica, readOnly bool
	const ask = "SELECT current_setting('server_version_num')::int, current_setting('max_connections')::int, clock_timestamp(), pg_is_in_recovery(), current_setting('transaction_read_only')::bool"
	if err := pool.QueryRow(ctx, ask).Scan(&version, &connections, &now, &replica, &readOnly); err != nil {
		e.wrong(about, schemaRemedy(ctx, pool, err), "it does not answer a query: %v", err)
		return
	}
	if version < oldestPostgres {
		e.wrong(about, "use PostgreSQL 14 or newer", "its version is %d", version/10000)
	}
	switch {
	case replica:
		e.wrong(about, "point tidegate at the primary", "it is a replica and takes no writes")
	case readOnly:
		e.wrong(about, "make room if its disk is full, which is when hosters do that; then SET default_transaction_read_only = off; ALTER DATABASE … RESET default_transaction_read_only; or the same of the role",
			"it takes no writes: default_transaction_read_only is on")
	}
	if uses := workerConns(len(e.config.Routes)) + e.config.DoorConns(false); connections < 2*uses {
		e.warn(about, fmt.Sprintf("raise max_connections: a worker uses up to %d", uses), "max_connections is %d", connections)
	}
	if skew := time.Since(now).Abs(); skew > skewAllowed {
		e.warn(about, "synchronise the clocks (NTP): deadlines are compared across machines", "its clock differs from this machine's by %s", skew.Round(time.Millisecond))
	}
}

// checkQueues finds routes that have jobs and that this configuration does not
// serve, and jobs that River gave up.
func (e *examination) checkQueues(ctx context.Context, pool *pgxpool.Pool) {
	const about = "queues"
	status, err := store.New(pool).Status(ctx)
	if err != nil {
		e.wrong(about, schemaRemedy(ctx, pool, err), "%v", err)
		return
	}
	e.checkWorkers(&status)
	e.checkPauses(&status, about)
	served := map[string]bool{jobs.QuarantineQueue: true} // by every worker
	for _, route := range e.config.Routes {
		served[route.Name] = true
	}
	for _, route := range status.Routes {
		if state := viewRoute(&status, &route).State; route.Waiting > 0 && (state == stateUnserved || state == stateRetired) {
			e.warn(about, "start a worker whose configuration has this route, or end them with `tidegate cancel`", "%s: is %s, and %s", route.Route, state, waiting(route.Waiting))
			continue
		}
		if route.Discarded > 0 {
			e.warn(about, "look at them in river_job: they took their worker down each time", "%s: River gave up %s", route.Route, counted(route.Discarded, "job"))
		}
		if len(e.config.Routes) > 0 && !served[route.Route] && route.Waiting > 0 {
			e.warn(about, "start a worker whose configuration has this route", "%s: %s, and this configuration does not serve it", route.Route, waiting(route.Waiting))
		}
	}
	e.checkKept(status.Kept, status.At)
	if status.Behind > time.Minute {
		e.warn(about, "check NATS; if others are published, the log of a worker says what is wrong with those", "not published yet: %s, the oldest for %s", counted(status.Outbox, "event"), status.Behind.Round(time.Second))
	}
}

func waiting(n int) string { return together(n, "job", "waits", "wait") }

// wholeEvent is what an event may have with the largest answer that it carries.
const wholeEvent = 2 * jobs.MaxEventBody

func (e *examination) checkNATS(ctx context.Context) {
	const about = "nats"
	if e.config == nil {
		return
	}
	if e.where.nats == "" {
		e.warn(about, "start `tidegate dev`, say with --data in which folder it runs, or set `nats:`, $NATS_URL or --nats-url", "none is named, and no dev runs here")
		return
	}
	conn, err := dialNATS(e.where.nats, "tidegate doctor", true, zerolog.Nop())
	if errors.Is(err, errNATSURL) {
		e.wrong(about, "correct it where it is named: --nats-url, `nats:` in the configuration, or $NATS_URL", "%v", err)
		return
	}
	if errors.Is(err, nats.ErrAuthorization) {
		e.wrong(about, natsRefusedRemedy, "%s lets us in by no means: %v", config.RedactURL(jobs.Secret(e.where.nats)), errors.Unwrap(err))
		return
	}
	if err != nil {
		e.wrong(about, "start it with JetStream (`nats-server -js`)", "%v", err)
		return
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	js, err := jetstream.New(conn)
	if err == nil {
		_, err = js.AccountInfo(ctx)
	}
	if err != nil {
		e.wrong(about, "start the server with JetStream (`nats-server -js`), and allow it to this account", "it has no JetStream: %v", err)
		return
	}
	if stream, err := js.Stream(ctx, publish.StreamName); err != nil {
		e.warn(about, "the first worker makes it", "there is no stream %s yet", publish.StreamName)
	} else if e.config.AcceptsOverNATS(false) && publish.TakesDoor(stream) {
		e.warn(about, "start a worker of this version, which changes it, if its user may; or change its subjects by hand, as docs/OPERATING.md says",
			"the stream %s takes what is sent to %s, so that workers do not answer there", publish.StreamName, publish.DoorSubject)
	} else if limit := publish.MessageLimit(conn, stream); limit < wholeEvent {
		e.warn(about, "raise max_payload of the server, and max_msg_size of the stream if it has one, or have subscribers read `tidegate results REQUEST`",
			"it takes messages of %d bytes at most: larger answers are published as references", limit)
	}
	e.ok(about, "%s, with JetStream", config.RedactURL(jobs.Secret(e.where.nats)))
}

// checkTargets looks at every target; it calls them only if it may.
func (e *examination) checkTargets(call bool) func(context.Context) {
	return func(ctx context.Context) {
		if e.config == nil {
			return
		}
		client := provider.New(provider.Config{UserAgent: "tidegate/" + programVersion()})
		defer client.Close()
		targets, _ := e.config.Build()
		for _, target := range targets {
			about := target.Name
			if err := reach(ctx, target.BaseURL); err != nil {
				e.wrong(about, "check base_url, DNS and the firewall", "%v", err)
				continue
			}
			if !call {
				e.ok(about, "%s can be reached (--call asks it something)", target.BaseURL)
				continue
			}
			e.checkCall(ctx, client, target)
		}
	}
}

// reach opens a connection to where a base URL points.
func reach(ctx context.Context, base string) error {
	parsed, err := url.Parse(base)
	if err != nil {
		return fmt.Errorf("base_url cannot be read")
	}
	what := parsed.Host
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: parsed})
	if err != nil {
		return fmt.Errorf("no proxy is used: %w", err)
	}
	if proxy != nil {
		what, parsed = "the proxy "+proxy.Host, proxy
	}
	port := cmp.Or(parsed.Port(), map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[parsed.Scheme])
	dialer := net.Dialer{Timeout: checkTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(parsed.Hostname(), port))
	if err != nil {
		return fmt.Errorf("%s cannot be reached: %w", what, err)
	}
	return conn.Close()
}

func (e *examination) checkCall(ctx context.Context, client *provider.Client, target *jobs.Target) {
	for _, of := range target.Endpoints.List() {
		e.checkEndpoint(ctx, client, target, of)
	}
}

func (e *examination) checkEndpoint(ctx context.Context, client *provider.Client, target *jobs.Target, of jobs.Endpoint) {
	body := []byte(`{"model":"auto","messages":[{"role":"user","content":"Say ok."}]}`)
	if of != jobs.EndpointChat {
		body = of.Least("Say ok.")
	}
	answer, err := client.Complete(ctx, target, of, body)
	switch {
	case err == nil && of == jobs.EndpointChat:
		e.ok(target.Name, "%s answered", answer.Model)
	case err == nil:
		e.ok(target.Name, "%s answered at %s", answer.Model, of)
	case err.Code == jobs.CodeNotServed:
		e.wrong(target.Name, "take "+of.Name()+" out of its endpoints", "%v", err)
	case err.Class == jobs.Auth:
		e.wrong(target.Name, "check its key, base_url and the model's name", "%v", err)
	case err.Class == jobs.Quota:
		e.wrong(target.Name, "add money to the account, or raise its limit", "%v", err)
	default:
		e.wrong(target.Name, "", "%v", err)
	}
}

// checkMachine looks at what `tidegate dev` needs.
func (e *examination) checkMachine(ctx context.Context) {
	const about = "this machine"
	if installation, err := embedded.FindPostgres(ctx, ""); err != nil {
		e.warn(about, "", "for `dev` and `demo`: %v", strings.ReplaceAll(err.Error(), "\n", "\n                         "))
	} else {
		e.ok(about, "PostgreSQL %s for `dev` and `demo`, in %s", installation.Version, installation.BinDir)
	}
	dir, err := e.options.dataDir()
	if err != nil {
		e.warn(about, "name a folder with --data", "%v", err)
		return
	}
	parent := dir
	for _, err := os.Stat(parent); err != nil && parent != filepath.Dir(parent); _, err = os.Stat(parent) {
		parent = filepath.Dir(parent)
	}
	probe, err := os.CreateTemp(parent, doctorProbe+"*")
	if err != nil {
		e.warn(about, "choose another folder with --data", "the data folder %s cannot be written: %v", dir, err)
		return
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name())
	if free, known := freeBytes(parent); known && free < leastFree {
		e.warn(about, "make room there, or choose another folder with --data", "the disk of the data folder %s has only %s left, and `dev` needs %s", dir, bytesText(free), bytesText(leastFree))
		return
	}
	e.ok(about, "the data folder %s can be written", dir)
}
