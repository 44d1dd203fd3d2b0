package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
	"tidegate/routing/provider"
)

// vars is an environment of these variables and no others.
func vars(pairs ...string) func(string) (string, bool) {
	set := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		set[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) { value, ok := set[name]; return value, ok }
}

// targetLines is the least that a target needs, as two lines of a list.
func targetLines(name string) string {
	return "  - {name: " + name + ", provider: acme, model: m, price: {input: 1, output: 2},\n" +
		"     base_url: \"https://api.example.com/v1\"}\n"
}

const routeLines = "routes:\n  - {name: summaries, chain: [a]}\n"

// problems parses text that must be refused, and lists what was said, without
// the file's name.
func problems(t *testing.T, text string, env func(string) (string, bool)) []string {
	t.Helper()
	_, _, err := Parse([]byte(text), "f", env, Known{Goals: []string{"ordered", "cost"}})
	var refused *Error
	if !errors.As(err, &refused) {
		t.Fatalf("want a *ConfigError, got %v", err)
	}
	var said []string
	for _, p := range refused.Problems {
		said = append(said, strings.TrimPrefix(p.String(), "f:"))
	}
	return said
}

// testKnown is what the program knows, and a goal more.
var testKnown = Known{Goals: []string{"ordered", "cost"}, Dialects: provider.Dialects()}

// parsed parses text that must be taken.
func parsed(t *testing.T, text string, env func(string) (string, bool)) (*Config, []string) {
	t.Helper()
	c, warnings, err := Parse([]byte(text), "f", env, testKnown)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, w := range warnings {
		said = append(said, strings.TrimPrefix(w.String(), "f:"))
	}
	return c, said
}

