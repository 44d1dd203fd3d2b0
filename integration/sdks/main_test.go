package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// TestSDKIsPinned: by one version and its digest, and from no registry of somebody's.
func TestSDKIsPinned(t *testing.T) {
	t.Parallel()
	text, err := pinned.ReadFile("node/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Version, Integrity, License string }
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		t.Fatal(err)
	}
	got := lock.Packages["node_modules/"+sdkPackage]
	if got.Version != sdkVersion || !strings.HasPrefix(got.Integrity, "sha512-") || got.License != "Apache-2.0" || len(lock.Packages) != 2 {
		t.Errorf("locked are %+v", lock.Packages)
	}
	if strings.Contains(string(text), "resolved") || strings.Contains(string(text), "://") {
		t.Error("it names where to fetch it from")
	}
	text, err = pinned.ReadFile("node/package.json")
	if err != nil || !strings.Contains(string(text), `"`+sdkPackage+`": "`+sdkVersion+`"`) {
		t.Errorf("%v; package.json wants another version: %s", err, text)
	}
}

// TestPartsAreTheScripts: each part that is played is in the script, and the other way
// round.
func TestPartsAreTheScripts(t *testing.T) {
	t.Parallel()
	text, err := pinned.ReadFile("node/check.mjs")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "const parts = { ")
	listed, _, _ := strings.Cut(rest, " }")
	var played []string
	for _, part := range new(stage).parts() {
		played = append(played, part.name)
	}
	if got := strings.Split(listed, ", "); !slices.Equal(got, played) {
		t.Errorf("the script has %v, played are %v", got, played)
	}
}
