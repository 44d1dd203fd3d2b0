package bench

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// leastNode is what the packages want that are brought by Install.
const leastNodeMajor, leastNodeMinor = 20, 15

const howToGetNode = "install Node.js 20.15 or later with npm (apt-get install nodejs npm; brew install node; or from nodejs.org) and try again"

// Install writes files into a folder, of which package.json and package-lock.json
// name packages and their digests, without which npm takes none, and brings those. They
// name no registry: npm asks the one that its user has set. It returns the node that
// runs them.
func Install(ctx context.Context, files fs.FS, dir string) (node string, err error) {
	node, npm, err := findNode(ctx)
	if err != nil {
		return "", err
	}
	if err := os.CopyFS(dir, files); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries", "1", "--loglevel", "error")
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: npm could not bring what package-lock.json names (%w); it says:\n%s", ErrUnready, err, text)
	}
	return node, nil
}

// InstalledFile is a file of a package that Install has brought into a folder.
func InstalledFile(dir, name string, path ...string) string {
	return filepath.Join(append([]string{dir, "node_modules", filepath.FromSlash(name)}, path...)...)
}

func findNode(ctx context.Context) (node, npm string, err error) {
	for name, path := range map[string]*string{"node": &node, "npm": &npm} {
		if *path, err = exec.LookPath(name); err != nil {
			return "", "", fmt.Errorf("%w: %s is not on the PATH; %s", ErrUnready, name, howToGetNode)
		}
	}
	said, err := exec.CommandContext(ctx, node, "--version").Output()
	if err != nil {
		return "", "", fmt.Errorf("%w: %s --version: %w; %s", ErrUnready, node, err, howToGetNode)
	}
	if version := strings.TrimSpace(string(said)); !newEnough(version) {
		return "", "", fmt.Errorf("%w: node is %s; %s", ErrUnready, version, howToGetNode)
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