func TestParseConfigOfEverything(t *testing.T) {
	t.Parallel()
	c, warnings := parsed(t, `
postgres: ${DATABASE_URL}
nats: "nats://a:4222,nats://b:4222"
listen: 0.0.0.0:9000
targets:
  - name: small
    provider: acme
    region: eu-west-1
    dialect: openai
    base_url: https://api.example.com/v1/
    api_key: ${ACME_KEY}
    model: m-4.1
    content_policy: strict
    context_tokens: 128_000
    price: {input: 0.27, cached_input: 0, output: 1.10}
    limits: {requests_per_minute: 600, tokens_per_minute: 90000, concurrency: 7}
    timeouts: {connect: 1s, first_byte: 20s, idle: 0s, total: 1m}
    circuit: {failures_in_a_row: 3, failure_rate: 0.25, window: 40, cooldown: 2s}
  - name: other
    provider: acme
    base_url: http://127.0.0.1:11434/v1
    model: llama
    price: {input: 0.5, output: 2}
    timeouts: {total: 10s}
routes:
  - name: summaries
    chain: [small, other]
    optimization_goal: cost
    when_open: reroute
    when_filtered: reroute
    deadline: 7d
    admission: fair
    models: [m-4.1, m]
  - name: labels
    chain: [other]
tenants: [{name: acme, weight: 2.5}, {name: others}]
strategies: {careful: {success_rate: 0.6, latency: 0.1, cost: 0.3}}
estimator: {name: ewma, alpha: 0.5, explore: 0}
worker: {concurrency: 50, shutdown_timeout: 1m, hold_budget: 1h}
batches: {max_lines: 1_000_000, max_bytes: 10_000_000_000, keep: 7d}
http: {requests: 64, uploads: 4, waiting: 9}
`, vars("DATABASE_URL", "postgres://u:canary@h/db", "ACME_KEY", "canary"))
	if len(warnings) > 0 {
		t.Error(warnings)
	}
	if c.Postgres.Reveal() != "postgres://u:canary@h/db" || c.NATS.Reveal() != "nats://a:4222,nats://b:4222" || c.Listen != "0.0.0.0:9000" {
		t.Errorf("addresses: %s", c)
	}
	if want := (Worker{50, time.Minute, time.Hour}); c.Worker != want {
		t.Errorf("worker: %+v", c.Worker)
	}
	if want := (Batches{1_000_000, 10_000_000_000, 7 * 24 * time.Hour}); c.Batches != want || c.HTTP != (HTTP{64, 4, 9}) {
		t.Errorf("batches: %+v, http: %+v", c.Batches, c.HTTP)
	}
	if want := (Estimator{"ewma", 0.5, 0}); c.Estimator != want || c.Strategies["careful"] != (Weights{0.6, 0.1, 0.3}) {
		t.Errorf("estimator: %+v, strategies: %+v", c.Estimator, c.Strategies)
	}
	if want := []Tenant{{Name: "acme", Weight: 2.5}, {Name: "others", Weight: 1}}; !cmp.Equal(c.Tenants, want) {
		t.Errorf("tenants: %+v", c.Tenants)
	}
	small := &jobs.Target{
		Name: "small", Provider: "acme", Region: "eu-west-1", Dialect: "openai", BaseURL: "https://api.example.com/v1",
		Key: "canary", Model: "m-4.1", Policy: "strict", ContextTokens: 128_000,
		Price:    jobs.Price{Input: 270_000, CachedInput: 0, Output: 1_100_000},
		Limits:   jobs.Limits{RequestsPerMinute: 600, TokensPerMinute: 90_000, Concurrency: 7},
		Timeouts: jobs.Timeouts{Connect: time.Second, FirstByte: 20 * time.Second, Total: time.Minute},
		Circuit:  jobs.Thresholds{FailuresInARow: 3, FailureRate: 0.25, Window: 40, Cooldown: 2 * time.Second},
	}
	other := &jobs.Target{
		Name: "other", Provider: "acme", Dialect: "openai", BaseURL: "http://127.0.0.1:11434/v1", Model: "llama",
		Price:    jobs.Price{Input: 500_000, CachedInput: 500_000, Output: 2_000_000},
		Timeouts: jobs.Timeouts{Connect: 5 * time.Second, FirstByte: 10 * time.Second, Idle: 10 * time.Second, Total: 10 * time.Second},
		Circuit:  jobs.DefaultThresholds,
	}
	targets, routes := c.Build()
	if diff := cmp.Diff([]*jobs.Target{small, other}, targets); diff != "" {
		t.Error(diff)
	}
	wantRoutes := []jobs.Route{
		{Name: "summaries", Chain: []*jobs.Target{small, other}, Goal: "cost", Goals: []string{"careful"}, Choosing: "map[careful:{0.6 0.1 0.3}] {ewma 0.5 0}", Deadline: 7 * 24 * time.Hour, WhenOpen: jobs.WhenOpenReroute, OtherPolicies: true, ExpectsNothing: true, Admission: jobs.AdmissionFair, Models: []string{"m-4.1", "m"}},
		{Name: "labels", Chain: []*jobs.Target{other}, Goal: "ordered", Goals: []string{"careful"}, Choosing: "map[careful:{0.6 0.1 0.3}] {ewma 0.5 0}", ExpectsNothing: true, WhenOpen: jobs.WhenOpenReroute},
	}
	if diff := cmp.Diff(wantRoutes, routes); diff != "" {
		t.Error(diff)
	}
	if routes[0].Chain[1] != routes[1].Chain[0] || routes[1].Chain[0] != targets[1] {
		t.Error("routes do not share their target")
	}
}

