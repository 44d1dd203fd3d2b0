package main

import (
	"context"
	"embed"
	"io/fs"

	"tidegate/integration/bench"
)

const (
	mockPackage = "@copilotkit/aimock"
	mockVersion = "1.43.0"
)

// pinned names the version of the mock and its digest.
//
//go:embed aimock/package.json aimock/package-lock.json
var pinned embed.FS

// A tool is the mock as it is installed.
type tool struct{ node, script string }

// install brings the mock into a folder.
func install(ctx context.Context, dir string) (tool, error) {
	files, err := fs.Sub(pinned, "aimock")
	if err != nil {
		return tool{}, err
	}
	node, err := bench.Install(ctx, files, dir)
	return tool{node, bench.InstalledFile(dir, mockPackage, "dist", "cli.js")}, err
}
