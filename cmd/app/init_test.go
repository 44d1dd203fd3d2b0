package app

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/cmd/app/config"
	"tidegate/routing/prices"
)

// environments are those that `init` may meet: no key, some, all.
var environments = map[string]func(string) (string, bool){
	"no key":    vars(),
	"one key":   vars("DEEPSEEK_API_KEY", "canary"),
	"last key":  vars("OPENAI_API_KEY", "canary", "MISTRAL_API_KEY", ""),
	"dialects":  vars("ANTHROPIC_API_KEY", "canary", "GEMINI_API_KEY", "canary"),
	"every key": vars("DEEPSEEK_API_KEY", "canary", "OPENAI_API_KEY", "canary", "MISTRAL_API_KEY", "canary", "ANTHROPIC_API_KEY", "canary", "GEMINI_API_KEY", "canary", "DATABASE_URL", "postgres://h/db"),
}

func TestInitTextLoads(t *testing.T) {
	t.Parallel()
	for name, env := range environments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := initText(env)
			c, warnings := parsed(t, text, env)
			if len(warnings) > 1 || len(warnings) == 1 && len(c.Targets) > 0 {
				t.Error(warnings)
			}
			want := 0
			for _, p := range exampleProviders {
				if key, _ := env(p.key); key != "" {
					want++
				}
			}
			if len(c.Targets) != want || (len(c.Routes) > 0) != (want > 0) {
				t.Errorf("%d targets and %d routes for %d keys:\n%s", len(c.Targets), len(c.Routes), want, text)
			}
			if strings.Contains(text, "canary") || strings.Contains(text, "%!") {
				t.Error("holds a key, or a hole")
			}
		})
	}
}

// Each provider is written in the dialect of its API, also the first of them.
func TestInitTextNamesDialects(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"dialects":  {"gemini-flash gemini", "claude-haiku anthropic"},
		"every key": {"mistral-small openai", "deepseek-chat openai", "gpt-5-mini openai", "gemini-flash gemini", "claude-haiku anthropic"},
	} {
		c, _ := parsed(t, initText(environments[name]), environments[name])
		var got []string
		for _, target := range c.Targets {
			got = append(got, target.Name+" "+target.Dialect)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// What is commented out is right too: with its "# " removed, the text loads, and
// says what the defaults are anyway.
func TestInitTextLoadsUncommented(t *testing.T) {
	t.Parallel()
	env := environments["every key"]
	commented := regexp.MustCompile(`(?m)^( *)# ([a-z_]+: .*)$`)
	example := regexp.MustCompile(`(?m)^ *# (api_key_file|region|content_policy|limits|models|path|query|auth_header|auth_scheme|headers|prices|nats_door|metrics_listen|context_tokens|price|priced_as|expect|escalate_to|canaries|budget): .*$`)
	want, _ := parsed(t, initText(env), env)

	body, tail, _ := strings.Cut(initText(env), "# tenants:\n")
	tail = regexp.MustCompile(`(?m)^# ([A-Z])`).ReplaceAllString(tail, "# # $1")
	full := commented.ReplaceAllString(example.ReplaceAllString(body, ""), "$1$2") +
		"tenants:\n" + regexp.MustCompile(`(?m)^# ?`).ReplaceAllString(tail, "")
	got, warnings := parsed(t, full, env)
	if want := []config.Tenant{{Name: "acme", Weight: config.DefaultWeight, Budget: &config.Budget{PerDay: 5}}}; !cmp.Equal(got.Tenants, want) {
		t.Errorf("tenants: %+v", got.Tenants)
	}
	if want := map[string]config.Weights{"careful": {SuccessRate: 0.6, Latency: 0.1, Cost: 0.3}}; !cmp.Equal(got.Strategies, want) {
		t.Errorf("strategies: %+v", got.Strategies)
	}
	got.Tenants, got.Strategies = nil, nil
	if len(warnings) > 0 {
		t.Error(warnings)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the defaults that it tells are not the defaults:\n%s\n%s", diff, full)
	}
	for _, line := range []string{"listen: 127", "    dialect: ", "    billing: ", "    timeouts: {", "    circuit: {", "    when_open: ", "    when_filtered: ", "    admission: ", "  concurrency: 200", "  hold_budget: "} {
		if !strings.Contains(full, "\n"+line) {
			t.Errorf("%q was not tried:\n%s", line, full)
		}
	}

	// Now the targets and the route that wait for a key.
	waiting := regexp.MustCompile(`(?m)^  # (\$|Remove).*$`).ReplaceAllString(initText(vars()), "")
	waiting = regexp.MustCompile(`(?m)^  # ?`).ReplaceAllString(waiting, "  ")
	got, _ = parsed(t, waiting, env)
	if diff := cmp.Diff(want.Targets, got.Targets); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want.Routes, got.Routes); diff != "" {
		t.Error(diff)
	}
}

// The examples are right, too, all together: those that name no file.
func TestInitTextExamplesLoad(t *testing.T) {
	t.Parallel()
	env := environments["every key"]
	example := regexp.MustCompile(`(?m)^( *)# ((?:nats_door|metrics_listen|region|content_policy|limits|models|path|query|auth_header|auth_scheme|headers|context_tokens|price|expect|escalate_to|canaries|budget): .*)$`)
	text := example.ReplaceAllString(initText(env), "$1$2")
	got, warnings := parsed(t, text, env)
	if len(warnings) > 0 {
		t.Error(warnings)
	}
	if len(got.Canaries) != 1 || !got.Routes[0].Expect.Build().Judges() || got.Routes[0].Budget == nil || got.Targets[0].Limits.Concurrency == 0 {
		t.Errorf("they were not tried: %+v\n%s", got, text)
	}
}

// Every key of the schema stands in the text, with a comment on its line, on the
// line before it, or by its name.
func TestInitTextExplainsEveryKey(t *testing.T) {
	t.Parallel()
	text := initText(environments["every key"])
	var keys []string
	collectKeys(reflect.TypeFor[config.Config](), &keys)
	if len(keys) < 35 {
		t.Fatalf("only %d keys were found: %v", len(keys), keys)
	}
	for _, key := range keys {
		if bare := unexplained(text, key); bare != "" {
			t.Error(bare)
		}
	}
	if unexplained(text, "astrology") == "" || unexplained("a: 1\nlisten: x\n", "listen") == "" {
		t.Error("the check would let anything pass")
	}
}

// collectKeys lists the YAML keys of a type and of those in it.
func collectKeys(t reflect.Type, keys *[]string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return
	}
	fields := config.FieldsOf(t)
	for _, name := range fields.Names {
		*keys = append(*keys, name)
		collectKeys(t.Field(fields.Index[name]).Type, keys)
	}
}