// What one run says of a file with many mistakes: all of them, in order, each
// with its line, its field and the remedy.
func TestConfigErrorNamesEveryMistake(t *testing.T) {
	t.Parallel()
	got := problems(t, `lisen: 127.0.0.1:1
listen: 8080
targets:
  - name: GPT-4.1
    provider: acme
    base_url: https://api.example.com/v1/chat/completions
    model: m
    price: {inptu: 1, output: -1}
    limits: {request_per_minute: 3000, tokens_per_minute: -1, concurrency: many}
    timeouts: {connect: 5, total: 1s, first_byte: 2s}
  - name: b
    base_url: ftp://x
    api_key: ${NOT_SET}
    circuit: {failure_rate: 50, window: 0}
  - name: b
    provider: acme
    dialect: opnai
    base_url: https://user:canary@h/v1
    model: m
routes:
  - {name: one, chain: [bb, b, b], optimization_goal: speed, when_open: wayt, models: [m]}
  - {name: two, chain: [], when_filtered: rerote, deadline: 24, models: [m], admission: fiar}
tenants: [{name: Acme, weight: 0}, {weight: 1001}, {name: a}, {name: a}]
worker: {concurrency: 0, hold_budget: -1m}
strategies: {careful: {success_rate: 0.6, latency: 0.1, cost: 0.2}, Fast: {latency: 2}, ordered: {cost: 1}, odd: {latency: 2}}
estimator: {name: ema, alpha: 0, explore: 0.9}
astrology: {}
http: {requests: 0, uploads: 100001, waiting: -1}
retention: {requests: 23h, attempts: 1d}
`, vars())
	want := []string{
		`1:1: lisen: unknown key; did you mean "listen"?`,
		`2:1: listen: "8080" is not host:port, as in 127.0.0.1:8080`,
		`4:5: targets[0].name: "GPT-4.1" cannot be a name: use 1 to 64 of a-z, 0-9, '-' and '_', beginning and ending with a letter or digit; a dot would split the NATS subject in two; "gpt-4-1" would do`,
		`6:5: targets[0].base_url: must end before /chat/completions, which is added`,
		`8:13: targets[0].price.inptu: unknown key; did you mean "input"?`,
		`8:23: targets[0].price.output: must not be below zero`,
		`9:14: targets[0].limits.request_per_minute: unknown key; did you mean "requests_per_minute"?`,
		`9:40: targets[0].limits.tokens_per_minute: must not be below zero; leave it out for no limit`,
		`9:63: targets[0].limits.concurrency: "many" is not a whole number like 200`,
		`10:16: targets[0].timeouts.connect: "5" is not a duration: write it like 30s, 24h or 7d`,
		`10:39: targets[0].timeouts.first_byte: is longer than total (1s), so it would never count`,
		`11:5: targets[1].provider: is missing: name the account that quota and keys hang on, as in openai`,
		`11:5: targets[1].model: is missing: write the model as the provider calls it`,
		`12:5: targets[1].base_url: is not a URL, as in https://api.example.com/v1`,
		`13:5: targets[1].api_key: the variable NOT_SET is not set: set it, or give a default as in ${NOT_SET:-…}`,
		`14:15: targets[1].circuit.failure_rate: must be above 0 and at most 1, as in 0.2 for a fifth of the calls`,
		`14:33: targets[1].circuit.window: must be from 1 to 10000 calls`,
		`15:5: targets[2].name: "b" is the name of targets[1] already; names are unique`,
		`17:5: targets[2].dialect: unknown dialect "opnai"; did you mean "openai"?`,
		`18:5: targets[2].base_url: must not hold a user or a password; the key belongs into api_key`,
		`21:25: routes[0].chain[0]: there is no target "bb"; there are GPT-4.1, b, b`,
		`21:32: routes[0].chain[2]: "b" is in this chain already; a target stands in it once`,
		`21:36: routes[0].optimization_goal: unknown goal "speed"; there are ordered, cost, Fast, careful, odd, ordered`,
		`21:62: routes[0].when_open: unknown choice "wayt"; did you mean "wait"?`,
		`22:17: routes[1].chain: needs at least one target; there are GPT-4.1, b, b`,
		`22:28: routes[1].when_filtered: unknown choice "rerote"; did you mean "reroute"?`,
		`22:51: routes[1].deadline: "24" is not a duration: write it like 30s, 24h or 7d`,
		`22:74: routes[1].models[0]: "m" is claimed by routes[0] already; a model means one route`,
		`22:78: routes[1].admission: unknown choice "fiar"; there are direct, fair`,
		`23:12: tenants[0].name: "Acme" cannot be a name: use 1 to 64 of a-z, 0-9, '-' and '_', beginning and ending with a letter or digit; "acme" would do`,
		`23:24: tenants[0].weight: must be from 0.01 to 1000; twice the weight is twice the share`,
		`23:37: tenants[1].name: is missing: name the tenant as its requests do, as in acme`,
		`23:37: tenants[1].weight: must be from 0.01 to 1000; twice the weight is twice the share`,
		`23:64: tenants[3].name: "a" is the name of tenants[2] already; names are unique`,
		`24:10: worker.concurrency: must be from 1 to 10000`,
		`24:26: worker.hold_budget: must be longer than nothing, as in 2m0s`,
		`25:14: strategies.careful: success_rate, latency and cost come to 0.9: their sum must be 1`,
		`25:69: strategies.Fast: "Fast" cannot be a name: use 1 to 64 of a-z, 0-9, '-' and '_', beginning and ending with a letter or digit; "fast" would do`,
		`25:89: strategies.ordered: "ordered" is there already, as one of ordered, cost; choose another name`,
		`25:109: strategies.odd: latency: 2 is not a weight: use 0 to 1`,
		`26:13: estimator.name: unknown estimator "ema"; did you mean "ewma"?`,
		`26:24: estimator.alpha: must be above 0 and at most 1, as in 0.2`,
		`26:34: estimator.explore: must be from 0 (never) to 0.5, as in 0.01 for one request in a hundred`,
		`27:1: astrology: unknown key; there are postgres, nats, nats_door, listen, metrics_listen, prices, targets, routes, canaries, tenants, strategies, estimator, worker, batches, retention, http, webhooks`,
		`28:8: http.requests: must be from 1 to 100000`,
		`28:21: http.uploads: must be from 1 to 100000`,
		`28:38: http.waiting: must be from 1 to 100000`,
		`29:13: retention.requests: must be at least 1d, as in 30d, or 0 for ever`,
		`29:28: retention.attempts: must be at least 2d, as in 30d, or 0 for ever`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestConfigRefusesOneThing(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ text, says string }{
		"no YAML":               {"targets: [", "1:10: this is not YAML"},
		"a tab":                 {"worker:\n\tconcurrency: 1", "2:1: this is not YAML"},
		"a key twice":           {"listen: a:1\nlisten: b:2", `2:1: this is not YAML: mapping key "listen" already defined at [1:1]`},
		"nobody named":          {"targets:\n  - {nam: a}\nroutes:\n  - {name: a, chain: [a]}", `there is no target "a"; there are none`},
		"two documents":         {"listen: a:1\n---\nlisten: a:2", "a second YAML document"},
		"a list of nothing":     {"- a\n", "must be a mapping of keys to values, not a list"},
		"a text":                {"hello", "must be a mapping of keys to values, not a single value"},
		"a list for a map":      {"worker: [1]", "worker: must be a mapping of keys to values, not a list"},
		"a text for a list":     {"targets: a", "targets: must be a list, as in [a, b], not a single value"},
		"a map for a text":      {"listen: {a: b}", "listen: must be a single value, not a mapping"},
		"an empty item":         {"targets:\n  -\n", "targets[0].name: is missing"},
		"an empty name":         {"routes:\n  - {name: \"\", chain: [a]}", "routes[0].name: is empty"},
		"a name of ours":        {"routes:\n  - {name: tidegate-quarantine, chain: [a]}", "routes[0].name: \"tidegate-quarantine\" is the queue in which suspected poison"},
		"a bad metrics address": {"metrics_listen: '9464'", "1:1: metrics_listen: \"9464\" is not host:port, as in 127.0.0.1:9464"},
		"a port of words":       {"listen: localhost:http", "1:1: listen: the port must be a number"},
		"another database":      {"postgres: mysql://h/db", "postgres: is not a connection string"},
		"another bus":           {"nats: kafka://h", "nats: is not a NATS URL"},
		"half a database":       {"postgres: \"postgres://${HOST}/db\"", "postgres: the variable HOST is not set"},
		"a shell's variable":    {"listen: $LISTEN", "listen: $LISTEN is not filled in: write ${LISTEN}"},
		"half a variable":       {"listen: \"${LISTEN\"", "for a literal ${ write $${"},
		"a name of no model":    {routeLines + "    models: [\"\"]", "routes[0].models[0]"},
		"merging a ring":        {"worker: &w\n  <<: *w\n", "worker: must be a mapping"},
		"an alias of none":      {"listen: *nobody\ntargets: *nobody\nroutes: 5", "routes: must be a list"},
		"not a number":          {"targets:\n  - {price: {input: .nan, output: 1}}", "targets[0].price.input: \".nan\" is not a number"},
		"half a request":        {"targets:\n  - {limits: {requests_per_minute: 0.5}}", "targets[0].limits.requests_per_minute: \"0.5\" is not a whole number"},
		"no requests ever":      {"targets:\n  - {limits: {requests_per_minute: -3}}", "targets[0].limits.requests_per_minute: must not be below zero"},
		"calls without end":     {"targets:\n  - {limits: {concurrency: 1000000001}}", "targets[0].limits.concurrency: is over 1000000000; leave it out for no limit"},
		"tokens without end":    {"targets:\n  - {limits: {tokens_per_minute: 2000000000}}", "targets[0].limits.tokens_per_minute: is over 1000000000"},
		"millions":              {"targets:\n  - {price: {input: 1e7, output: 1}}", "targets[0].price.input: is over a million"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(c.text, routeLines+"    models", "routes:\n  - name: a\n    models", 1)
			said := strings.Join(problems(t, text, vars()), "\n")
			if !strings.Contains(said, c.says) {
				t.Errorf("does not say %q:\n%s", c.says, said)
			}
			if strings.Contains(said, "already defined") && strings.Contains(said, "quotes") {
				t.Errorf("gives a remedy for something else: %s", said)
			}
		})
	}
}

