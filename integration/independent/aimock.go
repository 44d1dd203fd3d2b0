package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"tidegate/integration/bench"
)

const (
	mockPackage = "@copilotkit/aimock"
	mockVersion = "1.43.0"
	// leastNode is what the package wants.
	leastNodeMajor, leastNodeMinor = 20, 15
)

// pinned names the version of the mock and its digest, without which npm takes no
// package. It names no registry: npm asks the one that its user has set.
//
//go:embed aimock/package.json aimock/package-lock.json
var pinned embed.FS

// A tool is the mock as it is installed.
type tool struct{ node, script string }

// install brings the mock into a folder.
func install(ctx context.Context, dir string) (tool, error) {
	node, npm, err := findNode(ctx)
	if err != nil {
		return tool{}, err
	}
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := pinned.ReadFile("aimock/" + name)
		if err != nil {
			return tool{}, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return tool{}, err
		}
	}
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries", "1", "--loglevel", "error")
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		return tool{}, fmt.Errorf("%w: npm could not bring %s %s (%w); it says:\n%s", bench.ErrUnready, mockPackage, mockVersion, err, text)
	}
	return tool{node, filepath.Join(dir, "node_modules", filepath.FromSlash(mockPackage), "dist", "cli.js")}, nil
}

const howToGetNode = "install Node.js 20.15 or later with npm (apt-get install nodejs npm; brew install node; or from nodejs.org) and try again"

func findNode(ctx context.Context) (node, npm string, err error) {
	for name, path := range map[string]*string{"node": &node, "npm": &npm} {
		if *path, err = exec.LookPath(name); err != nil {
			return "", "", fmt.Errorf("%w: %s is not on the PATH; %s", bench.ErrUnready, name, howToGetNode)
		}
	}
	said, err := exec.CommandContext(ctx, node, "--version").Output()
	if err != nil {
		return "", "", fmt.Errorf("%w: %s --version: %w; %s", bench.ErrUnready, node, err, howToGetNode)
	}
	if version := strings.TrimSpace(string(said)); !newEnough(version) {
		return "", "", fmt.Errorf("%w: node is %s; %s", bench.ErrUnready, version, howToGetNode)
	}
	return node, npm, nil
}

// newEnough reads a version as node writes it, v20.15.0.
func newEnough(version string) bool {
	var major, minor int
	if n, _ := fmt.Sscanf(version, "v%d.%d", &major, &minor); n < 2 {
		return false
	}
	return major > leastNodeMajor || major == leastNodeMajor && minor >= leastNodeMinor
}
