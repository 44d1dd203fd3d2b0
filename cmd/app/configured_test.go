package app

import (
	"os"
	"path/filepath"
	"testing"

	"tidegate/cmd/app/config"
	"tidegate/routing/provider"
)

// ours is a table with prices of every kind.
func ours(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash("config/testdata/ours.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// inFolder writes a configuration and tables into a folder, and returns its path.
func inFolder(t *testing.T, conf string, tables map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	writeTree(t, dir, tables)
	writeTree(t, dir, map[string]string{"tidegate.yaml": conf})
	return filepath.Join(dir, "tidegate.yaml")
}

// vars is an environment of these variables and no others.
func vars(pairs ...string) func(string) (string, bool) {
	set := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		set[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) { value, ok := set[name]; return value, ok }
}

// testKnown is what the program knows, and a goal more.
var testKnown = config.Known{Goals: []string{"ordered", "cost"}, Dialects: provider.Dialects()}

// parsed parses text that must be taken.
func parsed(t *testing.T, text string, env func(string) (string, bool)) (*config.Config, []config.Warning) {
	t.Helper()
	c, warnings, err := config.Parse([]byte(text), "f", env, testKnown)
	if err != nil {
		t.Fatal(err)
	}
	return c, warnings
}