func TestConfigWarnsOf(t *testing.T) {
	t.Parallel()
	target := func(rest string) string {
		return "targets:\n  - name: a\n    provider: acme\n    model: m\n" + rest + "\n" + routeLines
	}
	const priced = "    price: {input: 1, output: 2}\n"
	const https = "    base_url: https://h/v1\n"
	cases := map[string]struct{ text, says string }{
		"no price":            {target(https), "2:5: targets[0].price: is not known"},
		"a price of nothing":  {target(https + "    price: {input: 0, output: 0}"), ""},
		"a price per token":   {target(https + "    price: {input: 0.00027, output: 1}"), "6:13: targets[0].price.input: 0.00027 USD per million"},
		"cached dearer":       {target(https + "    price: {input: 1, cached_input: 2, output: 1}"), "6:23: targets[0].price.cached_input: is dearer"},
		"a key in the file":   {target(https + priced + "    api_key: sk-abc"), "7:5: targets[0].api_key: a key stands in the file"},
		"a long key":          {target(https + priced + "    api_key: abcdefghijklmnopqrstuvwxyz"), "a key stands in the file"},
		"a default key":       {target(https + priced + "    api_key: \"${NONE:-sk-abc}\""), "a key stands in the file"},
		"a key over http":     {target("    base_url: http://h/v1\n" + priced + "    api_key: x"), "5:5: targets[0].base_url: the key is sent unencrypted"},
		"a vendor's root":     {target("    base_url: https://api.anthropic.com/\n" + priced), "5:5: targets[0].base_url: has no version of the API, so the vendor will not find what is asked for: write https://api.anthropic.com/v1"},
		"a path of its own":   {target("    base_url: https://api.openai.com\n    path: v2/chat\n" + priced), ""},
		"another's root":      {target("    base_url: https://api.deepseek.com\n" + priced), ""},
		"limits in a muddle":  {target(https + priced + "    limits: {requests_per_minute: 2000000, tokens_per_minute: 3000}"), "targets[0].limits.tokens_per_minute: is less than one token for each"},
		"a limit of nothing":  {target(https + priced + "    limits: {requests_per_minute: 0}"), "targets[0].limits.requests_per_minute: 0 is no limit"},
		"a target of no use":  {"targets:\n" + targetLines("a") + targetLines("b") + routeLines, `4:6: targets[1].name: "b" is in no route's chain`},
		"routes without any":  {"routes:\n", "1:1: routes: there is none"},
		"nothing out of this": {"targets:\n" + targetLines("a") + routeLines, ""},
		"a key over loopback": {target("    base_url: http://localhost:1/v1\n" + priced + "    api_key: x"), ""},
		"an empty file":       {"", ""},
		"a file of comments":  {"# nothing\n", ""},
		"nothing yet":         {"targets:\nworker:\n", ""},
		"Windows' lines":      {"\ufefflisten: a:1\r\nworker:\r\n  concurrency: 5\r\n", ""},
		"anchors and merging": {"targets:\n  - &a\n    name: a\n    provider: acme\n    model: m\n" + https + priced + "  - <<: *a\n    name: b\nroutes:\n  - {name: r, chain: [a, b]}", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, warnings := parsed(t, c.text, vars())
			said := strings.Join(warnings, "\n")
			if c.says == "" && said != "" || !strings.Contains(said, c.says) || len(warnings) > 1 {
				t.Errorf("want one warning that says %q, got:\n%s", c.says, said)
			}
		})
	}
}

func TestConfigTakesKeysFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("good", "canary\r\n", 0o600)
	write("open", " canary ", 0o644)
	write("empty", "\n", 0o600)
	write("torn", "canary\ncanary", 0o600)
	parse := func(lines string) (*Config, []Warning, error) {
		text := "targets:\n  - name: a\n    provider: acme\n    model: m\n    base_url: https://h/v1\n" +
			"    price: {input: 1, output: 1}\n" + lines + "\n" + routeLines
		return Parse([]byte(text), filepath.Join(dir, "tidegate.yaml"), vars("KEYS", dir, "NOTHING", ""), Known{})
	}
	for lines, warned := range map[string]string{
		"    api_key_file: good":                               "",
		"    api_key_file: \"${KEYS}/good\"":                   "",
		"    api_key_file: open":                               "chmod 600 it",
		"    api_key_file: " + filepath.Join(dir, "good"):      "",
		"    api_key_file: ../" + filepath.Base(dir) + "/good": "",
	} {
		c, warnings, err := parse(lines)
		if err != nil || c.Targets[0].APIKey.Reveal() != "canary" {
			t.Errorf("%s: %v", lines, err)
		}
		if said := fmt.Sprint(warnings); (warned == "") != (len(warnings) == 0) || !strings.Contains(said, warned) {
			t.Errorf("%s: %s", lines, said)
		}
	}
	for lines, says := range map[string]string{
		"    api_key_file: none":                    "cannot be read as a key",
		"    api_key_file: .":                       "cannot be read as a key",
		"    api_key_file: empty":                   "is empty: write the key into it",
		"    api_key_file: torn":                    "holds a space",
		"    api_key_file: good\n    api_key: x":    "stands beside api_key",
		"    api_key: ${NOTHING}":                   "its variable is set to nothing",
		"    api_key: \"a b\"":                      "holds a space",
		"    api_key: \"a\\nb\"":                    "holds a space",
		"    api_key_file: \"${KEYS}/canary-none\"": "${…} cannot be read",
	} {
		_, _, err := parse(lines)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: want an error that says %q, got %v", lines, says, err)
		}
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, _, err := Load(filepath.Join(dir, "none.yaml"), vars(), Known{})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "`tidegate init ") {
		t.Errorf("a file that is not there: %v", err)
	}
	path := filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(path, []byte("targets:\n"+targetLines("a")+routeLines), 0o600); err != nil {
		t.Fatal(err)
	}
	c, warnings, err := Load(path, vars(), Known{})
	if err != nil || len(warnings) > 0 || c.File != path || len(c.Targets) != 1 {
		t.Errorf("a file: %v, %v, %v", c, warnings, err)
	}
	c, warnings, err = Load("", vars("DATABASE_URL", "postgres://h/db"), Known{})
	if err != nil || len(warnings) > 0 || c.File != "" || c.Postgres.Reveal() != "postgres://h/db" || c.NATS != "" ||
		c.Listen != DefaultListen || c.Worker.Concurrency != DefaultConcurrency {
		t.Errorf("no file: %v, %v, %v", c, warnings, err)
	}
	if _, _, err = Load("", vars("DATABASE_URL", "canary"), Known{}); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("a variable that is no connection string: %v", err)
	}
}

