package config

import (
	"testing"
)

// Who calls no target needs no key: neither its variable nor its file.
func TestConfigWithoutKeys(t *testing.T) {
	t.Parallel()
	text := `targets:
  - {name: a, provider: acme, model: m, price: {input: 1, output: 2}, base_url: "https://api.example.com/v1", api_key: "${NO_KEY}", headers: {X-Other: "${NO_KEY}"}}
  - {name: b, provider: acme, model: m, price: {input: 1, output: 2}, base_url: "https://api.example.com/v1", api_key_file: nowhere}
  - {name: c, provider: acme, model: m, price: {input: 1, output: 2}, base_url: "https://api.example.com/v1", api_key: "${EMPTY}"}
` + "routes:\n  - {name: summaries, chain: [a, b, c]}\n"
	env := vars("EMPTY", "", "KEY", "canary")
	path := inFolder(t, text, nil)
	if _, _, err := Load(path, env, testKnown); err == nil {
		t.Error("who calls targets was given a configuration without keys")
	}
	known := testKnown
	known.Keyless = true
	c, warnings, err := Load(path, env, known)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, %v", err, warnings)
	}
	for _, target := range c.Targets {
		if target.APIKey != notRead {
			t.Errorf("%s has the key %q", target.Name, target.APIKey.Reveal())
		}
	}
	for _, wrong := range []string{"model: ${NO_KEY}", "api_key: $NO_KEY", "api_key: [x]"} {
		text := "targets:\n  - name: a\n    provider: acme\n    base_url: https://api.example.com/v1\n    " + wrong + "\n"
		if _, _, err := Parse([]byte(text), "f", env, known); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
}