// unexplained says that a key is missing or has no comment; empty: it has one.
func unexplained(text, key string) string {
	use := regexp.MustCompile(`(^[ #-]*|[{,] ?)` + key + `:`)
	byName := regexp.MustCompile(`^ *# .*\b` + key + `\b`)
	lines := strings.Split(text, "\n")
	used := false
	for i, line := range lines {
		if !use.MatchString(line) {
			continue
		}
		used = true
		before := i > 0 && regexp.MustCompile(`^[ #]*# [A-Z0-9a-z]`).MatchString(lines[i-1])
		if before || regexp.MustCompile(`: .* # `).MatchString(line) {
			return ""
		}
	}
	for _, line := range lines {
		if used && byName.MatchString(line) && !use.MatchString(line) {
			return ""
		}
	}
	if !used {
		return key + " is not in the text"
	}
	return key + " has no comment"
}

func TestRunInit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "my.yaml")
	env := environments["one key"]
	var out bytes.Buffer
	if err := (initRun{path: path, env: env}).run(&out); err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"Wrote " + path, "Ready to use: deepseek-chat.", "tidegate doctor --config " + path} {
		if !strings.Contains(out.String(), says) {
			t.Errorf("does not say %q:\n%s", says, out.String())
		}
	}
	if _, warnings, err := config.Load(path, env, testKnown); err != nil || len(warnings) > 0 {
		t.Errorf("what was written: %v, %v", warnings, err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (initRun{path: path, env: env}).run(&out); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("over a file that is there: %v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "mine" {
		t.Error("the file that was there is gone")
	}
	if err := (initRun{path: path, force: true, env: env}).run(&out); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	if _, _, err := config.Load(path, env, testKnown); err != nil {
		t.Error(err)
	}
	if err := (initRun{path: filepath.Join(path, "x"), env: env}).run(&out); err == nil {
		t.Error("wrote below a file")
	}
}

func TestRunInitPrints(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := (initRun{path: "-", env: vars()}).run(&out); err != nil || out.String() != initText(vars()) {
		t.Errorf("%v: %s", err, out.String())
	}
	if next := nextSteps(&config.Config{}, config.DefaultFile); !strings.Contains(next, "set a key, then: tidegate init --force") || !strings.Contains(next, "$OPENAI_API_KEY") {
		t.Error(next)
	}
	if next := nextSteps(&config.Config{}, "other"); !strings.Contains(next, "tidegate init other --force") {
		t.Error(next)
	}
}

func TestInitCommand(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"a", "b"}} {
		command := newInitCommand(&options{})
		command.SetArgs(args)
		command.SetOut(&bytes.Buffer{})
		command.SetErr(&bytes.Buffer{})
		if err := command.Execute(); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
	command := newInitCommand(&options{})
	command.GroupID = "" // it has no parent here
	path := filepath.Join(t.TempDir(), "c.yaml")
	var out bytes.Buffer
	command.SetArgs([]string{path, "--force"})
	command.SetOut(&out)
	if err := command.Execute(); err != nil || !strings.Contains(out.String(), "Wrote "+path) {
		t.Errorf("%v: %s", err, out.String())
	}
}

func TestDefaultsHavePrices(t *testing.T) {
	t.Parallel()
	for _, p := range exampleProviders {
		if _, ok := prices.Shipped().Find(prices.VendorOf(p.baseURL), p.model, time.Now()); !ok {
			t.Errorf("the table that ships has no price of %s, which init writes", p.model)
		}
	}
}