func TestFind(t *testing.T) {
	// Not parallel: it changes the working directory.
	t.Chdir(t.TempDir())
	env := vars("TIDEGATE_CONFIG", "from-env.yaml")
	if got := Find("", vars()); got != "" {
		t.Errorf("nothing at all: %q", got)
	}
	if err := os.WriteFile(DefaultFile, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{"": "from-env.yaml", "flag.yaml": "flag.yaml"} {
		if got := Find(flag, env); got != want {
			t.Errorf("flag %q: %q, want %q", flag, got, want)
		}
	}
	if got := Find("", vars()); got != DefaultFile {
		t.Errorf("a file in the folder: %q", got)
	}
}

func TestDefaultSimulatedIsAConfiguration(t *testing.T) {
	t.Parallel()
	c := DefaultSimulated("http://127.0.0.1:9090/")
	written := c.String()
	again, warnings := parsed(t, written, vars())
	if len(warnings) > 0 {
		t.Error(warnings)
	}
	again.File = ""
	if diff := cmp.Diff(c, again); diff != "" {
		t.Errorf("read back, it differs:\n%s\n%s", diff, written)
	}
	targets, routes := c.Build()
	if got := targets[0].BaseURL; got != "http://127.0.0.1:9090/cheap/v1" {
		t.Error(got)
	}
	if len(routes) != 1 || len(routes[0].Chain) != 3 || routes[0].Deadline != 24*time.Hour {
		t.Errorf("%+v", routes)
	}
	if targets[0].Price.Output >= targets[1].Price.Output || targets[1].Price.Output >= targets[2].Price.Output {
		t.Error("the chain does not begin with the cheapest")
	}
}

func TestConfigChoosesRoutesForLines(t *testing.T) {
	t.Parallel()
	c, _ := parsed(t, "targets:\n"+targetLines("a")+"routes:\n  - {name: one, chain: [a], models: [m], deadline: 1h}\n", vars())
	opts := c.LineOptions()
	if route, ok := opts.Routes("m"); !ok || route != "one" || opts.DefaultRoute != "one" || opts.Deadline("one") != time.Hour {
		t.Errorf("%q %v, default %q", route, ok, opts.DefaultRoute)
	}
	if _, ok := opts.Routes("n"); ok || opts.KnownRoute("two") || !opts.KnownRoute("one") {
		t.Error("knows what is not there")
	}
	c.Routes = append(c.Routes, Route{Name: "two"})
	if got := c.LineOptions().DefaultRoute; got != "" {
		t.Errorf("with two routes, %q is the default", got)
	}
}
