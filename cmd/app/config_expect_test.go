package app

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

const expectHead = `targets:
  - {name: a, provider: p, base_url: "https://a.example/v1", api_key: k, model: m, price: {input: 0, output: 0}}
  - {name: strong, provider: p, base_url: "https://a.example/v1", api_key: k, model: big, price: {input: 0, output: 0}}
routes:
  - name: r
    chain: [a]
`

func TestExpectInConfig(t *testing.T) {
	t.Parallel()
	config, warnings, err := ParseConfig([]byte(expectHead+`    escalate_to: [strong]
    expect:
      json_schema: '{"type": "object"}'
      min_characters: 3
      finish_reasons: [stop]
      tries: 4
      otherwise: keep
`), "f", vars(), Known{})
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	_, routes := config.Build()
	want := &jobs.Expect{JSONSchema: []byte(`{"type": "object"}`), MinCharacters: 3, FinishReasons: []string{"stop"}, Tries: 4, Otherwise: "keep"}
	if diff := cmp.Diff(want, routes[0].Expect); diff != "" {
		t.Errorf("expect (-want +got):\n%s", diff)
	}
	if len(routes[0].EscalateTo) != 1 || routes[0].EscalateTo[0].Name != "strong" {
		t.Errorf("escalate_to is %v", routes[0].EscalateTo)
	}
}

func TestWrongExpectInConfig(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"    escalate_to: [weak]\n":                                       `f:7:19: routes[0].escalate_to[0]: there is no target "weak"`,
		"    escalate_to: [a]\n":                                          "f:7:19: routes[0].escalate_to[0]: \"a\" is in the chain already",
		"    escalate_to: [strong, strong]\n":                             "f:7:27: routes[0].escalate_to[1]: \"strong\" is here already",
		"    expect: {regex: '('}\n":                                      "f:7:14: routes[0].expect.regex: error parsing regexp",
		"    expect: {json_schema: '{\"type\": 3}'}\n":                    "routes[0].expect.json_schema: is no JSON schema",
		"    expect: {json_schema: '{'}\n":                                "routes[0].expect.json_schema: is not JSON",
		"    expect: {json_schema: '{\"$ref\": \"http://x.example\"}'}\n": "nothing is loaded",
		"    expect: {min_tokens: 4, max_tokens: 3}\n":                    "routes[0].expect.min_tokens: 4 is more than max_tokens, 3",
		"    expect: {tries: 99}\n":                                       "routes[0].expect.tries: must be from 1 to 10",
		"    expect: {regx: a}\n":                                         `routes[0].expect.regx: unknown key; did you mean "regex"`,
	} {
		_, _, err := ParseConfig([]byte(expectHead+text), "f", vars(), Known{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
