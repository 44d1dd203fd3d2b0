package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidegate/jobs"
)

// exampleOf is the example of a document that has a text in it.
func exampleOf(t *testing.T, document, has string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", document))
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
		if block, _, _ = strings.Cut(block, "```"); strings.Contains(block, has) {
			return block
		}
	}
	t.Fatalf("%s has no example with %s", document, has)
	return ""
}

// The example of the documentation: two keys of one account in two regions.
func TestConfigOfSeveralKeysAndRegions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"first", "second"} {
		if err := os.WriteFile(filepath.Join(dir, "keys", key), []byte("key-"+key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := newReader(filepath.Join(dir, "tidegate.yaml"), vars()).parse([]byte(exampleOf(t, "ADD_A_PROVIDER.md", "&eu-1")), Known{})
	if read.Err != nil || len(read.Warnings) > 0 {
		t.Fatal(read.Err, read.Warnings)
	}
	if len(read.Files) != 2 {
		t.Errorf("it was read from %d files beside its own", len(read.Files))
	}
	_, routes := read.Config.Build()
	type place struct {
		region, url string
		key         jobs.Secret
	}
	want := map[string]place{
		"gpt-5-mini-eu-1": {"eu", "https://eu.api.openai.com/v1", "key-first"},
		"gpt-5-mini-eu-2": {"eu", "https://eu.api.openai.com/v1", "key-second"},
		"gpt-5-mini-us-1": {"us", "https://api.openai.com/v1", "key-first"},
		"gpt-5-mini-us-2": {"us", "https://api.openai.com/v1", "key-second"},
	}
	if len(routes[0].Chain) != len(want) {
		t.Fatalf("the chain is %v", routes[0].Chain)
	}
	for _, target := range routes[0].Chain {
		if got := (place{target.Region, target.BaseURL, target.Key}); got != want[target.Name] {
			t.Errorf("%s is in %s at %s, or has the other key", target.Name, got.region, got.url)
		}
		if target.Provider != "openai" || target.Model != "gpt-5-mini" || target.ContextTokens != 400_000 || !target.Price.Known() || target.Limits.RequestsPerMinute != 1250 {
			t.Errorf("%s has not all that is common: %+v", target.Name, target)
		}
	}
}
