package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tidegate/jobs"
)

// No way to print a configuration shows what is secret in it.
func TestConfigPrintsNoSecret(t *testing.T) {
	t.Parallel()
	env := vars("KEY", "canary", "DB", "postgres://canary:canary@db:5432/jobs?password=canary", "NATS", "nats://canary@n:4222")
	text := "postgres: ${DB}\nnats: ${NATS}\ntargets:\n  - name: a\n    provider: acme\n    model: m\n" +
		"    base_url: https://h/v1\n    api_key: ${KEY}\n" + routeLines
	c, _ := parsed(t, text, env)
	if c.Targets[0].APIKey.Reveal() != "canary" {
		t.Fatal("the key did not arrive")
	}
	printed := []string{c.String(), fmt.Sprint(c), fmt.Sprint(*c), fmt.Sprintf("%+v %#v", c, *c), fmt.Sprintf("%+v %#v", c.Targets, c.Targets)}
	if out, err := json.Marshal(c); err != nil {
		t.Error(err)
	} else {
		printed = append(printed, string(out))
	}
	for _, text := range printed {
		if strings.Contains(text, "canary") {
			t.Errorf("a secret is shown:\n%s", text)
		}
	}
	for _, line := range []string{"postgres: postgres://db:5432/jobs", "nats: nats://n:4222", "api_key: "} {
		if !strings.Contains(c.String(), line) {
			t.Errorf("%q is not shown:\n%s", line, c)
		}
	}
}

func TestRedactURL(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"":                                      "",
		"postgres://u:canary@h:1/db?x=canary":   "postgres://h:1/db",
		"postgres:///db?host=/canary":           "postgres:///db",
		"nats://canary@a:1, tls://u:canary@b:2": "nats://a:1,tls://b:2",
		"host=h password=canary":                "[redacted]",
		"postgres://h:1/db,canary":              "[redacted]",
		"canary:secret":                         "[redacted]",
		"postgres://u:can%ary@h/db":             "[redacted]",
	} {
		if got := RedactURL(jobs.Secret(from)); got != want {
			t.Errorf("RedactURL(%q) = %q, want %q", from, got, want)
		}
	}
}

// Whatever is wrong with a file, the message quotes neither a key in it nor one
// from the environment.
func TestConfigErrorsShowNoKey(t *testing.T) {
	t.Parallel()
	env := vars("KEY", "canary")
	for _, broken := range []string{
		"targets:\n  - name: a\n    api_key: sk-canary\n   model: m",
		"targets:\n  - {api_key: sk-canary",
		"targets:\n  - api_key: \"sk-canary",
		"targets:\n  - api_key: sk-canary\n\tmodel: m",
		"targets:\n  - api_key: sk-canary: b",
		"targets:\n  - api_key: [sk-canary]",
		"targets:\n  - api_key: {sk-canary: b}",
		"targets:\n  - api_key: ${KEY}\n    base_url: ${KEY}\n    name: ${KEY}\n    dialect: ${KEY}\n    context_tokens: ${KEY}",
		"targets:\n  - {provider: \"${KEY}\", region: \"${KEY}-\", price: {input: \"${KEY}\"}, timeouts: {idle: \"${KEY}\"}}",
		"routes:\n  - {name: \"${KEY}.\", chain: [\"${KEY}\"], optimization_goal: \"${KEY}\", when_open: \"${KEY}\", models: [\"${KEY}\", \"${KEY}\"]}",
		"listen: ${KEY}\npostgres: ${KEY}\nnats: kafka://${KEY}",
		"api_key: sk-canary\nx: &sk-canary [",
		"targets:\n  - base_url: https://u:canary@h/%zz",
		"targets:\n  - api_key: |\n   sk-canary\n  sk-canary",
		"targets:\n  - api_key: >\n      sk-canary\n    model\n",
	} {
		said := strings.Join(problems(t, broken, env), "\n")
		if strings.Contains(said, "canary") && !strings.Contains(broken, "{sk-canary") {
			t.Errorf("a key is shown:\n%s", said)
		}
	}
}

// FuzzParse: no text panics, what is refused says where, and what is taken
// can be built and printed.
func FuzzParse(f *testing.F) {
	f.Add("targets:\n" + targetLines("a") + routeLines + "worker: {concurrency: ${N:-5}}\n")
	f.Add("a: &a {<<: *a}\nb: *a\nc: !!str 5\n? [x]\n: y\n")
	f.Add("listen: >-\n  127.0.0.1:\n  80\nnats: |\n  nats://h\n")
	f.Add("targets: [{price: {input: .inf}}, null, *x]\n--- {}\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, _, err := Parse([]byte(text), "f", vars("N", "7"), Known{})
		var refused *Error
		if errors.As(err, &refused) && len(refused.Problems) > 0 {
			return
		}
		if err != nil {
			t.Fatalf("refused without saying what is wrong: %v", err)
		}
		_, routes := c.Build()
		for _, route := range routes {
			if len(route.Chain) == 0 || slices.Contains(route.Chain, nil) {
				t.Fatalf("route %s has a hole in its chain", route.Name)
			}
		}
		if strings.HasPrefix(c.String(), "configuration of") {
			t.Fatal("cannot be printed")
		}
	})
}
