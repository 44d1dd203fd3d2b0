package app

import (
	"os"
	"path/filepath"
	"testing"
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
