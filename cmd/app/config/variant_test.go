package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

// variantLines are a target with further lines, and its route.
func variantLines(lines ...string) string {
	return "targets:\n  - name: a\n    provider: acme\n    model: m\n    base_url: https://h/v1\n    api_key: ${KEY}\n" +
		"    price: {input: 1, output: 2}\n    " + strings.Join(lines, "\n    ") + "\n" + routeLines
}

func TestConfigOfVariants(t *testing.T) {
	t.Parallel()
	text := variantLines(
		"path: /run/{model}/chat", `query: {b: "x y", api-version: 2024-10-21}`, "auth_header: Authorization", "auth_scheme: Key",
		`headers: {X-Gateway: "${GATEWAY}", HTTP-Referer: https://example.com}`, "stream: true")
	c, warnings := parsed(t, text, vars("KEY", "canary", "GATEWAY", " canary-2 "))
	if len(warnings) > 0 {
		t.Error(warnings)
	}
	targets, _ := c.Build()
	if !targets[0].Stream {
		t.Error("it is not streamed")
	}
	want := jobs.Variant{
		Path: "run/{model}/chat", Query: "api-version=2024-10-21&b=x+y", KeyHeader: "Authorization", KeyScheme: "Key",
		Headers: "HTTP-Referer: https://example.com\nX-Gateway: canary-2",
	}
	if diff := cmp.Diff(want, targets[0].Variant); diff != "" {
		t.Error(diff)
	}
	marshalled, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{c.String(), fmt.Sprintf("%+v %#v", c, *c), string(marshalled), fmt.Sprintf("%+v %#v", targets[0], *targets[0])} {
		if strings.Contains(shown, "canary") || strings.Contains(shown, "example.com") {
			t.Errorf("a header is shown:\n%s", shown)
		}
	}
	if !strings.Contains(c.String(), "api-version: \"2024-10-21\"") && !strings.Contains(c.String(), "api-version: 2024-10-21") {
		t.Errorf("the query is not shown:\n%s", c)
	}
}

func TestConfigRefusesVariants(t *testing.T) {
	t.Parallel()
	for lines, says := range map[string]string{
		"stream: sometimes":                   `targets[0].stream: "sometimes" is neither true nor false`,
		"path: https://h/v1/chat":             "targets[0].path: is not a path",
		"path: //h/chat":                      "targets[0].path: is not a path",
		"path: a/../../b":                     "targets[0].path: holds .., which leads out of base_url",
		`query: {"": a}`:                      "targets[0].query: holds a value without a name",
		"path: chat?a=b":                      "what follows ? belongs into query",
		"path: '{deployment}/chat'":           "8:5: targets[0].path: holds a { that is not {model}",
		"path: ''":                            "targets[0].path: is empty",
		"query: a=b":                          "targets[0].query: must be a mapping of names to values",
		"query: {key: x}":                     "8:13: targets[0].query.key: looks like a key",
		"query: {a: sk-canary}":               "targets[0].query.a: looks like a key",
		"query: {a: ''}":                      "targets[0].query.a: is empty",
		"query: {a: [b]}":                     "targets[0].query.a: must be a single value",
		"query: {a: \"${NONE}\"}":             "targets[0].query.a: the variable NONE is not set",
		"auth_header: a b":                    `targets[0].auth_header: "a b" is no name of a header`,
		"auth_header: Host":                   "is set by the call itself",
		"auth_scheme: Key":                    "targets[0].auth_scheme: stands before the key in auth_header, which is missing",
		"headers: {Authorization: x}":         "8:15: targets[0].headers.Authorization: is what api_key is for",
		"headers: {content-type: x}":          "targets[0].headers.content-type: is set by the call itself",
		"headers: {Idempotency-Key: x}":       "would let HTTP send a call twice",
		"headers: {A: ''}":                    "targets[0].headers.A: is empty",
		"headers: {A: \"b\\nc\"}":             "targets[0].headers.A: holds a line break",
		"headers: {A: b, a: c}":               "targets[0].headers.a: is the same header as A",
		"headers: {A: b}\n    auth_header: a": "targets[0].headers.A: is what auth_header sends the key in",
	} {
		said := strings.Join(problems(t, variantLines(lines), vars("KEY", "canary")), "\n")
		if !strings.Contains(said, says) || strings.Contains(said, "canary") {
			t.Errorf("%s: does not say %q:\n%s", lines, says, said)
		}
	}
}

// A dialect that there is, but that sends no streams, is no use with one.
func TestConfigRefusesStreamsOfDialectsWithout(t *testing.T) {
	t.Parallel()
	for dialect, says := range map[string]string{
		"silent": `9:5: targets[0].stream: "silent" sends no streams: leave it out`,
		"openai": "",
	} {
		_, _, err := Parse([]byte(variantLines("dialect: "+dialect, "stream: true")), "f", vars("KEY", "x"), Known{Dialects: []string{"silent", "openai"}})
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", dialect, err)
		}
	}
}

func TestConfigWarnsOfVariants(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		variantLines("headers: {X-Api-Token: abcdefghijklmnopqrstuvwxyz}"):                                           "targets[0].headers.X-Api-Token: a key stands in the file",
		strings.Replace(variantLines("auth_header: api-key"), "    api_key: ${KEY}\n", "", 1):                        "there is no api_key for it to carry",
		strings.NewReplacer("https:", "http:", "    api_key: ${KEY}\n", "").Replace(variantLines("headers: {A: b}")): "what headers hold is sent unencrypted",
		variantLines("headers: {HTTP-Referer: https://www.example.com/a/long/page}"):                                 "",
	} {
		_, warnings := parsed(t, text, vars("KEY", "x"))
		if said := strings.Join(warnings, "\n"); !strings.Contains(said, says) || (says == "") != (said == "") {
			t.Errorf("want a warning that says %q, got:\n%s", says, said)
		}
	}
}
