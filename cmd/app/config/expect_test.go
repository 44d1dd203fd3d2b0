package config

import (
	"strings"
	"testing"
	"time"

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

func TestExpectIn(t *testing.T) {
	t.Parallel()
	config, warnings, err := Parse([]byte(expectHead+`    escalate_to: [strong]
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

func TestWrongExpectIn(t *testing.T) {
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
		"    expect: {}\n":                                                "f:7:5: routes[0].expect: expects nothing of an answer: write what it must be like, as in {finish_reasons: [stop]}",
		"    expect: {otherwise: keep, tries: 3}\n":                       "f:7:5: routes[0].expect: expects nothing of an answer",
		"    expect: {regex: '', min_characters: 0}\n":                    "routes[0].expect: expects nothing of an answer",
		"    expect: {regex: a, tries: 0}\n":                              "f:7:24: routes[0].expect.tries: must be from 1 to 10; leave it out for 2",
		"    expect: {json_schema: [a]}\n":                                "routes[0].expect.json_schema: must be a single value, not a list",
		"    expect: {json_schema: {type: 3}}\n":                          "f:7:14: routes[0].expect.json_schema: is no JSON schema",
		"    expect: {json_schema: {maximum: .inf}}\n":                    "f:7:14: routes[0].expect.json_schema: holds .inf, which JSON has no word for",
		"    expect: {json_schema: {const: \"${NO}\"}}\n":                 "f:7:14: routes[0].expect.json_schema: the variable NO is not set",
		"    expect: {json_schema: &a {not: *a}}\n":                       "f:7:14: routes[0].expect.json_schema: is too large",
		"    expect: {tries: 99}\n":                                       "routes[0].expect.tries: must be from 1 to 10",
		"    expect: {regx: a}\n":                                         `routes[0].expect.regx: unknown key; did you mean "regex"`,
	} {
		_, _, err := Parse([]byte(expectHead+text), "f", vars(), Known{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// A schema may be a mapping of the file, in any order and with its anchors, instead of
// a text.
func TestSchemaAsAMapping(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`    expect:
      json_schema:
        type: object
        required: [total, "kind"]
        properties:
          total: {type: number, minimum: 0.5, maximum: 12345678901}
          kind: &text {type: [string, "null"], const: null, pattern: "^${KIND}$"}
          note: *text
        additionalProperties: false
`, `    expect:
      json_schema: {additionalProperties: false, properties: {note: {pattern: "^${KIND}$", const: null, type: [string, "null"]},
        kind: {pattern: "^${KIND}$", const: null, type: [string, "null"]}, total: {maximum: 12345678901, minimum: 0.5, type: number}},
        required: [total, kind], type: object}
`} {
		config, _, err := Parse([]byte(expectHead+text), "f", vars("KIND", "bill"), Known{})
		if err != nil {
			t.Error(err)
			continue
		}
		_, routes := config.Build()
		const want = `{"additionalProperties":false,"properties":{"kind":{"const":null,"pattern":"^bill$","type":["string","null"]},` +
			`"note":{"const":null,"pattern":"^bill$","type":["string","null"]},"total":{"maximum":12345678901,"minimum":0.5,"type":"number"}},` +
			`"required":["total","kind"],"type":"object"}`
		if got := string(routes[0].Expect.JSONSchema); got != want {
			t.Errorf("the schema is\n%s\nwant\n%s", got, want)
		}
	}
}

// All that is wrong with an expectation is said at once, and nothing that is not.
func TestAllThatIsWrongWithAnExpectation(t *testing.T) {
	t.Parallel()
	const text = `    expect: {json_schema: '{', fenced: true, regex: '(', min_characters: 10, max_characters: 5, min_tokens: -1, finish_reasons: [""], tries: 99, otherwise: maybe}
`
	_, _, err := Parse([]byte(expectHead+text), "f", vars(), Known{})
	if err == nil {
		t.Fatal("it is taken")
	}
	for _, field := range []string{"json_schema", "regex", "min_characters", "min_tokens", "finish_reasons", "tries", "otherwise"} {
		if strings.Count(err.Error(), "routes[0].expect."+field+": ") != 1 {
			t.Errorf("%s is not named once in\n%v", field, err)
		}
	}
	if !strings.HasPrefix(err.Error(), "f has 7 problems") {
		t.Errorf("it says\n%v", err)
	}
}

func TestCanariesIn(t *testing.T) {
	t.Parallel()
	config, _, err := Parse([]byte(expectHead+`canaries:
  - {name: one, route: r, prompt: "Say \"yes\".", expect: {regex: yes}}
  - {name: two, targets: [a], every: 1h, body: '{"messages": [{"role": "user", "content": "2+2?"}], "max_tokens": 5}', expect: {regex: "4"}, failures_in_a_row: 3}
`), "f", vars(), Known{})
	if err != nil {
		t.Fatal(err)
	}
	want := []jobs.Canary{
		{Name: "one", Targets: []string{"a"}, Route: "r", Every: 10 * time.Minute, Body: []byte(`{"messages":[{"role":"user","content":"Say \"yes\"."}]}`), Expect: &jobs.Expect{JSONSchema: []byte{}, Regex: "yes"}, Failures: 2},
		{Name: "two", Targets: []string{"a"}, Every: time.Hour, Body: []byte(`{"messages": [{"role": "user", "content": "2+2?"}], "max_tokens": 5}`), Expect: &jobs.Expect{JSONSchema: []byte{}, Regex: "4"}, Failures: 3},
	}
	if diff := cmp.Diff(want, config.BuildCanaries()); diff != "" {
		t.Errorf("canaries (-want +got):\n%s", diff)
	}
}

func TestWrongCanariesIn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{route: r, prompt: x, expect: {regex: x}}":                                      "canaries[0].name: is missing",
		"{name: c, prompt: x, expect: {regex: x}}":                                       "f:8:6: canaries[0].targets: is missing: name who is asked, as in targets: [a, b], or in route a route, for all of its chain; there are a",
		"{name: c, route: r, targets: [a], prompt: x, expect: {regex: x}}":               "f:8:25: canaries[0].targets: stands beside a route, which means all of its chain: leave one of them out",
		"{name: c, targets: [strong], prompt: x, expect: {regex: x}}":                    `canaries[0].targets[0]: no route calls a target "strong"`,
		"{name: c, route: q, prompt: x, expect: {regex: x}}":                             `canaries[0].route: there is no route "q"`,
		"{name: c, route: r, expect: {regex: x}}":                                        "f:8:6: canaries[0].prompt: is missing: write what to ask, as in prompt: \"The capital of France, in one word?\", or a whole body as JSON",
		"{name: c, route: r, prompt: x, body: '{\"messages\": []}', expect: {regex: x}}": "f:8:36: canaries[0].body: stands beside a prompt: leave one of them out",
		"{name: c, route: r, body: '{}', expect: {regex: x}}":                            "canaries[0].body: body.messages: must be a list",
		"{name: c, route: r, prompt: x}":                                                 "canaries[0].expect: is missing",
		"{name: c, route: r, prompt: x, expect: {}}":                                     "canaries[0].expect: expects nothing of an answer",
		"{name: c, route: r, prompt: x, expect: {regex: '('}}":                           "canaries[0].expect.regex: error parsing",
		"{name: c, route: r, prompt: x, expect: {regex: x, tries: 2}}":                   "f:8:55: canaries[0].expect.tries: says what becomes of a request, and a canary is none: leave it out",
		"{name: c, route: r, prompt: x, expect: {regex: x, otherwise: keep}}":            "canaries[0].expect.otherwise: says what becomes of a request",
		"{name: c, route: r, prompt: x, expect: {response_format: true}}":                "canaries[0].expect.response_format: is about the response_format of the body, and there is none",
		"{name: c, route: r, prompt: x, expect: {regex: x}, every: 1s}":                  "canaries[0].every: must be 10s or more",
		"{name: c, route: r, prompt: x, expect: {regex: x}, failures_in_a_row: 0}":       "canaries[0].failures_in_a_row: must be from 1 to 10",
	} {
		_, _, err := Parse([]byte(expectHead+"canaries:\n  - "+text+"\n"), "f", vars(), Known{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
